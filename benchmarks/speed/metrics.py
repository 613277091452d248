"""How long all figures of one test set take with their intervals: ``python benchmarks/speed/metrics.py``."""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from cnndetect.metrics.intervals import set_metrics


def main() -> None:
    """Draw scores, measure once without and once with the bootstrap, print seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, default=2000)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, options.scores)
    logits = rng.normal(size=options.scores) + labels
    seconds = {}
    for name, draws in (("values", 0), ("with intervals", options.draws)):
        wall, processor = time.perf_counter(), time.process_time()
        found = set_metrics(labels, logits, threshold=0.5, draws=draws)
        seconds[name] = {"wall_s": round(time.perf_counter() - wall, 2), "cpu_s": round(time.process_time() - processor, 2)}
    print(json.dumps({"scores": options.scores, "draws": options.draws, **seconds, "ap": [found.ap.value, found.ap.low, found.ap.high]}))


if __name__ == "__main__":
    main()
