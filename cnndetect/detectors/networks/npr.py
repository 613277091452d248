"""Neighbouring pixel relationships (NPR): a shallow residual network on the residual inside 2x2 cells."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.networks import strips
from cnndetect.detectors.networks.residual import Bottleneck, ResidualNetwork


def neighbour_residual(images: Tensor) -> Tensor:
    """What differs inside each 2x2 cell from its upper left pixel, times 2/3: [N, 3, H, W] -> [N, 3, H - H % 2, W - W % 2].

    An up-sampling by nearest neighbours leaves no residual inside the cells that it made. The published rule is
    x - up(down(x, 1/2), 2) with nearest neighbours, after the ImageNet normalisation. An odd last row or column is cut.
    Source: Tan et al. 2024, Rethinking the Up-Sampling Operations in CNN-based Generative Network for Generalizable
    Deepfake Detection.

    >>> import torch
    >>> cells = torch.arange(4.0).view(1, 1, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    >>> float(neighbour_residual(cells).abs().max())
    0.0
    >>> neighbour_residual(torch.ones(1, 3, 9, 6)).shape
    torch.Size([1, 3, 8, 6])
    """
    height, width = images.shape[2] // 2 * 2, images.shape[3] // 2 * 2
    images = images[:, :, :height, :width]
    corners = F.interpolate(images[:, :, ::2, ::2], scale_factor=2.0, mode="nearest")
    return (images - corners) * (2 / 3)


class NeighbourResidualNetwork(ResidualNetwork):
    """ResNet-50 cut after layer 2, its first convolution 3x3, on the residual: [N, 3, H, W] -> [N]; 1.44 M parameters.

    Every image that is even on both sides is taken as it is, whatever its size; large ones go in strips.

    >>> import torch
    >>> NeighbourResidualNetwork().eval()(torch.zeros(2, 3, 33, 64)).shape
    torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__(Bottleneck, [3, 4, 1, 1])
        del self.layer3, self.layer4
        self.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=2, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.fc = nn.Linear(512, 1)

    def forward(self, images: Tensor) -> Tensor:
        # A row after layer 2 sees fewer than 48 px to each side.
        return self._logits(strips.in_strips_where_large(self, self._trunk, neighbour_residual(images), stride=8, halo=48))

    def whole(self, images: Tensor) -> Tensor:
        """The same without strips, whatever the size."""
        return self._logits(self._trunk(neighbour_residual(images)))

    def _logits(self, features: Tensor) -> Tensor:
        return self.fc(features.mean(dim=(2, 3))).squeeze(1)  # [N, 512, H/8, W/8] -> [N]

    def _trunk(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer2(self.layer1(x))
