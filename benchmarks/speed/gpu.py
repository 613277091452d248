"""Images per second on a GPU: ``python benchmarks/speed/gpu.py --out gpu.json``. It says "not measured" where there is none.

Two figures for every precision: images that lie decoded in memory, through the same ``score_batches`` as everything else, and the
same images as JPEG files, which shows what decoding limits.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scoring import draw

from cnndetect.backends import accelerated
from cnndetect.detectors.registry import load
from cnndetect.images import to_rgb_array
from cnndetect.scoring.engine import score_batches

WAYS = ("torch/float32", "torch/bfloat16", "compile/float32")


def main() -> None:
    """Measure every way, print JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--detector", default=None, help="default: the bundled one")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=None, help="that decode (default: one per core, at most four)")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("not measured: no GPU here")
        sys.exit(0)
    rows = [row for way in WAYS for row in measure(way, options)]
    options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(rows, indent=1))


def measure(way: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Images per second in memory and from files."""
    backend, _, precision = way.partition("/")
    detector = accelerated(load(options.detector, device=options.device), backend, precision)
    with tempfile.TemporaryDirectory() as folder:
        files = draw(Path(folder), str(options.side))
        arrays = [to_rgb_array(file) for file in files]
        loads: dict[str, list[Callable[[], np.ndarray]]] = {
            "in memory": [lambda array=array: array for array in arrays],
            "JPEG files": [lambda file=file: to_rgb_array(file) for file in files],
        }
        rates = {}
        for source, functions in loads.items():
            run(detector, functions, 4 * options.batch_size, options)
            started = time.perf_counter()
            run(detector, functions, options.images, options)
            rates[f"{source}, images/s"] = round(options.images / (time.perf_counter() - started))
    name = torch.cuda.get_device_name() if options.device.startswith("cuda") else options.device
    return [{"device": name, "detector": detector.name, "way": way, "side px": options.side, "batch": options.batch_size, **rates}]


def run(detector: Any, functions: list[Callable[[], np.ndarray]], count: int, options: argparse.Namespace) -> None:
    images: Iterable = ((index, functions[index % len(functions)]) for index in range(count))
    for _ in score_batches(detector, images, batch_size=options.batch_size, threads=options.threads):
        pass


if __name__ == "__main__":
    main()
