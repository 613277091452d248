"""ResNet-50 with one logit, the network of the paper, and smaller residual networks with one logit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnndetect.detectors.networks import strips
from cnndetect.detectors.networks.residual import BasicBlock, Bottleneck, ResidualNetwork

# Channels of the first stage of a narrow ResNet-18.
NARROW = 32


class OneLogitResNet18(ResidualNetwork):
    """ResNet-18 with one logit: [N, 3, H, W] -> [N]. width: channels of the first stage."""

    def __init__(self, width: int = 64) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], width=width)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N]."""
        return super().forward(images).squeeze(1)


class ShortResNet18(ResidualNetwork):
    """ResNet-18 of half the width, cut after its third stage, with one logit: [N, 3, H, W] -> [N]; 0.7 M parameters.

    >>> ShortResNet18().eval()(torch.zeros(2, 3, 64, 48)).shape
    torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], width=NARROW)
        self.cut_fourth_stage()

    def forward(self, images: Tensor) -> Tensor:
        # A place after layer 3 sees 105 px to each side.
        return self._logits(strips.in_strips_where_large(self, self.maps, images, stride=16, halo=112))

    def whole(self, images: Tensor) -> Tensor:
        """The same without strips, whatever the size."""
        return self._logits(self.maps(images))

    def _logits(self, maps: Tensor) -> Tensor:
        return self.fc(maps.mean(dim=(2, 3))).squeeze(1)  # [N, 128, H/16, W/16] -> [N]


class OneLogitResNet50(ResidualNetwork):
    """ResNet-50 (v1.5, stride in the 3x3) with one logit: [N, 3, H, W] -> [N].

    Same names as the official checkpoints: 320 state entries, 23,510,081 parameters. Where nothing is trained, a large
    image goes through in strips (strips.py), so that 18 megapixels fit into a small machine.

    >>> import torch
    >>> OneLogitResNet50().eval()(torch.zeros(2, 3, 64, 96)).shape
    torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__(Bottleneck, [3, 4, 6, 3])
        # Reference: fc.weight ~ N(0, 0.02), fc.bias as torch starts it.
        nn.init.normal_(self.fc.weight, 0.0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        large = images.shape[0] * images.shape[2] * images.shape[3] > strips.WHOLE_PIXELS
        # Batch statistics and gradients need the image whole.
        if large and not self.training and not torch.is_grad_enabled():
            return strips.logits_in_strips(self, images).squeeze(1)
        return self.whole(images)

    def whole(self, images: Tensor) -> Tensor:
        """The same without strips, whatever the size."""
        return super().forward(images).squeeze(1)


def resnet50_one_logit() -> OneLogitResNet50:
    """A fresh network on the CPU, random weights."""
    return OneLogitResNet50()
