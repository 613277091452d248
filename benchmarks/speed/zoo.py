"""Seconds per 1,000 images and peak memory of generators: ``python benchmarks/speed/zoo.py weights/zoo/*.pt``.

Each generator is measured in a process of its own, on one thread, over 30 images after a warm-up; the peak is of the process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

IMAGES = 30


def measure(weights: str) -> dict[str, object]:
    """Cost of one generator, in this process."""
    import numpy as np
    import torch

    from cnndetect.zoo.registry import load_generator

    torch.set_num_threads(1)
    generator = load_generator(weights)
    photo = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    generator.fake(0, seed=0, photo=photo)
    start = time.perf_counter()
    for index in range(IMAGES):
        generator.fake(index, seed=0, photo=photo)
    seconds = (time.perf_counter() - start) / IMAGES * 1000
    return {
        "generator": Path(weights).stem,
        "family": generator.family.name,
        "parameters": sum(parameter.numel() for parameter in generator.network.parameters()),
        "seconds_per_1000": round(seconds, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """One line of JSON per generator."""
    if sys.argv[1] == "--one":
        print(json.dumps(measure(sys.argv[2])))
        return
    for weights in sys.argv[1:]:
        print(subprocess.run([sys.executable, __file__, "--one", weights], check=True, capture_output=True, text=True).stdout, end="")


if __name__ == "__main__":
    main()
