"""Weights of eight or six bits each: a float state in, a packed state out, and back.

Every convolution and linear weight is stored as a whole number with one scale per output channel (symmetric, nearest);
everything else, such as batch-norm statistics, stays float32. ResNet-50: 94 MB -> 24 MB with eight bits, 19 MB with six
for its large tensors.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from cnndetect.errors import CnndetectError, WeightsError
from cnndetect.packing import from_steps, to_steps

# 17 of a ResNet-50's 54 weight tensors are as large as this, and hold four fifths of its weights.
LEAST_SIX = 300_000
INT8, INT6, SCALE, SHAPE = ".int8", ".int6", ".scale", ".shape"

EXAMPLES = """examples:
  python -m cnndetect.detectors.packed runs/mine/best.safetensors weights/mine.safetensors
  python -m cnndetect.detectors.packed blur_jpg_prob0.1.pth small.safetensors --bits 6 --compare DATA/val
  python -m cnndetect.detectors.packed best.safetensors small.safetensors --compare DATA/val --device cuda
"""


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


@dataclass(frozen=True)
class Comparison:
    """What storing the weights otherwise did to the logits of a test set."""

    images: int
    largest_difference: float
    mean_difference: float
    ap_before: float
    ap_after: float


def compare(before: str | Path, after: str | Path, root: str | Path, *, device: str | None = None) -> Comparison:
    """Logits and AP of two weights files on every image of a folder in the official layout, at native size.

    The rule for bundled weights: fewer bits only where the AP falls by 0.001 or less.
    """
    from cnndetect.data.folders import scan
    from cnndetect.detectors.registry import load
    from cnndetect.images import to_rgb_array
    from cnndetect.metrics import average_precision
    from cnndetect.transforms.preprocess import prepare

    samples = scan(root)
    pair = [load(path, device=device) for path in (before, after)]
    logits = np.empty((2, len(samples)))
    for column, sample in enumerate(samples):
        image = prepare(to_rgb_array(sample.path), "nocrop")[None]  # [1, 3, H, W]
        logits[:, column] = [detector.logits(image).item() for detector in pair]

    labels = [sample.label for sample in samples]
    difference = np.abs(logits[0] - logits[1])
    return Comparison(
        images=len(samples),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        ap_before=average_precision(labels, logits[0]),
        ap_after=average_precision(labels, logits[1]),
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the packed file; print its size, its SHA-256 and, on demand, what it did to the logits."""
    from cnndetect.detectors.weights import file_sha256, load_state

    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.detectors.packed",
        description=main.__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("source", type=Path, help="weights to read: .safetensors, .pth or .pt")
    parser.add_argument("target", type=Path, help=".safetensors to write")
    parser.add_argument("--bits", type=int, choices=(8, 6), default=8, help="bits of a weight (default: %(default)s)")
    parser.add_argument("--compare", type=Path, metavar="FOLDER", help="images with 0_real/ and 1_fake/ to compare logits and AP on")
    parser.add_argument("--device", metavar="NAME", help="for --compare; default: CUDA where there is one")
    options = parser.parse_args(arguments)
    try:
        pack = to_int8 if options.bits == 8 else to_int6
        save_file(pack(load_state(options.source)), options.target)
        answer = {"file": options.target.name, "bytes": options.target.stat().st_size, "sha256": file_sha256(options.target)}
        if options.compare:
            answer |= asdict(compare(options.source, options.target, options.compare, device=options.device))
    except (CnndetectError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


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
    three = content.view(-1, 3).int()
    word = three[:, 0] << 16 | three[:, 1] << 8 | three[:, 2]
    four = torch.stack([word >> shift & 63 for shift in (18, 12, 6, 0)], dim=1).flatten()
    return (four[: math.prod(shape)] - _HALF_RANGE).to(torch.int8).view(shape)


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


if __name__ == "__main__":
    sys.exit(main())
