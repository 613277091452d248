"""Baselines without learning, for the leaderboard."""

from __future__ import annotations

from torch import Tensor, nn

from cnndetect.detectors.base import Detector


class Smoothness(nn.Module):
    """Minus the mean absolute difference of neighbouring pixels: smooth images rank as fake. [N, 3, H, W] -> [N]."""

    def forward(self, images: Tensor) -> Tensor:
        grey = images.mean(dim=1)  # [N, H, W]
        down = (grey[:, 1:] - grey[:, :-1]).abs().mean(dim=(1, 2))
        right = (grey[:, :, 1:] - grey[:, :, :-1]).abs().mean(dim=(1, 2))
        return -(down + right)


def smoothness() -> Detector:
    """The baseline as a detector: ``--detector cnndetect.detectors.networks.baselines:smoothness``. It ranks; it has no threshold.

    >>> smoothness().name
    'baseline-smoothness'
    """
    return Detector("baseline-smoothness", Smoothness(), progan_only=True, identity="smoothness 1")
