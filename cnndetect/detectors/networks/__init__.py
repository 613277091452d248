"""The architectures by name. ``architecture_of`` tells one from the names and shapes of a state.

What an architecture does to an image before its first layer (residual, spectrum, contrast, size) is part of its network:
everything outside gives each of them the same normalised image and takes one logit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cnndetect.detectors.networks.efficientnet import EfficientNetLite0, EfficientNetStatistics
from cnndetect.detectors.networks.frequency import FrequencyResNet18, FrequencyResNet50, TwoClassResNet18
from cnndetect.detectors.networks.npr import NeighbourResidualNetwork
from cnndetect.detectors.networks.resnet import NARROW, OneLogitResNet18, ShortResNet18, resnet50_one_logit
from cnndetect.detectors.networks.resnext import SmallTunedResNeXt101, TunedResNeXt101
from cnndetect.detectors.networks.spectrum import ShortSpectrumResNet18, SpectrumResNet18, SpectrumResNet34
from cnndetect.errors import lookup

DEFAULT_NETWORK = "resnet50"


class Tiny(nn.Module):
    """A residual network of width 8 that trains in a second, for tests and trials: [N, 3, H, W] -> [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.fc = nn.Linear(8, 1)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N]."""
        features = self.stem(images)
        features = torch.relu(features + self.block(features)).mean(dim=(2, 3))  # [N, 8, H/2, W/2] -> [N, 8]
        return self.fc(features).squeeze(1)


@dataclass(frozen=True)
class Architecture:
    """A network that can be built."""

    build: Callable[[], nn.Module]
    words: str
    transform: str = "none"  # what it does to the normalised image before its first layer


_AVERAGED = "log-spectrum of each channel of a square, mean power of windows of 64 px, 5 % clipped at each end, stretched to [-1, 1]"

NETWORKS: dict[str, Architecture] = {
    "resnet50": Architecture(resnet50_one_logit, "ResNet-50 v1.5, one logit"),
    "resnet18": Architecture(OneLogitResNet18, "ResNet-18, one logit"),
    "resnet18-narrow": Architecture(functools.partial(OneLogitResNet18, NARROW), "ResNet-18 of half the width, one logit"),
    "resnet18-short": Architecture(ShortResNet18, "ResNet-18 of half the width, cut after its third stage, one logit"),
    "resnet18-ce": Architecture(TwoClassResNet18, "ResNet-18, classes (real, fake), their difference"),
    "resnet18-frequency": Architecture(
        FrequencyResNet18,
        "ResNet-18 and a convolutional branch on the spectrum, features joined, classes (real, fake), their difference",
        "branch: log-spectrum of grey, 5 % clipped at each end, averaged to 64x64 bins",
    ),
    "resnet50-frequency": Architecture(
        FrequencyResNet50,
        "ResNet-50 v1.5 and a convolutional branch on the spectrum, features joined, one logit",
        "branch: log-spectrum of grey, 5 % clipped at each end, averaged to 64x64 bins",
    ),
    "npr": Architecture(
        NeighbourResidualNetwork, "ResNet-50 cut after layer 2, first convolution 3x3, one logit",
        "2/3 (x - up(down(x, 1/2), 2)), nearest neighbours; an odd last row or column is cut",
    ),
    "spectrum": Architecture(
        SpectrumResNet34, "ResNet-34, one logit", "log-spectrum of each channel, 5 % clipped at each end, stretched to [-1, 1]"
    ),
    "spectrum-narrow": Architecture(
        SpectrumResNet18, "ResNet-18 of a quarter of the width without pooling at its start, mean over squares of 128 px, one logit", _AVERAGED
    ),
    "spectrum-short": Architecture(
        ShortSpectrumResNet18,
        "ResNet-18 of a quarter of the width without pooling at its start, cut after its third stage, mean over squares of 128 px, one logit",
        _AVERAGED,
    ),
    "resnext101": Architecture(
        TunedResNeXt101, "ResNeXt-101 32x8d, classes (generated, groundtruth), their difference",
        "CLAHE on L (limit 2, 8x8 tiles), L stretched from its 1st to its 99th percentile, resized to 299x299",
    ),
    "resnext101-128": Architecture(
        SmallTunedResNeXt101, "ResNeXt-101 32x8d, classes (generated, groundtruth), their difference",
        "CLAHE on L (limit 2, 8x8 tiles), L stretched from its 1st to its 99th percentile, resized to 128x128 where a side is longer",
    ),
    "efficientnet-lite0": Architecture(
        EfficientNetLite0, "EfficientNet-Lite0, first convolution at stride 1, one logit",
        "ImageNet normalisation undone, then (pixel - 127) / 128",
    ),
    "efficientnet-lite0-statistics": Architecture(
        EfficientNetStatistics,
        "EfficientNet-Lite0, first convolution at stride 1, plus a linear function of the mean and mean square of every channel of twelve "
        "maps of the same network as ImageNet left it; one logit",
        "ImageNet normalisation undone, then (pixel - 127) / 128",
    ),
    "tiny": Architecture(Tiny, "a residual network of width 8, for tests"),
}  # fmt: skip


def build(name: str) -> nn.Module:
    """A fresh network of an architecture, random weights, on the CPU. Raises UnknownNameError.

    >>> build("tiny")(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2])
    """
    return lookup("architecture", NETWORKS, name).build()


def unfilled(name: str) -> nn.Module:
    """A network of an architecture whose weights are still to be loaded: its memory is reserved, nothing is drawn."""
    with _NoDraws():
        return build(name)


def architecture_of(state: dict[str, Tensor]) -> str | None:
    """The architecture whose names and shapes a state has, None where it is none of ours.

    >>> architecture_of(build("npr").state_dict())
    'npr'
    """
    wanted = _shapes(state)
    return next((name for name in NETWORKS if _shapes_of(name) == wanted), None)


@functools.cache
def _shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    return _shapes(unfilled(name).state_dict())


class _NoDraws(TorchFunctionMode):
    """Leaves tensors as they are where they would be filled with random numbers, which takes seconds.

    The meta device would do the same, and costs three seconds to import.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "").endswith(("normal_", "uniform_")):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    # Files from before torch 0.4.1 do not count batches.
    return {key: tuple(value.shape) for key, value in state.items() if not key.endswith("num_batches_tracked")}
