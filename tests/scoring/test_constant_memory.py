"""A pass over a test set streams: four times the images take no more memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

# ru_maxrss is the peak of the whole process so far: the second pass adds only what it needs beyond the first.
PASSES = """
import resource, sys
from pathlib import Path
import torch
from cnndetect.bench.run import Options, run_suite
from cnndetect.bench.suites import Suite, TestSet
from cnndetect.detectors.base import Detector

torch.set_num_threads(1)
pooled = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 1))
for root in map(Path, sys.argv[1:]):
    suite = Suite("many", 0, (TestSet("many", root),))
    for protocol in ("crop224", "nocrop"):
        options = Options(protocol, draws=0, batch_size=8)
        (result,) = run_suite(Detector("small", pooled), suite, options, results=root.parent / protocol).results
        assert result.n_failed == 0
    print(result.n_real + result.n_fake, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def images(root: Path, count: int) -> Path:
    """COUNT images of five sizes, half real; the same pixels under many names."""
    rng = np.random.default_rng(0)
    for label in ("0_real", "1_fake"):
        (root / label).mkdir(parents=True)
        for index in range(count // 2):
            target, first = root / label / f"{index}.bmp", root / label / f"{index % 5}.bmp"
            if index < 5:
                pixels = rng.integers(0, 256, (240 + 20 * index, 280, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(target)
            else:
                os.link(first, target)
    return root


def test_four_times_the_images_take_no_more_memory(tmp_path) -> None:
    roots = [images(tmp_path / str(count) / "many", count) for count in (80, 320)]
    command = [sys.executable, "-c", PASSES, *map(str, roots)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (few, before), (many, after) = (map(int, line.split()) for line in found.splitlines())
    assert (few, many) == (80, 320)
    # The 240 further images are 56 MB as pixels, 140 MB as crops and 220 MB as tensors.
    assert after - before < 30, found
