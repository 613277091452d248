"""Stability of verdicts: counted by hand on stored scores, reals and fakes apart, and only where every delivery is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_results import drawn_scores

from cnndetect.bench.leaderboard import leaderboard
from cnndetect.bench.results import result_of
from cnndetect.bench.stability import DELIVERIES, HEAD, Stability, stability, stability_table
from cnndetect.bench.store import Condition, read_runs
from cnndetect.errors import DataError
from cnndetect.metrics.shares import median_interval, share_interval
from cnndetect.scoring.scores import Scores

CONDITION = Condition("drawn@1", "nocrop")


def store(root: Path, degradation: str, logits: np.ndarray, **provenance: object) -> None:
    drawn = drawn_scores("d", "crn", degradation, "nocrop", "drawn@1", 20, gap=1.0)
    changed = type(drawn.provenance)(**{**{f: getattr(drawn.provenance, f) for f in drawn.provenance.__struct_fields__}, **provenance})
    errors = np.where(np.isnan(logits), "broken", "")
    scores = Scores(drawn.paths, drawn.clusters, drawn.labels, logits, errors, changed)
    path = root / "results" / "d" / f"crn.nocrop{'' if degradation == 'none' else f'.{degradation}'}.json"
    scores.save(path.with_suffix(".npz"))
    result_of(scores, draws=0, seed=0).save(path)


def measured(root: Path) -> Stability | None:
    return stability(read_runs([root]), CONDITION, "d")


@pytest.fixture
def clean(tmp_path: Path) -> np.ndarray:
    """Twenty reals below the threshold of 0.25, twenty fakes above it."""
    logits = np.repeat([-1.0, 1.0], 20)
    store(tmp_path, "none", logits)
    return logits


def test_shares_are_those_counted_by_hand(tmp_path: Path, clean: np.ndarray) -> None:
    for place, name in enumerate(DELIVERIES):
        moved = clean.copy()
        moved[place % 4] = 0.3  # another real each time, four in all
        moved[20:22] = np.nan if name == "jpeg_50" else clean[20:22]  # a delivery that breaks the image
        store(tmp_path, name, moved)
    found = measured(tmp_path)
    assert found is not None and found.any is not None and tuple(found.by_delivery) == DELIVERIES
    assert {turned.real.value for turned in found.by_delivery.values()} == {1 / 20}
    assert (found.any.real.value, found.any.fake.value) == (4 / 20, 2 / 20)
    assert found.by_delivery["webp_80"].fake.value == 0 and found.by_delivery["webp_80"].fake.high > 0.1
    assert found.any.real.low < 4 / 20 < found.any.real.high
    assert "any of them" in stability_table([found])
    assert HEAD in leaderboard(tmp_path) and f"{found.any}" in leaderboard(tmp_path)


def test_some_deliveries_give_no_share_over_all(tmp_path: Path, clean: np.ndarray) -> None:
    assert measured(tmp_path) is None
    store(tmp_path, "jpeg_50", clean)
    found = measured(tmp_path)
    assert found is not None and found.any is None and found.by_delivery["jpeg_50"].real.value == 0
    assert HEAD not in leaderboard(tmp_path)


def test_an_image_without_a_verdict_does_not_count(tmp_path: Path, clean: np.ndarray) -> None:
    broken = clean.copy()
    broken[:10] = np.nan
    store(tmp_path, "none", broken)
    store(tmp_path, "jpeg_50", np.where(np.arange(40) < 15, 1.0, clean))
    found = measured(tmp_path)
    assert found is not None and found.by_delivery["jpeg_50"].real.value == 5 / 10


def test_other_images_are_not_compared(tmp_path: Path, clean: np.ndarray) -> None:
    store(tmp_path, "jpeg_50", clean, fingerprint="0" * 64)
    with pytest.raises(DataError, match="not made from the same images"):
        measured(tmp_path)


@pytest.mark.parametrize("size", [1, 3])
def test_intervals_of_shares_and_medians_hold_their_truth(size: int) -> None:
    rng = np.random.default_rng(0)
    held = np.zeros((2, 400))
    for run in range(400):
        shared = np.repeat(rng.normal(size=40), size) if size > 1 else rng.normal(size=40)
        values = 0.7 * shared + np.sqrt(1 - 0.49) * rng.normal(size=40 * size)
        clusters = np.repeat(np.arange(40), size)
        share, median = share_interval(values > 0.6744897501960817, clusters), median_interval(values, clusters)
        held[:, run] = share.low <= 0.25 <= share.high, median.low <= 0 <= median.high
    assert ((held.mean(axis=1) > 0.91) & (held.mean(axis=1) < 0.99)).all(), held.mean(axis=1)
