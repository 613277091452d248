"""One table over several suites: who is ranked with whom, what the correlations are over, what the cells say."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import msgspec
import pytest
from drawn_results import drawn_scores
from drawn_suite import named

from cnndetect.bench.across import Across, across
from cnndetect.bench.across_text import as_csv, as_markdown
from cnndetect.bench.facts import facts_of
from cnndetect.bench.results import result_of
from cnndetect.bench.speed import keep_speed, measure_speed, read_speeds
from cnndetect.bench.standings import standings
from cnndetect.bench.store import read_runs
from cnndetect.cli.main import main
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.errors import DataError

GAPS = {"a": (2.0, 0.5), "b": (1.5, 1.0), "c": (1.0, 1.5), "d": (0.5, 2.0)}  # detector -> how good on each of two suites
SUITES = ("one@1", "two@3")


def draw(
    root: Path, detector: str, suite: str, gap: float, *, family: str = "crn", progan_only: bool | None = True, identity: str | None = None
) -> None:
    scores = drawn_scores(detector, family, "none", "nocrop", suite, 20, gap=gap)
    changed = {"progan_only": progan_only} | ({"identity": identity} if identity else {})
    scores = type(scores)(
        scores.paths, scores.clusters, scores.labels, scores.logits, scores.errors, msgspec.structs.replace(scores.provenance, **changed)
    )
    path = root / detector / suite.partition("@")[0] / f"{family}.nocrop.json"
    scores.save(path.with_suffix(".npz"))
    result_of(scores, draws=20, seed=0).save(path)


@pytest.fixture
def results(tmp_path) -> Path:
    """Four detectors of ProGAN alone whose order turns round between the suites, one of unknown origin that beats them all."""
    for detector, gaps in GAPS.items():
        for suite, gap in zip(SUITES, gaps, strict=True):
            for family in ("crn", "san"):
                draw(tmp_path, detector, suite, 2 * gap, family=family)
    for suite in SUITES:
        for family in ("crn", "san"):
            draw(tmp_path, "unknown", suite, 6.0, family=family, progan_only=None)
    return tmp_path


def group(table: Across, progan_only: bool) -> dict:
    found = next(one for one in table.groups if one.progan_only == progan_only)
    return {line.detector: line for line in found.lines}


def test_progan_only_detectors_and_others_are_never_in_one_ranking(results) -> None:
    table = across([results])
    assert set(group(table, True)) == set(GAPS) and set(group(table, False)) == {"unknown"}
    assert sorted(line.rank for line in group(table, True).values()) == [1, 2, 3, 4]  # as if the better one did not exist
    assert group(table, False)["unknown"].rank == 1
    assert [one.detectors for one in table.groups[0].agreements] == [4]


def test_a_detector_that_is_vouched_for_in_one_suite_alone_is_among_the_others(results) -> None:
    for family in ("crn", "san"):
        draw(results, "a", "one@1", 4.0, family=family, progan_only=None)
    assert set(group(across([results]), False)) == {"a", "unknown"}


def test_the_macro_of_a_suite_is_that_of_its_own_leaderboard(results) -> None:
    lines = group(across([results]), True)
    for condition, rows in read_runs([results]).items():
        own = standings({name: row for name, row in rows.items() if name in GAPS}, draws=20, seed=0)
        assert {s.detector: s.macro for s in own.complete} == {name: line.macros[condition.suite] for name, line in lines.items()}


def test_rank_correlations_see_that_the_order_turns_round(results) -> None:
    (one,) = across([results]).groups[0].agreements
    assert (one.first, one.second, one.detectors) == (*SUITES, 4)
    assert one.spearman == pytest.approx(-1) and one.kendall == pytest.approx(-1)
    (alone,) = across([results]).groups[1].agreements
    assert alone.detectors == 1 and math.isnan(alone.spearman) and math.isnan(alone.kendall)


def test_a_detector_without_a_test_set_is_listed_and_not_ranked(results) -> None:
    (results / "b" / "two" / "san.nocrop.json").unlink()
    table = across([results])
    line = group(table, True)["b"]
    assert line.rank is None and line.mean is None and line.lacks == {"two@3": ("san",)} and set(line.macros) == {"one@1"}
    assert table.groups[0].agreements[0].detectors == 3
    row = next(text for text in as_markdown(table).splitlines() if text.startswith("| -") and "| b" in text)
    assert "incomplete" in row


def test_what_cannot_be_compared_is_refused_by_name(results) -> None:
    with pytest.raises(DataError, match="three.*With results: one@1, two@3"):
        across([results], ["one", "three"])
    with pytest.raises(DataError, match="named twice"):
        across([results], ["one", "one@1"])
    for family in ("crn", "san"):
        draw(results, "a", "two@3", 1.0, family=family, identity="other weights")
    with pytest.raises(DataError, match="a stands for several weights"):
        across([results])


def test_csv_has_a_row_a_detector_and_a_figure_nobody_measured_is_empty(results) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(across([results], ["two", "one"])))))
    assert {row["model"] for row in rows} == {*GAPS, "unknown"} and len(rows) == 5
    assert {row["group"] for row in rows if row["model"] != "unknown"} == {"progan"}
    assert {row["infer_samples_per_sec"] for row in rows} == {""} and {row["param_count"] for row in rows} == {""}
    macro = group(across([results]), True)["a"].macros["one@1"].value
    assert float(next(row for row in rows if row["model"] == "a")["one@1_macro_ap"]) == pytest.approx(macro)
    assert {row["two@3_families"] for row in rows} == {"2"}


def test_a_measured_speed_counts_for_the_weights_that_were_timed(results, tmp_path) -> None:
    timed = measure_speed(named(name="a", weights_sha256=None, identity="weights of a"), size=8, batch=2, seconds=0.001)
    keep_speed(results, timed)
    keep_speed(results, msgspec.structs.replace(timed, detector="b", identity="older weights"))
    lines = group(across([results]), True)
    assert lines["a"].facts.images_per_second == timed.images / timed.seconds and lines["b"].facts.images_per_second is None
    assert read_speeds(results)["a", "weights of a"] == timed


def test_the_command_prints_all_three_forms(results, tmp_path, capsys) -> None:
    words = ["leaderboard", "--suite", "all", "--results", str(results)]
    assert main([*words, "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [one["progan_only"] for one in content["groups"]] == [True, False]
    assert content["groups"][1]["rank_correlations"][0]["spearman"] is None
    assert main([*words, "--out", str(tmp_path / "table.md")]) == 0
    assert capsys.readouterr().out == (tmp_path / "table.md").read_text()
    assert main(["leaderboard", "--format", "csv", "--results", str(results)]) == 2
    assert "--suite" in capsys.readouterr().err


def test_parameters_of_a_published_detector_are_its_records_where_nobody_measured_its_speed() -> None:
    drawn = drawn_scores("npr", "crn", "none", "nocrop", "one@1", 4, gap=1).provenance
    known = msgspec.structs.replace(drawn, weights_sha256="f" * 64)
    assert facts_of(known, {}).parameters == round(1e6 * PUBLISHED["npr"].millions) > 0
    assert facts_of(msgspec.structs.replace(known, weights_sha256=None), {}).parameters is None
