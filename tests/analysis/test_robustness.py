"""Robustness: curves and shifts from stored scores, and readings that say which class moved."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_suite import draw_suite, run

from cnndetect.analysis.robustness import Robustness, as_rows, degraded_scores, robustness
from cnndetect.analysis.robustness_table import GROUPS, chosen
from cnndetect.bench.__main__ import main
from cnndetect.errors import DataError, UnknownNameError
from cnndetect.metrics import average_precision
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores
from cnndetect.transforms.degrade import DEGRADATIONS

COUNT = 60


def stored(degradation: str = "none", *, test_set: str = "crn", real: float = 0.0, fake: float = 0.0, **changes: Any) -> Scores:
    """Overlapping logits, the reals moved by ``real`` and the fakes by ``fake``."""
    rng = np.random.default_rng(len(test_set))
    labels = np.repeat([0, 1], COUNT)
    logits = rng.normal(labels * 2.0 - 1.0, 1.0) + np.where(labels == 0, real, fake)
    names = np.array([f"{label}/{index}.png" for index, label in enumerate(labels)])
    origin: dict[str, Any] = {"test_set": test_set, "fingerprint": test_set, "identity": "i"} | changes
    provenance = Provenance(detector="d", suite="s@1", protocol="nocrop", degradation=degradation, threshold_logit=0.0, **origin)
    return Scores(names, names, labels.astype(np.int8), logits, np.array([""] * 2 * COUNT), provenance)


def measured(**moves: tuple[float, float]) -> Robustness:
    runs = {"none": {"crn": stored()}}
    runs |= {name: {"crn": stored(name, real=real, fake=fake)} for name, (real, fake) in moves.items()}
    return robustness(runs, draws=100)


def test_shifts_are_medians_of_the_changes_and_ap_is_the_tables() -> None:
    found = measured(jpeg_75=(0.75, -0.5))
    clean, point = found.overall
    scores = stored("jpeg_75", real=0.75, fake=-0.5)
    assert clean.ap.value == average_precision(stored().labels, stored().logits)
    assert point.ap.value == average_precision(scores.labels, scores.logits) and point.ap.low < point.ap.value < point.ap.high
    assert point.real_shift.value == pytest.approx(0.75) and point.fake_shift.value == pytest.approx(-0.5)
    assert point.gap.value == pytest.approx(-1.25) and clean.gap.value == 0
    assert point.reals_above == (scores.logits[scores.labels == 0] > 0).mean()
    assert point.fakes_above == (scores.logits[scores.labels == 1] > 0).mean()


@pytest.mark.parametrize(("move", "reading"), [
    ((0.0, 0.0), "neither class moves"), ((0.01, -0.01), "neither class moves"), ((-1.0, 0.0), "only reals move"),
    ((0.0, -1.0), "only fakes move"), ((1.0, 1.0), "both move alike"), ((1.0, -1.0), "both move, closer"),
    ((-1.0, 1.0), "both move, apart"),
])  # fmt: skip
def test_a_reading_says_what_moved(move: tuple[float, float], reading: str) -> None:
    assert measured(blur_1=move).overall[1].reading == reading


def test_a_bias_that_raises_ap_is_still_named() -> None:
    clean, point = measured(web=(-2.0, 0.0)).overall
    assert point.ap.value > clean.ap.value and point.reading == "only reals move" and point.resized


def test_failed_images_count_at_their_worst_for_ap_and_not_for_shifts() -> None:
    broken = stored("hard", real=0.5)
    logits = np.where(np.arange(2 * COUNT) < 5, np.nan, broken.logits)
    found = robustness({"none": {"crn": stored()}, "hard": {"crn": replace(broken, logits=logits)}}, draws=50)
    whole = measured(hard=(0.5, 0.0)).overall[1]
    point = found.overall[1]
    assert point.n_failed == 5 and point.ap.value < whole.ap.value
    assert point.real_shift.value == pytest.approx(0.5)


def test_several_sets_give_the_mean_and_each_its_own_curve() -> None:
    runs = {
        name: {one: stored(name, test_set=one, real=shift) for one in ("crn", "biggan")}
        for name, shift in (("none", 0.0), ("jpeg_50", 1.0))
    }
    runs["blur_1"] = {"crn": stored("blur_1")}
    found = robustness(runs, draws=20)
    assert [point.degradation for point in found.overall] == ["none", "jpeg_50"]
    assert [point.degradation for point in found.by_set["crn"]] == ["none", "jpeg_50", "blur_1"]
    mean = np.mean([points[1].ap.value for points in found.by_set.values()])
    assert found.overall[1].ap.value == pytest.approx(mean)
    assert [p.degradation for p in found.curve(("jpeg_50", "jpeg_30", "none"))] == ["jpeg_50", "none"]
    assert len(as_rows(found.overall)) == 2 and as_rows(found.overall)[1]["ap"] == found.overall[1].ap.value


@pytest.mark.parametrize(("change", "what"), [({"fingerprint": "other"}, "other images"), ({"identity": "other"}, "other weights")])
def test_scores_of_other_images_or_weights_are_refused(change: dict[str, str], what: str) -> None:
    with pytest.raises(DataError, match=what):
        robustness({"none": {"crn": stored()}, "web": {"crn": stored("web", **change)}}, draws=0)
    with pytest.raises(DataError, match="never as it is"):
        robustness({"none": {"crn": stored()}, "web": {"biggan": stored("web", test_set="biggan")}}, draws=0)


def test_runs_are_read_back_from_the_benchs_folder(tmp_path: Path) -> None:
    suite, results = draw_suite(tmp_path / "suite"), tmp_path / "results"
    for name in ("none", "jpeg_50", "blur_0.5"):
        run(suite, results, degradation=name)
    run(suite, results, degradation="blur_1", limit=2)
    runs = degraded_scores(results, "brightness")
    assert list(runs) == ["none", "jpeg_50", "blur_0.5"] and list(runs["none"]) == ["biggan", "crn"]
    assert not np.array_equal(runs["none"]["crn"].logits, runs["blur_0.5"]["crn"].logits)
    with pytest.raises(DataError, match="holds no scores of nobody"):
        degraded_scores(results, "nobody")


def test_the_command_scores_what_is_missing_and_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite, results = draw_suite(tmp_path / "suite"), tmp_path / "results"
    words = [
        "robustness",
        "--suite",
        str(suite),
        "--detector",
        "cnndetect.detectors.networks.baselines:smoothness",
        "--results",
        str(results),
        "--draws",
        "20",
        "--degradation",
        "jpeg_50",
        "--degradation",
        "resize_0.5",
    ]
    assert main([*words, "--csv", str(tmp_path / "curves.csv")]) == 0
    text = capsys.readouterr().out
    assert "resize_0.5 *" in text and "another size" in text
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*.npz")}
    assert main([*words, "--json"]) == 0
    (plain,) = json.loads(capsys.readouterr().out)
    assert before == {path: path.stat().st_mtime_ns for path in results.rglob("*.npz")} and len(before) == 6
    assert [row["degradation"] for row in plain["overall"]] == ["none", "jpeg_50", "resize_0.5"]
    assert plain["overall"][0]["reals_above"] is None
    rows = list(csv.DictReader((tmp_path / "curves.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 9 and {row["test_set"] for row in rows} == {"all", "biggan", "crn"}


def test_groups_hold_known_names_and_a_wrong_one_is_told() -> None:
    assert set().union(*GROUPS.values()) == set(DEGRADATIONS)
    with pytest.raises(UnknownNameError, match="Did you mean 'jpeg_9"):
        chosen(["jpeg_09"])
