"""Paired differences: mirror images, exact zeros, no order, and no pairing of different images."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cnndetect.bench.__main__ import main
from cnndetect.bench.paired import Contestant, compare, paired, paired_table
from cnndetect.bench.results import read_result, result_of
from cnndetect.bench.tables import points
from cnndetect.errors import DataError, UnknownNameError
from cnndetect.metrics.intervals import Interval, jackknife, macro_average_precision, paired_difference
from cnndetect.scoring.scores import read_scores
from tests.drawn_results import draw_results, drawn_scores

DRAWS = 60


def contestant(name: str, gap: float, *, order: np.ndarray | None = None, drawn_as: str | None = None) -> Contestant:
    found = [drawn_scores(drawn_as or name, family, "none", "nocrop", "s@1", 20, gap=gap).at_worst() for family in ("crn", "san")]
    if order is not None:
        found = [replace(s, labels=s.labels[order], logits=s.logits[order], clusters=s.clusters[order]) for s in found]
    return Contestant(name, ("crn", "san"), jackknife(found, draws=DRAWS))


def turned(interval: Interval) -> tuple[float, float, float]:
    return -interval.value, -interval.high, -interval.low


def test_a_minus_b_is_minus_b_minus_a() -> None:
    a, b = contestant("a", 2.0), contestant("b", 0.5)
    one, other = compare(a, b), compare(b, a)
    assert (one.macro.value, one.macro.low, one.macro.high) == turned(other.macro)
    for name in one.by_set:
        found = one.by_set[name]
        assert (found.value, found.low, found.high) == turned(other.by_set[name])
    assert one.distinguishable and other.distinguishable and one.macro.value > 0.1


def test_equal_detectors_differ_by_exactly_nothing() -> None:
    a, twin = contestant("a", 1.0), contestant("twin", 1.0, drawn_as="a")
    for found in (compare(a, twin), compare(twin, a)):
        assert found.macro == Interval(0.0, 0.0, 0.0) and not found.distinguishable
        assert set(found.by_set.values()) == {Interval(0.0, 0.0, 0.0)}
        assert "-" not in points(found.macro)


def test_the_order_of_images_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(40)
    straight = compare(contestant("a", 1.0), contestant("b", 0.5))
    assert compare(contestant("a", 1.0, order=order), contestant("b", 0.5, order=order)) == straight


def test_figures_are_those_of_the_other_paths() -> None:
    sets = {name: [drawn_scores(name, f, "none", "nocrop", "s@1", 20, gap=1.0).at_worst() for f in ("crn", "san")] for name in "ab"}
    found = compare(contestant("a", 1.0), contestant("b", 1.0))
    macro = {name: macro_average_precision(sets[name], draws=0).value for name in "ab"}
    assert found.macro.value == pytest.approx(macro["a"] - macro["b"], abs=1e-12)
    # One test set alone: the plain paired bootstrap.
    alone = [Contestant(n, ("crn",), jackknife(sets[n][:1], draws=DRAWS)) for n in "ab"]
    first = sets["a"][0]
    plain = paired_difference(first.labels, first.logits, sets["b"][0].logits, clusters=first.clusters, draws=DRAWS)
    got = compare(*alone).macro
    assert (got.value, got.low, got.high) == pytest.approx((plain.value, plain.low, plain.high), abs=1e-12)


def test_pairing_narrows_the_interval() -> None:
    # The same logits with a little noise: nearly the same errors on the same images.
    a = [drawn_scores("a", f, "none", "nocrop", "s@1", 40, gap=1.0).at_worst() for f in ("crn", "san")]
    rng = np.random.default_rng(1)
    b = [replace(s, logits=s.logits + rng.normal(0, 0.05, len(s.logits))) for s in a]
    one, other = (Contestant(n, ("crn", "san"), jackknife(s, draws=DRAWS)) for n, s in (("a", a), ("b", b)))
    difference = compare(one, other).macro
    assert difference.high - difference.low < 0.3 * (one.aps.macro.high - one.aps.macro.low)


def test_every_pair_once_the_better_first(tmp_path: Path) -> None:
    draw_results(tmp_path)
    found = paired(tmp_path, draws=DRAWS)
    assert [(c.a, c.b) for c in found.comparisons] == [("good", "fair"), ("good", "poor"), ("fair", "poor")]
    assert all(c.macro.value >= 0 for c in found.comparisons) and found.comparisons[1].distinguishable
    assert paired(tmp_path, ["poor", "good"], draws=DRAWS).comparisons == paired(tmp_path, ["good", "poor"], draws=DRAWS).comparisons
    text = paired_table(found)
    assert "not corrected" not in text and points(found.comparisons[0].macro) in text
    draw_results(tmp_path, detectors=("good", "fair", "poor", "worst"))
    assert "of 6 pairs that were truly equal, about 0.3" in paired_table(paired(tmp_path, draws=DRAWS))


def test_other_images_cannot_be_paired(tmp_path: Path) -> None:
    draw_results(tmp_path, detectors=("good", "poor"))
    path = tmp_path / "poor" / "san.nocrop.json"
    scores = read_scores(path.with_suffix(".npz"))
    moved = replace(scores, provenance=msgspec.structs.replace(scores.provenance, fingerprint="f" * 64))
    moved.save(path.with_suffix(".npz"))
    result_of(moved, draws=5, seed=0).save(path)
    with pytest.raises(DataError, match="not made from the same images") as caught:
        paired(tmp_path, draws=DRAWS)
    assert str(path) in str(caught.value) and str(tmp_path / "good" / "san.nocrop.json") in str(caught.value)


def test_a_missing_test_set_is_named(tmp_path: Path) -> None:
    draw_results(tmp_path)
    (tmp_path / "poor" / "san.nocrop.json").unlink()
    with pytest.raises(DataError, match="poor lacks san"):
        paired(tmp_path, ["good", "poor"], draws=DRAWS)
    found = paired(tmp_path, draws=DRAWS)
    assert [(c.a, c.b) for c in found.comparisons] == [("good", "fair")] and "poor lacks san" in paired_table(found)
    with pytest.raises(UnknownNameError, match="goud"):
        paired(tmp_path, ["goud", "poor"])


def test_several_suites_have_to_be_chosen(tmp_path: Path) -> None:
    draw_results(tmp_path / "a")
    draw_results(tmp_path / "b", suite="other@2")
    with pytest.raises(DataError, match="drawn@1, other@2"):
        paired(tmp_path)
    assert paired(tmp_path, suite="other", draws=DRAWS).suite == "other@2"
    with pytest.raises(DataError, match="crop224"):
        paired(tmp_path, protocol="crop224")
    assert read_result(tmp_path / "b" / "good" / "crn.nocrop.json").suite == "other@2"


def test_the_embedded_suite_is_preferred_and_an_unknown_detector_named_first(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for version in (4, 10):
        draw_results(tmp_path / str(version), suite=f"mini@{version}")
    draw_results(tmp_path / "other", detectors=("good", "fair"), suite="other@2")
    assert paired(tmp_path, draws=DRAWS).suite == "mini@10"
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "other@2; shown: mini@10" in said and "--suite" in said
    draw_results(tmp_path / "third", detectors=("other-good", "other-poor"), suite="third@1")
    with pytest.raises(UnknownNameError, match="goud"):
        paired(tmp_path, ["goud", "poor"])
    assert paired(tmp_path, ["other-good", "other-poor"], draws=DRAWS).suite == "third@1"  # the only one that has both
    assert not capsys.readouterr().err


def test_scores_of_another_run_are_refused(tmp_path: Path) -> None:
    draw_results(tmp_path, detectors=("good", "poor"))
    drawn_scores("good", "crn", "none", "nocrop", "other@1", 20, gap=1.0).save(tmp_path / "good" / "crn.nocrop.npz")
    with pytest.raises(DataError, match="different runs"):
        paired(tmp_path, draws=DRAWS)


def test_the_command_prints_tables_and_json(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    draw_results(tmp_path)
    asked = ["compare", "--results", str(tmp_path), "--draws", str(DRAWS), "--detector", "good", "--detector", "poor"]
    assert main(asked) == 0
    text = capsys.readouterr().out
    assert "| A " in text and "| good" in text and "fair" not in text
    assert main([*asked, "--json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (pair["a"], pair["b"], pair["distinguishable"]) == ("good", "poor", True)
    assert pair["macro_ap"]["value"] == pytest.approx(np.mean([one["value"] for one in pair["test_sets"].values()]))
    assert main([*asked, "--format", "csv"]) == 0
    head, row, *_ = csv.reader(capsys.readouterr().out.splitlines())
    assert row[:3] == ["good", "poor", "macro mean AP"] and float(row[head.index("ap_difference")]) == pytest.approx(
        pair["macro_ap"]["value"]
    )
    assert main([*asked, "--format", "latex"]) == 0
    text = capsys.readouterr().out
    assert text.count("\\toprule") == 2 and "|" not in text and "−" not in text
    assert main(["paired", "--results", str(tmp_path), "--suite", "nowhere"]) == 1
