"""Weights of one byte each: a float state in, an int8 state out, and back.

Every convolution and linear weight is stored as int8 with one scale per output channel (symmetric, nearest);
everything else, such as batch-norm statistics, stays float32. ResNet-50: 94 MB -> 24 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from cnndetect.errors import CnndetectError, WeightsError

INT8, SCALE = ".int8", ".scale"

EXAMPLES = """examples:
  python -m cnndetect.detectors.quantize runs/mine/best.safetensors weights/mine.safetensors
  python -m cnndetect.detectors.quantize blur_jpg_prob0.1.pth small.safetensors --compare DATA/val
  python -m cnndetect.detectors.quantize best.safetensors small.safetensors --compare DATA/val --device cuda
"""


def to_int8(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Quantise every float tensor of two or more dimensions; no weight moves by more than half a scale.

    Raises WeightsError where a weight is NaN or infinite.

    >>> sorted(to_int8({"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)}))
    ['fc.bias', 'fc.weight.int8', 'fc.weight.scale']
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise WeightsError(f"{name} holds NaN or infinity. Expected finite weights; the training run diverged.")
        if value.is_floating_point() and value.ndim >= 2:
            weights = value.float()
            scale = weights.abs().flatten(1).amax(dim=1).clamp(min=1e-12) / 127
            packed[name + INT8] = (weights / _per_channel(scale, weights)).round().clamp(-127, 127).to(torch.int8)
            packed[name + SCALE] = scale
        else:
            packed[name] = value.contiguous()
    return packed


def from_int8(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """The float32 state of a quantised one; a state without int8 entries (float32, half) comes back in float32."""
    state: dict[str, Tensor] = {}
    for name, value in packed.items():
        if name.endswith(INT8):
            key = name.removesuffix(INT8)
            scale = packed.get(key + SCALE)
            if scale is None or scale.shape != value.shape[:1]:
                raise WeightsError(f"{name} has no {key}{SCALE} of length {len(value)} beside it. Quantise the weights again.")
            state[key] = value.float() * _per_channel(scale, value)
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

    DESIGN's rule for bundled weights: one byte per weight where the AP falls by 0.001 or less.
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
    """Write the int8 file; print its size, its SHA-256 and, on demand, what it did to the logits."""
    from cnndetect.detectors.weights import file_sha256, load_state

    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.detectors.quantize", description=main.__doc__,
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    parser.add_argument("source", type=Path, help="weights to read: .safetensors, .pth or .pt")
    parser.add_argument("target", type=Path, help=".safetensors to write")
    parser.add_argument("--compare", type=Path, metavar="FOLDER", help="images with 0_real/ and 1_fake/ to compare logits and AP on")
    parser.add_argument("--device", metavar="NAME", help="for --compare; default: CUDA where there is one")
    options = parser.parse_args(arguments)
    try:
        save_file(to_int8(load_state(options.source)), options.target)
        answer = {"file": options.target.name, "bytes": options.target.stat().st_size, "sha256": file_sha256(options.target)}
        if options.compare:
            answer |= asdict(compare(options.source, options.target, options.compare, device=options.device))
    except (CnndetectError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


def _per_channel(scale: Tensor, weights: Tensor) -> Tensor:
    return scale.float().view(-1, *([1] * (weights.ndim - 1)))  # [C] -> [C, 1, ...]


if __name__ == "__main__":
    sys.exit(main())
