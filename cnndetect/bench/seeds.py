"""Spread over training seeds, beside the sampling error over photographs: detectors NAME-s0, NAME-s1, ... are seeds of one training."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

HEAD = "seed spread"
NOTE = (
    "[..] is the sampling error: a 95 % interval over photographs, of these very weights. Seed spread is another thing: the standard "
    "deviation of the macro mean AP, in points, over trainings that differ by their seed alone (NAME-s0, NAME-s1, ...)."
)

_NAME = re.compile(r"(.+)-s(\d+)$")


def seed_spreads(means: Mapping[str, float]) -> dict[str, str]:
    """Detector -> standard deviation over the seeds of its training, as a cell; detectors without a second seed are left out.

    means: detector -> macro mean AP as a fraction.

    >>> seed_spreads({"a-s0": 0.90, "a-s1": 0.92, "b-s0": 0.5, "c": 0.7})
    {'a-s0': '±1.4, 2 seeds', 'a-s1': '±1.4, 2 seeds'}
    """
    groups: dict[str, list[str]] = {}
    for detector in means:
        found = _NAME.match(detector)
        if found:
            groups.setdefault(found[1], []).append(detector)
    cells: dict[str, str] = {}
    for names in groups.values():
        values = [means[name] for name in names]
        if len(values) > 1:
            cells |= dict.fromkeys(names, f"±{100 * np.std(values, ddof=1):.1f}, {len(values)} seeds")
    return cells
