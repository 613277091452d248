"""Weights of one byte each: a float state in, an int8 state out, and back.

Every convolution and linear weight is stored as int8 with one scale per output channel (symmetric, nearest);
everything else, such as batch-norm statistics, stays float32. ResNet-50: 94 MB -> 24 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from cnndetect.errors import CnndetectError

INT8, SCALE = ".int8", ".scale"


def to_int8(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Quantise every float tensor of two or more dimensions.

    >>> sorted(to_int8({"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)}))
    ['fc.bias', 'fc.weight.int8', 'fc.weight.scale']
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.is_floating_point() and value.ndim >= 2:
            scale = value.abs().flatten(1).amax(dim=1).clamp(min=1e-12).float() / 127
            shape = (-1, *([1] * (value.ndim - 1)))
            packed[name + INT8] = (value.float() / scale.view(shape)).round().clamp(-127, 127).to(torch.int8)
            packed[name + SCALE] = scale
        else:
            packed[name] = value.contiguous()
    return packed


def from_int8(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """The float32 state of a quantised one; a state without int8 entries comes back in float32."""
    state: dict[str, Tensor] = {}
    for name, value in packed.items():
        if name.endswith(INT8):
            key = name.removesuffix(INT8)
            state[key] = value.float() * packed[key + SCALE].view(-1, *([1] * (value.ndim - 1)))
        elif not (name.endswith(SCALE) and name.removesuffix(SCALE) + INT8 in packed):
            state[name] = value.float() if value.is_floating_point() else value
    return state


def main() -> int:
    """``python -m cnndetect.detectors.quantize IN OUT``: write the int8 file and print its size and SHA-256."""
    from cnndetect.detectors.weights import file_sha256, load_state

    parser = argparse.ArgumentParser(prog="python -m cnndetect.detectors.quantize", description=main.__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    try:
        state = load_state(options.source)
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    save_file(to_int8(state), options.target)
    print(json.dumps({"file": options.target.name, "bytes": options.target.stat().st_size, "sha256": file_sha256(options.target)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
