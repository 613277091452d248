"""Limiting a training set must not make real and fake differ in how their files came about."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cnndetect.data.folders import Sample, class_of, kind_of, spread

KINDS = ("", "-mirrored", "-native0", "-native1")


def made(fake_kinds=KINDS):
    samples = []
    for category in ("cat", "dog"):
        for number in range(150):
            samples += [(0, f"{category}/0_real/{number:05d}{kind}.png") for kind in KINDS]
            samples += [(1, f"{category}/1_fake/{number:05d}{kind}.png") for kind in fake_kinds]
    return tuple(Sample(Path(name), label, name, name) for label, name in sorted(samples))


@pytest.mark.parametrize("limit", [64, 200, 240, 300, 800, 1600])
def test_every_kind_of_view_keeps_its_share_in_every_class_and_label(limit):
    chosen = spread(made(), limit)
    counts = Counter((class_of(one), one.label, kind_of(one)) for one in chosen)
    assert len(chosen) == limit
    # A quarter is plain, a quarter mirrored, one half native.
    for (_, _, kind), count in counts.items():
        assert abs(count - limit / 4 * {"": 0.25, "mirrored": 0.25, "native": 0.5}[kind]) <= 1


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_pairs_stay_pairs_and_the_seed_decides(seed):
    chosen = spread(made(), 320, seed=seed)
    names = [{one.relative.split("/")[0] + one.path.name for one in chosen if one.label == label} for label in (0, 1)]
    assert names[0] == names[1] and chosen == spread(made(), 320, seed=seed) != spread(made(), 320, seed=seed + 1)
