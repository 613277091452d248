"""SAFE: the diagonal detail of a wavelet transform, classified as real or fake by the same shallow residual network as NPR.

Li et al., Improving Synthetic Image Detection Towards Generalization: An Image Transformation Perspective, KDD 2025.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.networks.npr import NeighbourResidualNetwork
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import Input


def diagonal_detail(images: Tensor) -> Tensor:
    """HH of one level of the biorthogonal wavelet 1.3, borders mirrored: [N, C, H, W] -> [N, C, (H + 5) // 2, (W + 5) // 2].

    Its high pass is Haar's, (b - a) / sqrt(2); only the longer low pass makes the border two pixels wide.

    >>> float(diagonal_detail(torch.ones(1, 1, 6, 6)).abs().max())
    0.0
    """
    height, width = images.shape[2:]
    # Mirrored with the border pixel repeated, as wavelet libraries do under "symmetric".
    rows = _mirrored(height, images)
    columns = _mirrored(width, images)
    x = images[:, :, rows][:, :, :, columns]
    return (x[:, :, 0::2, 0::2] - x[:, :, 1::2, 0::2] - x[:, :, 0::2, 1::2] + x[:, :, 1::2, 1::2]) / 2


class SafeNetwork(NeighbourResidualNetwork):
    """The trunk of NPR on the diagonal detail, resized back: [N, 3, H, W] in [0, 1] -> [N, 2] (real, fake)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(512, 2)

    def forward(self, images: Tensor) -> Tensor:
        detail = F.interpolate(diagonal_detail(images), size=images.shape[2:], mode="bilinear", antialias=True)
        return self.fc(self._trunk(detail).mean(dim=(2, 3)))


def _mirrored(length: int, like: Tensor) -> Tensor:
    """Indices of a line with two pixels mirrored before it and as many after as make pairs."""
    count = 2 * ((length + 5) // 2)
    index = torch.arange(-2, count - 2, device=like.device) % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)


RECORDS = (
    Published(
        name="safe", title="SAFE", paper="Li et al. 2025, KDD, arXiv:2408.06741", code="https://github.com/Ouxiang-Li/SAFE",
        licence="Apache-2.0", trained_on="ForenSynths' ProGAN images of car, cat, chair, horse", progan_only=True, millions=1.44,
        architecture="trunk of NPR on the HH band of a wavelet transform (bior1.3), two classes",
        files=(
            WeightFile(
                "checkpoint-best.pth", "checkpoint/ of the authors' repository",
                ("https://raw.githubusercontent.com/Ouxiang-Li/SAFE/main/checkpoint/checkpoint-best.pth",),
                blob="21e7aceb520a44ffcdf09234aae8f02b5986f80a",
            ),
        ),
        build=SafeNetwork, prepare=Input(crop=256, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)), output="real-fake", prefixes=(("fc1.", "fc."),),
        compared=1e-5,
    ),
)  # fmt: skip
