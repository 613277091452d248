"""Losses that keep a painted photograph close to the original and as sharp. Images are in [-1, 1].

The pixel losses alone give blurred images, and then a detector learns blur instead of the decoder's trace. ``energy_loss`` asks for the
photograph's local contrast in two high bands, wherever its details lie.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_PATCH_PX = 8


def gradient_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean L1 distance of the differences of neighbours, across and down: a scalar."""
    error = fake - real
    return error.diff(dim=3).abs().mean() + error.diff(dim=2).abs().mean()


def energy_loss(fake: tuple[Tensor, Tensor], real: tuple[Tensor, Tensor]) -> Tensor:
    """Mean L1 distance of the local contrast in two bands of ``high_bands``: a scalar, 0 for images of the same local energy.

    >>> x = torch.rand(2, 3, 32, 32)
    >>> bands, soft = high_bands(x), high_bands(F.avg_pool2d(x, 3, 1, 1))
    >>> float(energy_loss(bands, bands)) == 0.0 < float(energy_loss(soft, bands))
    True
    """
    parts = [(_contrast(ours) - _contrast(theirs)).abs().mean() for ours, theirs in zip(fake, real, strict=True)]
    return torch.stack(parts).sum()


def high_bands(image: Tensor) -> tuple[Tensor, Tensor]:
    """The two highest octaves: the image less its 3x3 mean, and that mean less its own 5x5 mean."""
    low = _mean(image.contiguous(), 3)  # pooling three channels is slow when they come last
    return image - low, low - _mean(low, 5)


def sharpness(fake: Tensor, real: Tensor) -> Tensor:
    """Median over images of the fake's energy against the real's, of one band [N, C, H, W]: a scalar, 1 where none is blurred."""
    energy = [band.square().flatten(1).mean(dim=1).sqrt() for band in (fake, real)]
    return (energy[0] / energy[1].clamp(min=1e-3)).median()


def _mean(image: Tensor, size_px: int) -> Tensor:
    side = size_px // 2
    return F.avg_pool2d(F.pad(image, (side, side, side, side), mode="reflect"), size_px, 1)


def _contrast(band: Tensor) -> Tensor:
    return (F.avg_pool2d(band.square().mean(dim=1, keepdim=True), _PATCH_PX, _PATCH_PX // 2) + 1e-6).sqrt()


class PatchCritic(nn.Module):
    """A small patch discriminator with a field of 22 px: [N, 3, H, W] -> a map of scores [N, 1, H/4, W/4]."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 2 * width, 3, 1, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 1),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


def feature_loss(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean over feature maps of the L1 distance, each relative to the photograph's: a scalar."""
    parts = [(ours.float() - theirs.float()).abs().mean() / theirs.float().abs().mean() for ours, theirs in zip(fake, real, strict=True)]
    return torch.stack(parts).mean()
