"""The codec of packed weights: few bits each instead of 32, Huffman-coded.

Every convolution and linear weight becomes a whole number with one scale per output channel (symmetric, nearest): of few bits
in large tensors, which hold most of the weights, of eight in others. With fewer than eight bits, small tensors are kept as
float16. Vectors, such as batch-norm statistics, stay float32, or become float16 with fewer than six bits. The whole numbers of
all but small tensors are deflated with Huffman codes alone, which takes another bit away.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import Tensor

from cnndetect.errors import WeightsError
from cnndetect.packing import from_steps, to_steps

# Early layers and depthwise convolutions are small and move the logits most: half precision costs little there.
LARGE, SMALL = 100_000, 20_000
HALVED_BELOW = 6  # bits; the rounding of few bits is a hundred times that of half precision
HALF_MOST = 60_000.0  # what float16 holds ends at 65,504
INT8, CODED, SCALE, SHAPE = ".int8", ".coded", ".scale", ".shape"


def to_packed(state: dict[str, Tensor], *, bits: int = 8, large: int = LARGE, small: int = SMALL) -> dict[str, Tensor]:
    """Quantise every float tensor of two or more dimensions; no weight moves by more than half a scale.

    bits: 2 to 8, of tensors with ``large`` weights or more.  small: tensors with fewer weights gain nothing from codes; they become
    int8, or float16 where large ones have fewer than eight bits.
    Raises WeightsError where a weight is NaN or infinite.

    >>> sorted(to_packed({"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)}, small=0))
    ['fc.bias', 'fc.weight.coded', 'fc.weight.scale', 'fc.weight.shape']
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise WeightsError(f"{name} holds NaN or infinity. Expected finite weights; the training run diverged.")
        if not value.is_floating_point():
            packed[name] = value.contiguous()
        elif value.ndim < 2:
            packed[name] = (value.half() if bits < HALVED_BELOW and float(value.abs().max()) < HALF_MOST else value).contiguous()
        elif value.numel() < small and bits < 8:
            packed[name] = value.half().contiguous()
        else:
            steps, packed[name + SCALE] = to_steps(value, largest=2 ** ((bits if value.numel() >= large else 8) - 1) - 1)
            if value.numel() < small:
                packed[name + INT8] = steps
            else:
                packed[name + CODED], packed[name + SHAPE] = _code(steps), torch.tensor(value.shape, dtype=torch.int32)
    return packed


def unpack(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """The float32 state of a packed one; a state without packed entries (float32, half) comes back in float32.

    Raises WeightsError where the scale or the shape of a packed weight is missing or does not fit.
    """
    packed, state = _widen(packed), dict[str, Tensor]()
    for name, value in packed.items():
        if name.endswith(INT8):
            key = name.removesuffix(INT8)
            scale = packed.get(key + SCALE)
            if scale is None or scale.shape != value.shape[:1]:
                raise WeightsError(f"{name} has no {key}{SCALE} of length {len(value)} beside it. Pack the weights again.")
            state[key] = from_steps(value, scale)
        elif not (name.endswith(SCALE) and name.removesuffix(SCALE) + INT8 in packed):
            state[name] = value.float() if value.is_floating_point() else value
    return state


def _code(steps: Tensor) -> Tensor:
    """int8 of any shape -> uint8 [N]: a raw deflate stream."""
    coder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    content = coder.compress(steps.contiguous().numpy().tobytes()) + coder.flush()
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy())


def _widen(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Coded entries as int8 ones; the rest as it is."""
    state: dict[str, Tensor] = {}
    for name, value in packed.items():
        if name.endswith(CODED):
            key = name.removesuffix(CODED)
            state[key + INT8] = _decode(name, value, packed.get(key + SHAPE))
        elif not (name.endswith(SHAPE) and name.removesuffix(SHAPE) + CODED in packed):
            state[name] = value
    return state


def _decode(name: str, content: Tensor, shape: Tensor | None) -> Tensor:
    """The inverse of ``_code``: int8 of ``shape``. No more is decompressed than the shape holds."""
    size = [] if shape is None else [int(side) for side in shape]
    if not size or min(size) < 1:
        raise WeightsError(f"{name} has no {name.removesuffix(CODED)}{SHAPE} beside it. Pack the weights again.")
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        steps = decoder.decompress(content.numpy().tobytes(), math.prod(size))
    except zlib.error as error:
        raise WeightsError(f"{name} cannot be decompressed ({error}). Fetch or pack the weights again.") from error
    if len(steps) != math.prod(size) or decoder.unconsumed_tail:
        raise WeightsError(f"{name} does not hold the {math.prod(size)} weights of its shape {size}. Pack the weights again.")
    return torch.from_numpy(np.frombuffer(steps, dtype=np.int8).copy()).view(size)
