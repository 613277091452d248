"""Building blocks that several generator families use."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EqualConv2d(nn.Module):
    """Convolution with the equalised learning rate of ProGAN: N(0, 1) weights, He scale applied at run time.

    Source: Karras et al. 2018 (arXiv 1710.10196), section 4.1.

    >>> EqualConv2d(3, 8, 3)(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 8, 16, 16])
    """

    def __init__(self, inputs: int, outputs: int, kernel_px: int, *, gain: float = math.sqrt(2), padding: int | None = None):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel_px, kernel_px))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * kernel_px**2)
        self.padding = kernel_px // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualLinear(nn.Module):
    """Fully connected layer with the equalised learning rate."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = math.sqrt(2)):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias)


def pixel_norm(x: Tensor) -> Tensor:
    """Scale every pixel's feature vector to unit mean square (ProGAN section 4.2). [N, C, ...] -> same."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def minibatch_stddev(x: Tensor, *, group: int = 4) -> Tensor:
    """Append one channel: the mean standard deviation over groups of images (ProGAN section 3).

    >>> minibatch_stddev(torch.zeros(8, 5, 4, 4)).shape
    torch.Size([8, 6, 4, 4])
    """
    count, channels, height, width = x.shape
    group = math.gcd(count, group)
    deviation = x.reshape(group, -1, channels, height, width).var(dim=0, unbiased=False).add(1e-8).sqrt()
    mean = deviation.mean(dim=(1, 2, 3))  # [N/group]
    return torch.cat([x, mean.repeat(group).view(count, 1, 1, 1).expand(-1, 1, height, width)], dim=1)


def upsample_nearest(x: Tensor) -> Tensor:
    """Double height and width by repeating pixels. [N, C, H, W] -> [N, C, 2H, 2W]."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def blur(x: Tensor, taps: tuple[float, ...] = (1, 2, 1), *, padding: tuple[int, int, int, int] | None = None) -> Tensor:
    """Separable low-pass filter with unit sum, per channel. [N, C, H, W] -> same, with the default padding and odd taps.

    >>> blur(torch.ones(1, 2, 4, 4))[0, 0, 1:3, 1:3]
    tensor([[1., 1.],
            [1., 1.]])
    """
    row = torch.tensor(taps, dtype=x.dtype, device=x.device)
    row = (row / row.sum()).repeat(x.shape[1], 1)  # [C, taps]
    side = len(taps) // 2
    x = F.pad(x, padding or (side, side, side, side))
    x = F.conv2d(x, row[:, None, None, :], groups=x.shape[1])
    return F.conv2d(x, row[:, None, :, None], groups=x.shape[1])


def spectral(layer: nn.Module) -> nn.Module:
    """The layer with spectral normalisation: largest singular value 1 (Miyato et al. 2018, arXiv 1802.05957)."""
    return nn.utils.parametrizations.spectral_norm(layer)


class SelfAttention(nn.Module):
    """Every position attends to every other, keys and values at half the size (SAGAN, Zhang et al. 2019; BigGAN).

    [N, C, H, W] -> same. Starts as the identity.
    """

    def __init__(self, width: int):
        super().__init__()
        inner = max(width // 8, 2)
        self.query, self.key = (spectral(nn.Conv2d(width, inner, 1, bias=False)) for _ in range(2))
        self.value = spectral(nn.Conv2d(width, width // 2, 1, bias=False))
        self.out = spectral(nn.Conv2d(width // 2, width, 1, bias=False))
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        small = F.max_pool2d(x, 2)
        query, key, value = (part.flatten(2).transpose(1, 2) for part in (self.query(x), self.key(small), self.value(small)))
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)  # [N, HW, C/2]
        return x + self.strength * self.out(attended.transpose(1, 2).unflatten(2, x.shape[2:]))
