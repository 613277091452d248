"""AIDE: two ResNet-50 on noise residuals of the smoothest and the busiest patches, and a CLIP ConvNeXt on the whole image.

Yan et al., A Sanity Check for AI-generated Image Detection, ICLR 2025. Patches of 32 px, every 16 px, are ranked by their
discrete cosine transform: log amplitude, averaged in six bands, a band counting twice the one below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.networks.residual import Bottleneck, ResidualNetwork
from cnndetect.detectors.published.backbones import timm_model
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.errors import ImageError
from cnndetect.transforms.inputs import CLIP_MEAN, CLIP_STD
from cnndetect.transforms.preprocess import IMAGENET_MEAN, IMAGENET_STD, check_rgb

PATCH_PX, STRIDE_PX, SIDE_PX, BANDS = 32, 16, 256, 6


class NoiseResNet50(ResidualNetwork):
    """ResNet-50 on 30 noise residuals: [N, 30, H, W] -> [N, 2048]. Its last layer is in the file and not used."""

    def __init__(self) -> None:
        super().__init__(Bottleneck, [3, 4, 6, 3], outputs=1000)
        self.conv1 = nn.Conv2d(30, 64, 7, stride=2, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean(dim=(2, 3))


class Aide(nn.Module):
    """options: of timm's create_model, for a smaller ConvNeXt.  [N, 5, 3, 256, 256]: patches, whole image -> [N, 2]."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.hpf = nn.Module()
        self.hpf.hpf = nn.Conv2d(3, 30, 5, padding=2, bias=False)  # the filters of steganalysis (SRM); the file has them
        self.model_min, self.model_max = NoiseResNet50(), NoiseResNet50()
        self.openclip_convnext_xxl = timm_model("aide", "convnext_xxlarge", num_classes=0, global_pool="", **options)
        self.convnext_proj = nn.Sequential(nn.Linear(3072, 256))
        self.fc = nn.Module()
        self.fc.fc1, self.fc.fc2 = nn.Linear(2048 + 256, 1024), nn.Linear(1024, 2)

    def forward(self, images: Tensor) -> Tensor:
        smooth, busy, smooth2, busy2 = (self.hpf.get_submodule("hpf")(images[:, index]) for index in range(4))
        noise = (self.model_min(smooth) + self.model_max(busy) + self.model_min(smooth2) + self.model_max(busy2)) / 4
        seen = self.openclip_convnext_xxl(_for_clip(images[:, 4])).mean(dim=(2, 3))  # [N, 3072]
        features = torch.cat([self.convnext_proj(seen), noise], dim=1)
        fc1, fc2 = self.fc.get_submodule("fc1"), self.fc.get_submodule("fc2")
        return fc2(F.gelu(fc1(features)))


def prepare(array: np.ndarray) -> Tensor:
    """Four patches and the whole image, each as 256x256: uint8 [H, W, 3] -> [5, 3, 256, 256]: smoothest, busiest, the second of both."""
    check_rgb(array)
    if min(array.shape[:2]) < PATCH_PX:
        raise ImageError(
            f"The image has {array.shape[1]}x{array.shape[0]} px. Expected {PATCH_PX} px or more on each side; AIDE cuts such patches."
        )
    image = torch.from_numpy(array.transpose(2, 0, 1).copy()).float().div_(255)
    patches = image.unfold(1, PATCH_PX, STRIDE_PX).unfold(2, PATCH_PX, STRIDE_PX).permute(1, 2, 0, 3, 4).flatten(0, 1)
    order = torch.sort(busyness(patches)).indices
    # Where there is one patch, it is all four.
    first, second = (0, min(1, len(order) - 1))
    chosen = [patches[order[place]] for place in (first, -1 - first, second, -1 - second)]
    mean, std = torch.tensor(IMAGENET_MEAN).view(3, 1, 1), torch.tensor(IMAGENET_STD).view(3, 1, 1)
    # The authors' torchvision, 0.12, resizes tensors without smoothing.
    side = (SIDE_PX, SIDE_PX)
    sized = [F.interpolate(one[None], size=side, mode="bilinear", align_corners=False)[0] for one in [*chosen, image]]
    return torch.stack([(one - mean) / std for one in sized])


def busyness(patches: Tensor) -> Tensor:
    """How much high frequency patches have: [N, 3, 32, 32] -> [N].

    >>> flat, noisy = torch.ones(3, 32, 32), torch.rand(3, 32, 32)
    >>> bool(busyness(torch.stack([flat, noisy])).argmax() == 1)
    True
    """
    size = patches.shape[-1]
    frequency, place = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)[None]
    cosines = torch.cos((place + 0.5) * torch.pi * frequency / size) * (2 / size) ** 0.5
    cosines[0] /= 2**0.5
    matrix = cosines.float()
    amplitude = torch.log((matrix @ patches @ matrix.T).abs() + 1)

    total, width = frequency + place, 2 * size / BANDS  # total: [size, size], the sum of both frequencies
    grade = torch.zeros(len(patches))
    for band in range(BANDS):
        inside = ((total >= width * band) & (total <= width * (band + 1))).float()
        grade += 2**band * (amplitude * inside / inside.sum()).sum(dim=(1, 2, 3))
    return grade


def _for_clip(images: Tensor) -> Tensor:
    """From ImageNet's normalisation to CLIP's."""
    mean, std, clip_mean, clip_std = (
        torch.tensor(values, device=images.device).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD, CLIP_MEAN, CLIP_STD)
    )
    return images * (std / clip_std) + (mean - clip_mean) / clip_std


def _record(name: str, file: str, trained_on: str, progan_only: bool) -> Published:
    return Published(
        name=name, title="AIDE", paper="Yan et al. 2025, ICLR, arXiv:2406.19435", code="https://github.com/shilinyan99/AIDE", licence="MIT",
        trained_on=trained_on, progan_only=progan_only, millions=898.0, extra="peers",
        architecture="two ResNet-50 on SRM residuals of four patches, ConvNeXt-XXL of CLIP, two classes",
        files=(WeightFile(file, "Google Drive file 1qx76UFvDpgCxaPLBCmsA2WY-SSzeJrd4 (a browser)"),), build=Aide, prepare=prepare,
        words="four patches of 32 px, chosen by DCT, and the image, each resized to 256x256 (bilinear, not smoothed); ImageNet mean and deviation",
        output="real-fake", compared=1e-5,
        note="The resize is that of torchvision 0.12, which the authors name; later versions smooth the whole image before they shrink it",
    )  # fmt: skip


RECORDS = (
    _record("aide-progan", "progan_train.pth", "ForenSynths' ProGAN images", True),
    _record("aide-sd14", "sd14_train.pth", "GenImage: Stable Diffusion 1.4 and ImageNet", False),
)
