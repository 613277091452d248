"""Peak memory and time of ResNet-50 on one large image: ``python benchmarks/speed/large_images.py --size 4000x6000``.

Each way runs in a process of its own, so that ru_maxrss is its own peak. Weights are random: the figures do not depend on them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

# Above any image: nothing goes in strips.
NEVER = 10**12


def main() -> None:
    """Score one drawn image in strips and whole; print peak memory, seconds, and how far the two logits are apart, as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--size", default="3420x5113", metavar="HxW", help="default: the mean size of the official SITD set")
    parser.add_argument("--strips-only", action="store_true", help="for sizes that do not fit whole")
    parser.add_argument("--way", choices=("strips", "whole"), default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.size, options.way)))
        return

    ways = ("strips",) if options.strips_only else ("strips", "whole")
    found = {}
    for way in ways:
        command = [sys.executable, __file__, "--size", options.size, "--way", way]
        found[way] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if len(found) == 2:
        found["difference"] = abs(found["strips"]["logit"] - found["whole"]["logit"])
    print(json.dumps({"size": options.size, **found}, indent=1))


def measure(size: str, way: str) -> dict[str, float]:
    """One call of ``score``, as a user makes it."""
    import torch

    from cnndetect.detectors.base import Detector
    from cnndetect.detectors.networks import strips
    from cnndetect.detectors.networks.resnet import resnet50_one_logit
    from cnndetect.scoring import score

    if way == "whole":
        strips.WHOLE_PIXELS = NEVER
    high, wide = map(int, size.split("x"))
    image = np.random.default_rng(0).integers(0, 256, (high, wide, 3), dtype=np.uint8)
    torch.manual_seed(0)
    detector = Detector("random", resnet50_one_logit())
    before, started = _peak_gb(), time.perf_counter()
    logit = score(image, detector=detector, return_logit=True)
    seconds = time.perf_counter() - started
    return {"peak_gb": _peak_gb(), "before_gb": before, "seconds": round(seconds, 1), "logit": logit, "threads": torch.get_num_threads()}


def _peak_gb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)  # Linux counts kibibytes


if __name__ == "__main__":
    main()
