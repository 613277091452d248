"""Standings, paired differences and ranks between conditions, against direct computation."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
from drawn_results import draw_results

from cnndetect.bench.ranks import COLUMNS, agreement, rank_rows
from cnndetect.bench.standings import differences, standings
from cnndetect.bench.store import Condition, families, read_runs
from cnndetect.metrics import average_precision
from cnndetect.metrics.intervals import (
    MetricError,
    SetScores,
    jackknife,
    macro_average_precision,
    paired_difference,
)

BASE = Condition("drawn@1", "nocrop")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    return read_runs([draw_results(root, degradations=("none", "jpeg_75"), protocols=("nocrop", "crop224"))])


def sets_of(rows, detector: str) -> list[SetScores]:
    return [rows[detector][name].scores.at_worst() for name in families(rows)]


def test_draws_are_the_means_and_the_paired_differences_of_the_bootstrap(runs) -> None:
    rows = runs[BASE]
    good, poor = sets_of(rows, "good"), sets_of(rows, "poor")
    drawn = {d: jackknife(sets, draws=50, seed=3) for d, sets in (("good", good), ("poor", poor))}
    assert drawn["good"].macro == macro_average_precision(good, draws=50, seed=3)

    one = [jackknife([sets[0]], draws=50, seed=3) for sets in (good, poor)]
    known = paired_difference(good[0].labels, good[0].logits, poor[0].logits, clusters=good[0].clusters, draws=50, seed=3)
    assert one[0].minus(one[1]) == known
    turned = drawn["poor"].minus(drawn["good"])
    forth = drawn["good"].minus(drawn["poor"])
    assert (turned.value, turned.low, turned.high) == pytest.approx((-forth.value, -forth.high, -forth.low))
    with pytest.raises(MetricError):
        drawn["good"].minus(one[0])


def test_standings_rank_by_the_macro_mean(runs) -> None:
    rows = runs[BASE]
    found = standings(rows, draws=50, seed=0)
    means = {d: np.mean([average_precision(s.labels, s.logits) for s in sets_of(rows, d)]) for d in rows}
    assert [s.detector for s in found.complete] == sorted(means, key=lambda d: -means[d])
    assert [s.rank for s in found.complete] == [1, 2, 3]
    for standing in found.complete:
        assert standing.macro.value == pytest.approx(means[standing.detector])
        assert 1 <= standing.rank_low <= standing.rank <= standing.rank_high <= 3
    pairs = differences(found.complete)
    assert list(pairs) == [("good", "fair"), ("good", "poor"), ("fair", "poor")]
    assert pairs["good", "poor"].value == pytest.approx(means["good"] - means["poor"])


def test_ranks_against_a_base(runs) -> None:
    ranked = rank_rows(runs, BASE)
    assert len(ranked) == 4 * 3 and [row.condition for row in ranked[:3]] == [BASE] * 3
    of = {(row.detector, row.condition): row for row in ranked}
    for row in ranked:
        base = of[row.detector, BASE]
        assert row.macro_ap_diff == pytest.approx(row.macro_ap - base.macro_ap) and row.rank_diff == base.rank - row.rank
        assert len(row.cells(BASE)) == len(COLUMNS)
    assert all(row.macro_ap_diff == row.rank_diff == 0 for row in ranked[:3])
    agreements = agreement(ranked, BASE)
    assert len(agreements) == 3 and all(-1 <= value <= 1 for value in agreements.values())


def test_a_turned_order_has_correlation_minus_one_and_moves_ranks(tmp_path) -> None:
    draw_results(tmp_path, detectors=("a", "b", "c"), per_class=200)
    draw_results(tmp_path, detectors=("c", "b", "a"), per_class=200, protocols=("crop224",))
    ranked = rank_rows(read_runs([tmp_path]), BASE)
    moved = {row.detector: row.rank_diff for row in ranked if row.condition != BASE}
    assert moved == {"a": -2, "b": 0, "c": 2}
    assert list(agreement(ranked, BASE).values()) == [-1.0]


def test_a_detector_that_the_base_lacks_is_ranked_and_not_compared(tmp_path) -> None:
    draw_results(tmp_path, detectors=("a", "b"))
    draw_results(tmp_path, detectors=("new", "a", "b"), protocols=("crop224",), per_class=200)
    rows = {row.detector: row for row in rank_rows(read_runs([tmp_path]), BASE) if row.condition != BASE}
    assert rows["new"].rank == 1 and rows["new"].rank_diff is None and rows["new"].macro_ap_diff is None
    # Among the two that both conditions have, nothing moved.
    assert rows["a"].rank == 2 and rows["a"].rank_diff == 0
    assert np.isnan(list(agreement(list(rows.values()), BASE).values())).all()


def test_trials_and_other_detectors_are_left_out(tmp_path) -> None:
    draw_results(tmp_path, detectors=("a", "b"))
    draw_results(tmp_path / "not-a-result", detectors=("a",), suite="trial@0")
    runs = read_runs([tmp_path], detectors=["a"])
    assert list(runs) == [BASE] and list(runs[BASE]) == ["a"]


@pytest.mark.parametrize("name", ["files", "report.page", "bench.store"])
def test_examples_run(name) -> None:
    found = doctest.testmod(importlib.import_module(f"cnndetect.{name}"))
    assert found.attempted > 0 and not found.failed


def test_families_stand_in_the_papers_order(tmp_path: Path) -> None:
    draw_results(tmp_path, detectors=("a",), families=("zebra", "san", "apple", "progan"))
    assert families(read_runs([tmp_path])[BASE]) == ["progan", "san", "apple", "zebra"]
