"""Images and weights that are the same wherever they are made: the ground on which a detector is compared with its authors' code."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import numpy as np
import torch

# Height and width: small, odd, wide, square, larger than every crop.
SIZES = {
    "small": (36, 52),
    "odd": (97, 131),
    "wide": (64, 300),
    "even": (256, 256),
    "large": (300, 451),
    "grey": (225, 240),
    "huge": (530, 561),
}


def images(names: Iterable[str] = SIZES, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Drawn pictures, uint8 [H, W, 3]: a slow gradient, squares, and noise of a few levels; "grey" has equal channels."""
    drawn = {}
    for name in names:
        height, width = SIZES[name]
        rng = np.random.Generator(np.random.PCG64(_number(seed, name)))
        rows, columns = np.mgrid[:height, :width]
        array = np.stack([(rows * (c + 2) + columns * (3 - c)) // 4 % 256 for c in range(3)], axis=2)
        for _ in range(6):
            top, left, side = rng.integers(0, height), rng.integers(0, width), rng.integers(8, 60)
            array[top : top + side, left : left + side] = rng.integers(0, 256, 3)
        array = np.clip(array + rng.integers(-12, 13, array.shape), 0, 255).astype(np.uint8)
        drawn[name] = array[:, :, :1].repeat(3, axis=2) if name == "grey" else array
    return drawn


def fill(state: dict[str, torch.Tensor], *, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random values for every tensor, from its name, its shape and the seed alone; neither order nor neighbours matter."""
    return {name: _value(name, tensor, seed) for name, tensor in state.items()}


def _value(name: str, like: torch.Tensor, seed: int) -> torch.Tensor:
    if not like.is_floating_point():
        return torch.zeros_like(like)
    rng = np.random.Generator(np.random.PCG64(_number(seed, name)))
    drawn = rng.standard_normal(like.shape)
    if name.endswith("running_var"):
        drawn = 0.5 + drawn**2
    elif like.ndim <= 1 and not name.endswith(("bias", "running_mean")):
        drawn = 1 + 0.1 * drawn
    elif like.ndim <= 1:
        drawn = 0.1 * drawn
    else:
        # A ReLU halves the variance of what a convolution gives.
        drawn = drawn * math.sqrt((2 if like.ndim > 2 else 1) / max(math.prod(like.shape[1:]), 1))
    return torch.from_numpy(np.asarray(drawn, dtype=np.float32))


def _number(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\t{name}".encode()).digest()[:8], "big")
