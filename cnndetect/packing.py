"""Quantise weights to integers with one scale per output channel, and restore them; packed detectors and generators share it."""

from __future__ import annotations

from torch import Tensor


def to_steps(weights: Tensor, *, largest: int = 127) -> tuple[Tensor, Tensor]:
    """Nearest whole numbers from -largest to largest, int8, and the scale per output channel (symmetric).

    weights: [C, ...], two or more dimensions, finite.  Returns int8 of the same shape and float32 [C].

    >>> import torch
    >>> steps, scale = to_steps(torch.tensor([[1.0, -0.5], [0.0, 0.25]]), largest=2)
    >>> steps.tolist(), scale.tolist()
    ([[2, -1], [0, 2]], [0.5, 0.125])
    """
    weights = weights.float()
    scale = weights.abs().flatten(1).amax(dim=1).clamp(min=1e-12) / largest
    return (weights / _per_channel(scale, weights)).round().clamp(-largest, largest).char(), scale


def from_steps(steps: Tensor, scale: Tensor) -> Tensor:
    """The float32 weights that ``to_steps`` rounded; none is off by more than half a scale."""
    return steps.float() * _per_channel(scale, steps)


def unpacked(value: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """A tensor of a generator's file as it is computed with: float32 from steps and scale or from half precision."""
    if isinstance(value, tuple):
        return from_steps(*value)
    return value.float() if value.is_floating_point() else value


def _per_channel(scale: Tensor, weights: Tensor) -> Tensor:
    return scale.float().view(-1, *([1] * (weights.ndim - 1)))  # [C] -> [C, 1, ...]
