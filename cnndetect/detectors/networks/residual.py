"""Residual networks (He et al. 2016), with the names and the start of torchvision's, which takes seconds to import.

Stride lies in the 3x3 convolution of a bottleneck ("v1.5"). A seed gives the same random weights here and there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the input is added before the last ReLU."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, downsample: nn.Module | None, groups: int, width_per_group: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, width, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, the last four times as wide; the input is added before the last ReLU."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, downsample: nn.Module | None, groups: int, width_per_group: int) -> None:
        super().__init__()
        inner = width * width_per_group // 64 * groups
        self.conv1 = _convolution(channels, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = _convolution(inner, inner, 3, stride=stride, groups=groups)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = _convolution(inner, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResidualNetwork(nn.Module):
    """Four stages of blocks, mean over the positions, one linear layer: [N, 3, H, W] -> [N, outputs].

    blocks: of each stage.  groups, width_per_group: of the 3x3 convolutions, 32 and 8 for ResNeXt-101 32x8d.
    width: channels of the first stage, before its expansion.

    >>> ResidualNetwork(BasicBlock, [2, 2, 2, 2], outputs=10).eval()(torch.zeros(1, 3, 64, 48)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        blocks: Sequence[int],
        *,
        outputs: int = 1,
        groups: int = 1,
        width_per_group: int = 64,
        width: int = 64,
    ) -> None:
        super().__init__()
        self._channels, self._groups, self._width_per_group = width, groups, width_per_group
        self.conv1 = _convolution(3, width, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._stage(block, width, blocks[0], stride=1)
        self.layer2 = self._stage(block, 2 * width, blocks[1], stride=2)
        self.layer3 = self._stage(block, 4 * width, blocks[2], stride=2)
        self.layer4 = self._stage(block, 8 * width, blocks[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width * block.expansion, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def cut_fourth_stage(self) -> None:
        """End after the third stage, with a fresh logit. ``cut`` holds the names of a whole state that then have no place."""
        self.layer4 = nn.Sequential()  # empty: the maps as they are
        self.fc = nn.Linear(self.fc.in_features // 2, 1)
        nn.init.normal_(self.fc.weight, 0.0, 0.02)
        self.cut = ("layer4.",)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.pooled(images))

    def pooled(self, images: Tensor) -> Tensor:
        """Features of the pixels, averaged over the positions: [N, 3, H, W] -> [N, C]."""
        return torch.flatten(self.avgpool(self.maps(images)), 1)

    def maps(self, images: Tensor) -> Tensor:
        """The last maps: [N, 3, H, W] -> [N, C, ceil(H / 32), ceil(W / 32)]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def _stage(self, block: type[BasicBlock] | type[Bottleneck], width: int, count: int, *, stride: int) -> nn.Sequential:
        out = width * block.expansion
        layers = []
        for index in range(count):
            step = stride if index == 0 else 1
            changes = step != 1 or self._channels != out
            downsample = nn.Sequential(_convolution(self._channels, out, 1, stride=step), nn.BatchNorm2d(out)) if changes else None
            layers.append(block(self._channels, width, step, downsample, self._groups, self._width_per_group))
            self._channels = out
        return nn.Sequential(*layers)


def _convolution(channels: int, out: int, size: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, size, stride=stride, padding=size // 2, groups=groups, bias=False)
