"""Disturb what the encoder says, so that the decoder paints a picture that is no photograph any more.

A decoder that gives a photograph back makes a fake whose content, colours and contrast are right. Generators also make
wrong ones: strange textures, washed-out or glaring colours, things that merge. A quarter of each kind below stands for them.
The decoder, and with it its trace, stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor


def disturb(maps: Tensor, rng: torch.Generator) -> Tensor:
    """The encoder's maps of one image [1, C, H, W], changed in one of four ways that ``rng`` draws: the same shape.

    Style: every channel gets another scale and shift. Noise: normal noise at every place. Swap: some channels change places. Blend:
    a part of the maps is taken from their mirror image.

    >>> maps = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> changed = disturb(maps, torch.Generator().manual_seed(1))
    >>> changed.shape == maps.shape and not torch.equal(changed, maps)
    True
    """
    kind = int(torch.randint(4, (), generator=rng))
    strength = float(torch.rand((), generator=rng))
    channels, device = maps.shape[1], maps.device
    deviation = maps.std(dim=(2, 3), keepdim=True)
    if kind == 0:
        mean = maps.mean(dim=(2, 3), keepdim=True)
        scale, shift = ((0.1 + 0.5 * strength) * torch.randn(2, 1, channels, 1, 1, generator=rng)).to(device)
        return (maps - mean) * scale.exp() + mean + shift * deviation
    if kind == 1:
        return maps + (0.2 + 0.6 * strength) * deviation * torch.randn(maps.shape, generator=rng).to(device)
    if kind == 2:
        places = torch.randperm(channels, generator=rng)[: max(2, round((0.1 + 0.3 * strength) * channels))]
        order = torch.arange(channels)
        order[places] = places.roll(1)
        return maps[:, order.to(device)]
    weight = 0.2 + 0.4 * strength
    return (1 - weight) * maps + weight * maps.flip(2, 3)
