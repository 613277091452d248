"""The paper's network: normalised images in, one logit per image out."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision import models


class OneLogitResNet50(models.ResNet):
    """torchvision's ResNet-50 (v1.5, stride in the 3x3) with one logit: [N, 3, H, W] -> [N].

    Same names as the official checkpoints: 320 state entries, 23,510,081 parameters.

    >>> import torch
    >>> OneLogitResNet50().eval()(torch.zeros(2, 3, 64, 96)).shape
    torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__(models.resnet.Bottleneck, [3, 4, 6, 3], num_classes=1)
        # Reference: fc.weight ~ N(0, 0.02), fc.bias as torch starts it.
        nn.init.normal_(self.fc.weight, 0.0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).squeeze(1)


def resnet50_one_logit() -> OneLogitResNet50:
    """A fresh network on the CPU, random weights."""
    return OneLogitResNet50()
