"""Memory of scoring images of many different sizes: ``python benchmarks/speed/many_sizes.py --sizes 2000``.

Every image has a size of its own, the worst case for libraries that keep kernels by size. The images are drawn noise.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np


def main() -> None:
    """Score one image of each size; print peak and final memory in GB, and the share of sizes, as JSON. Exit 1 above --most-gb."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sizes", type=int, default=2000, metavar="N")
    parser.add_argument("--longest", type=int, default=512, metavar="PX", help="sides are drawn from 64 to this (default: 512)")
    parser.add_argument("--detector", default=None, help="default: the bundled one")
    parser.add_argument("--most-gb", type=float, default=1.5)
    options = parser.parse_args()

    from cnndetect.scoring import load_detector, score_stream

    detector = load_detector(options.detector, device="cpu")
    before, started, cpu = memory_gb(), time.perf_counter(), time.process_time()
    course = []
    for scored in score_stream(drawn(options.sizes, options.longest), detector=detector):
        assert scored.error is None, scored.error
        if scored.index % max(options.sizes // 10, 1) == 0:
            course.append(memory_gb())
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)  # Linux counts kibibytes
    found = {
        "detector": detector.name, "sizes": options.sizes, "longest_px": options.longest,
        "before_gb": before, "course_gb": course, "after_gb": memory_gb(), "peak_gb": peak,
        "seconds": round(time.perf_counter() - started, 1), "cpu_seconds": round(time.process_time() - cpu, 1),
    }  # fmt: skip
    print(json.dumps(found))
    sys.exit(peak > options.most_gb)


def drawn(count: int, longest: int) -> Iterator[np.ndarray]:
    """Noise, uint8 [H, W, 3], no two of a size."""
    rng = np.random.default_rng(0)
    seen: set[tuple[int, int]] = set()
    while len(seen) < count:
        size = (int(rng.integers(64, longest + 1)), int(rng.integers(64, longest + 1)))
        if size not in seen:
            seen.add(size)
            yield rng.integers(0, 256, (*size, 3), dtype=np.uint8)


def memory_gb() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return round(int(file.read().split()[1]) * resource.getpagesize() / 1e9, 2)


if __name__ == "__main__":
    main()
