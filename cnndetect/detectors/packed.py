"""The codec of packed weights: eight or six bits each instead of 32.

Every convolution and linear weight is stored as a whole number with one scale per output channel (symmetric, nearest);
everything else, such as batch-norm statistics, stays float32. ResNet-50: 94 MB -> 24 MB with eight bits, 19 MB with six
for its large tensors.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cnndetect.errors import WeightsError
from cnndetect.packing import from_steps, to_steps

# 17 of a ResNet-50's 54 weight tensors are as large as this, and hold four fifths of its weights.
LEAST_SIX = 300_000
INT8, INT6, SCALE, SHAPE = ".int8", ".int6", ".scale", ".shape"


def to_int8(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Quantise every float tensor of two or more dimensions; no weight moves by more than half a scale.

    Raises WeightsError where a weight is NaN or infinite.

    >>> sorted(to_int8({"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)}))
    ['fc.bias', 'fc.weight.int8', 'fc.weight.scale']
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        steps = _steps(name, value, 127)
        if steps is None:
            packed[name] = value.contiguous()
        else:
            packed[name + INT8], packed[name + SCALE] = steps
    return packed


def to_int6(state: dict[str, Tensor], *, least: int = LEAST_SIX) -> dict[str, Tensor]:
    """The same with six bits a weight, four of them in three bytes: uint8 [ceil(N / 4) * 3], with the shape beside it.

    least: smaller tensors keep eight bits. They are the early layers, which are few and matter most: with six bits
    everywhere the logits of the first bundled ResNet-50 moved five times as far.

    >>> to_int6({"fc.weight": torch.ones(2, 3)}, least=1)["fc.weight.int6"].shape
    torch.Size([6])
    """
    packed = to_int8({name: value for name, value in state.items() if value.numel() < least})
    for name, value in state.items():
        if value.numel() < least:
            continue
        steps = _steps(name, value, _HALF_RANGE - 1)
        if steps is None:
            packed[name] = value.contiguous()
        else:
            packed[name + INT6], packed[name + SCALE] = _pack_six(steps[0]), steps[1]
            packed[name + SHAPE] = torch.tensor(value.shape, dtype=torch.int32)
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
                raise WeightsError(f"{name} has no {key}{SCALE} of length {len(value)} beside it. Quantise the weights again.")
            state[key] = from_steps(value, scale)
        elif not (name.endswith(SCALE) and name.removesuffix(SCALE) + INT8 in packed):
            state[name] = value.float() if value.is_floating_point() else value
    return state


_HALF_RANGE = 32


def _steps(name: str, value: Tensor, largest: int) -> tuple[Tensor, Tensor] | None:
    """Whole numbers from -largest to largest, int8, and the scale per output channel; None for what stays as it is."""
    if not torch.isfinite(value).all():
        raise WeightsError(f"{name} holds NaN or infinity. Expected finite weights; the training run diverged.")
    if not value.is_floating_point() or value.ndim < 2:
        return None
    return to_steps(value, largest=largest)


def _pack_six(steps: Tensor) -> Tensor:
    """int8 of any shape, -31 to 31 -> uint8 [ceil(N / 4) * 3]: the first of four in the highest bits."""
    flat = steps.flatten().int() + _HALF_RANGE
    four = torch.nn.functional.pad(flat, (0, -len(flat) % 4)).view(-1, 4)  # [ceil(N / 4), 4], each below 64
    word = four[:, 0] << 18 | four[:, 1] << 12 | four[:, 2] << 6 | four[:, 3]
    return torch.stack([word >> 16, word >> 8 & 255, word & 255], dim=1).flatten().to(torch.uint8)


def _unpack_six(content: Tensor, shape: list[int]) -> Tensor:
    """The inverse of ``_pack_six``: int8 of ``shape``."""
    first, second, third = content.view(-1, 3).unbind(dim=1)  # bytes, 8 bits at a time: whole words would take four times the memory
    four = torch.empty((len(first), 4), dtype=torch.uint8)
    four[:, 0] = first >> 2
    four[:, 1] = (first & 3) << 4 | second >> 4
    four[:, 2] = (second & 15) << 2 | third >> 6
    four[:, 3] = third & 63
    four = four.flatten()
    return (four[: math.prod(shape)].view(torch.int8) - _HALF_RANGE).view(shape)


def _widen(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Six-bit entries as int8 ones; the rest as it is."""
    state: dict[str, Tensor] = {}
    for name, value in packed.items():
        if name.endswith(INT6):
            key = name.removesuffix(INT6)
            shape = packed.get(key + SHAPE)
            if shape is None or len(value) != -(-math.prod(shape.tolist()) // 4) * 3:
                raise WeightsError(f"{name} has no {key}{SHAPE} that fits its {len(value)} bytes. Quantise the weights again.")
            state[key + INT8] = _unpack_six(value, shape.tolist())
        elif not (name.endswith(SHAPE) and name.removesuffix(SHAPE) + INT6 in packed):
            state[name] = value
    return state
