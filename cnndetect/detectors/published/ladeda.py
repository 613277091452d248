"""LaDeDa averages the logits of 9x9 patches. Tiny-LaDeDa, distilled from it, has 1,297 weights and looks at a diagonal gradient.

Cavia et al., Real-Time Deepfake Detection in the Real-World, 2024. The trunk is BagNet-9: convolutions without padding,
so that a shortcut loses its last row and column where a 3x3 convolution has taken two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.networks.npr import neighbour_residual
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import Input

_SOBEL_45 = ((-2.0, -1.0, 0.0), (-1.0, 0.0, 1.0), (0.0, 1.0, 2.0))


class PatchBottleneck(nn.Module):
    """A bottleneck without padding: [N, C, H, W] -> [N, 4 * width, H', W']."""

    def __init__(self, channels: int, width: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, kernel, stride, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or channels != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        kept = x if self.downsample is None else self.downsample(x)
        return F.relu(out + kept[:, :, : out.shape[2], : out.shape[3]])


class LaDeDa(nn.Module):
    """BagNet-9 on the neighbour residual: normalised [N, 3, H, W] -> [N]. scale: of the residual."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.conv1, self.conv2, self.bn1 = nn.Conv2d(3, 64, 1, bias=False), nn.Conv2d(64, 64, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        # One 3x3 convolution in each of the first two stages: 3 + 2 + 4 = 9 px.
        for stage, (width, blocks, stride, kernel) in enumerate(((64, 3, 2, 3), (128, 4, 2, 3), (256, 6, 2, 1), (512, 3, 1, 1)), start=1):
            layers = []
            for block in range(blocks):
                first = block == 0
                layers.append(PatchBottleneck(channels, width, kernel=kernel if first else 1, stride=stride if first else 1))
                channels = 4 * width
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = neighbour_residual(images) * (self.scale * 3 / 2)
        x = F.relu(self.bn1(self.conv2(self.conv1(x))))
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return self.fc(x.mean(dim=(2, 3))).squeeze(1)


class _TinyBlock(nn.Module):
    """Two convolutions, no shortcut: [N, 8, H, W] -> [N, 8, H', W']."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, 2, bias=False), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class TinyLaDeDa(nn.Module):
    """Four convolutions of 8 channels on a diagonal Sobel gradient: normalised [N, 3, H, W] -> [N].

    >>> sum(weight.numel() for weight in TinyLaDeDa().parameters())
    1297
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.bn1 = nn.Conv2d(3, 8, 1, bias=False), nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(_TinyBlock())
        self.fc = nn.Linear(8, 1)

    def forward(self, images: Tensor) -> Tensor:
        kernel = torch.tensor(_SOBEL_45, device=images.device).expand(3, 1, 3, 3)
        x = F.conv2d(images, kernel, padding=1, groups=3)  # zeros around, the size stays
        x = F.relu(self.bn1(self.conv2(self.conv1(x))))
        x = self.layer1(x)
        # Features are large and cancel in the sum: the authors' way to average them is seen in the fifth digit.
        return self.fc(F.avg_pool2d(x, x.shape[2:]).flatten(1)).squeeze(1)


def _forensynths() -> LaDeDa:
    return LaDeDa(scale=2 / 3)


_CODE = "https://github.com/barcavia/RealTime-DeepfakeDetection-in-the-RealWorld"
_RAW = "https://raw.githubusercontent.com/barcavia/RealTime-DeepfakeDetection-in-the-RealWorld/master/weights/Tiny_LaDeDa/"
_PAPER = "Cavia et al. 2024, arXiv:2406.09398"
_LICENCE = "Yissum research licence, no commercial use"
_DRIVE = "Google Drive folder 1KxNdnPRJJTuqxmzBPiGsg43tXzO8AN2d (a browser)"
_INPUT = Input(resize=(256, 256))
_PROGAN, _WILD = "ForenSynths' ProGAN images", "WildRF: images of Reddit, real and generated"
_FITS = (
    "On photographs of today the authors' own code calls nearly all of them fake with these weights, as this does. The variances of the "
    "first normalisation fit images in [0, 1]; the published test normalises them, which makes the gradient 4.4 times as large"
)

RECORDS = (
    Published(
        name="ladeda-forensynths", title="LaDeDa", paper=_PAPER, code=_CODE, licence=_LICENCE, trained_on=_PROGAN, progan_only=True,
        architecture="BagNet-9 on x - up(down(x)), one logit", files=(WeightFile("ForenSynth_LaDeDa.pth", _DRIVE),), millions=13.6,
        build=_forensynths, prepare=_INPUT, compared=1e-5,
        note="These weights want the residual times 2/3, which the published code leaves out (the authors' issue 3); compared without",
    ),
    Published(
        name="ladeda-wildrf", title="LaDeDa", paper=_PAPER, code=_CODE, licence=_LICENCE, trained_on=_WILD, millions=13.6,
        architecture="BagNet-9 on x - up(down(x)), one logit", files=(WeightFile("WildRF_LaDeDa.pth", _DRIVE),),
        build=LaDeDa, prepare=_INPUT, compared=1e-5,
    ),
    Published(
        name="tiny-ladeda-forensynths", title="Tiny-LaDeDa", paper=_PAPER, code=_CODE, licence=_LICENCE, trained_on=_PROGAN,
        progan_only=True, architecture="four convolutions of 8 channels on a diagonal gradient, one logit", millions=0.0013,
        files=(
            WeightFile(
                "ForenSynth_Tiny_LaDeDa.pth", "the authors' repository", (_RAW + "ForenSynth_Tiny_LaDeDa.pth",), size=12_405,
                sha256="4624258c70489cbff2778153ce6fc7f5ed16170b59a541a06dc3d4c759fd68a6",
            ),
        ),
        build=TinyLaDeDa, prepare=_INPUT, compared=1e-5, note=_FITS,
    ),
    Published(
        name="tiny-ladeda-wildrf", title="Tiny-LaDeDa", paper=_PAPER, code=_CODE, licence=_LICENCE, trained_on=_WILD,
        architecture="four convolutions of 8 channels on a diagonal gradient, one logit", millions=0.0013,
        files=(
            WeightFile(
                "WildRF_Tiny_LaDeDa.pth", "the authors' repository", (_RAW + "WildRF_Tiny_LaDeDa.pth",), size=11_654,
                sha256="5e063100564d2ddfe9bf48074e351c8f2b38855552574a18a0738e7f2a764d80",
            ),
        ),
        build=TinyLaDeDa, prepare=_INPUT, compared=1e-5,
    ),
)  # fmt: skip
