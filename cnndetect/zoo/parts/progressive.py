"""Progressive growing: a schedule of resolutions and fades, and photographs at the resolution of a step.

Source: Karras et al., "Progressive Growing of GANs", ICLR 2018 (arXiv 1710.10196), section 2 and figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cnndetect.zoo.parts.layers import upsample_nearest

# (resolution_px, images while fading in, images after, batch)
Phase = tuple[int, int, int, int]


@dataclass(frozen=True)
class Position:
    """Where in the schedule a step is: resolution, blend factor and batch size."""

    resolution_px: int
    alpha: float
    batch: int
    is_first: bool = False  # of the steps that fade a resolution in, or of those that follow

    @property
    def level(self) -> int:
        return self.resolution_px.bit_length() - 3


def total_steps(phases: Sequence[Phase]) -> int:
    """Optimiser steps of the whole schedule.

    >>> total_steps([(8, 0, 32, 16), (16, 16, 16, 16)])
    4
    """
    return sum(-(-fade // batch) + -(-stable // batch) for _, fade, stable, batch in phases)


def position_at(step: int, phases: Sequence[Phase]) -> Position:
    """Resolution and fade of a step; alpha grows linearly from 0 to 1 and never jumps.

    >>> position_at(2, [(8, 0, 32, 16), (16, 16, 16, 16)])
    Position(resolution_px=16, alpha=0.5, batch=16, is_first=True)
    """
    for resolution, fade, stable, batch in phases:
        fade_steps, stable_steps = -(-fade // batch), -(-stable // batch)
        if step < fade_steps:
            return Position(resolution, (step + 1) / (fade_steps + 1), batch, step == 0)
        if step < fade_steps + stable_steps:
            return Position(resolution, 1.0, batch, step == fade_steps)
        step -= fade_steps + stable_steps
    last = phases[-1]
    return Position(last[0], 1.0, last[3])


def draw(photos: Tensor, position: Position, rng: torch.Generator) -> Tensor:
    """A batch of photographs in [-1, 1], flipped at random, at the current resolution and fade.

    photos: uint8 [N, 3, 128, 128].  Returns float [batch, 3, R, R].
    """
    index = torch.randint(len(photos), (position.batch,), generator=rng)
    real = photos[index.to(photos.device)].float() / 127.5 - 1
    flip = (torch.rand(position.batch, generator=rng) < 0.5).to(real.device)
    real = torch.where(flip.view(-1, 1, 1, 1), real.flip(3), real)
    real = F.avg_pool2d(real, real.shape[-1] // position.resolution_px)
    if position.alpha < 1:
        # Photographs are blended as the generator's images are, so that both sides of the critic see the same sharpness.
        real = torch.lerp(upsample_nearest(F.avg_pool2d(real, 2)), real, position.alpha)
    return real
