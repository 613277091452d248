"""Reported figures: cited, consistent with themselves, never ranked, and compared where the same weights were measured here."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from drawn_suite import draw_suite, named, run
from msgspec import structs

from cnndetect.bench.leaderboard import leaderboard
from cnndetect.bench.reported import PAPER_SETS, differences, read_reported, reported_section
from cnndetect.bench.results import Result, read_result
from cnndetect.data.official.catalog import DATASETS
from cnndetect.detectors.official import OFFICIAL
from cnndetect.errors import DataError
from cnndetect.metrics.intervals import Interval, SetMetrics
from cnndetect.paths import reported_file

COUNTS = {group.title: (group.real, group.fake) for group in DATASETS["forensynths"].groups.values()}


@pytest.fixture(scope="module")
def shipped():
    return read_reported(reported_file())


@pytest.fixture
def measured(tmp_path):
    """A result of any test set and any figure, as if an official checkpoint had been scored."""
    run(draw_suite(tmp_path / "suite", families=("crn",), per_class=2), tmp_path / "r", draws=0)
    (path,) = (tmp_path / "r").rglob("*.json")
    template = read_result(path)

    def make(test_set: str, ap: float, *, weights: str = "wang2020-blur-jpg-0.1", protocol: str = "nocrop", **changes) -> Result:
        n_real, n_fake = COUNTS[test_set]
        record = OFFICIAL[weights]
        unknown = Interval(float("nan"), float("nan"), float("nan"))
        counts = {"n_real": changes.pop("n_real", n_real), "n_fake": changes.pop("n_fake", n_fake)}
        origin = {"detector": record.name, "test_set": test_set, "protocol": protocol, "weights_sha256": record.sha256} | changes
        provenance = structs.replace(template.provenance, **origin)
        metrics = SetMetrics(**{field.name: unknown for field in fields(SetMetrics)} | {"ap": Interval(ap, ap, ap)})
        return structs.replace(template, provenance=provenance, metrics=metrics, **counts)

    return make


def test_every_figure_has_a_source_and_is_a_percentage(shipped) -> None:
    for row in shipped.rows:
        assert row.values and all(0 <= value <= 1 for value in row.values.values())
        if row.data == "ForenSynths":
            assert set(row.values) <= set(COUNTS)
    for key, source in shipped.sources.items():
        assert source["title"] and source["url"].startswith("https://"), key
    assert {row.source for row in (*shipped.rows, *shipped.means)} == set(shipped.sources)


def test_the_papers_rows_average_to_their_printed_mean(shipped) -> None:
    paper = [row for row in shipped.rows if row.source == "paper"]
    assert len(paper) == 13
    for row in paper:
        assert sum(row.values[name] for name in PAPER_SETS) / 11 == pytest.approx(row.mean, abs=0.00051), row.detector


def test_the_readme_and_the_paper_agree_and_unverified_rows_say_so(shipped) -> None:
    readme = {row.weights: row for row in shipped.rows if row.source == "readme" and (row.metric, row.protocol) == ("ap", "crop224")}
    paper = {row.weights: row for row in shipped.rows if row.source == "paper" and row.weights}
    assert set(readme) == set(paper) == set(OFFICIAL)
    for weights, row in paper.items():
        assert row.verified and all(readme[weights].values[name] == value for name, value in row.values.items())
    # The rest of Table 2 could not be read at its source.
    assert not any(row.verified for row in shipped.rows if row.source == "paper" and not row.weights)
    assert "JPEG only †" in (text := reported_section(shipped, [])) and "Blur+JPEG (0.1) †" not in text.split("newer generators")[0]


def test_accuracy_is_the_mean_of_its_two_halves(shipped) -> None:
    # Two independent sources: the README's accuracies and the logs' split into reals and fakes.
    chosen = [row for row in shipped.rows if row.weights == "wang2020-blur-jpg-0.5" and row.source != "paper"]
    rows = {(row.metric, row.protocol): row.values for row in chosen}
    for protocol in ("crop224", "nocrop"):
        for name, real in rows["accuracy_real", protocol].items():
            n_real, n_fake = COUNTS[name]
            whole = (n_real * real + n_fake * rows["accuracy_fake", protocol][name]) / (n_real + n_fake)
            assert whole == pytest.approx(rows["accuracy", protocol][name], abs=0.0006), name


def test_a_measured_figure_stands_beside_and_is_flagged_beyond_half_a_point(shipped, measured) -> None:
    results = [measured("biggan", 0.8649), measured("gaugan", 0.9025)]
    found = {one.test_set: one for one in differences(shipped, results)}
    assert set(found) == {"biggan", "gaugan"}
    assert not found["biggan"].flagged and found["gaugan"].flagged and found["gaugan"].points == pytest.approx(-0.55)
    text = reported_section(shipped, results)
    line = next(line for line in text.splitlines() if line.startswith("| *measured here*"))
    assert "86.49" in line and "**90.25**" in line and "**86.49**" not in line
    assert re.search(r"on gaugan: reported 90.8, measured 90.25 \(-0.[56] points\)", text)
    assert "No measured figure differs" in reported_section(shipped, results[:1])
    assert "No official checkpoint was measured here" in reported_section(shipped, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"n_real": 1999}, {"protocol": "crop224"}, {"degradation": "jpeg_75"}, {"limit": 5}, {"weights_sha256": "0" * 64},
    ],
)  # fmt: skip
def test_other_images_weights_or_conditions_are_not_compared(shipped, measured, changes) -> None:
    assert differences(shipped, [measured("biggan", 0.5)])
    found = differences(shipped, [measured("biggan", 0.5, **changes)])
    # Another protocol has figures of its own.
    assert {one.row.protocol for one in found} == ({"crop224"} if "protocol" in changes else set())


def test_weights_without_a_known_sha256_go_by_the_name_that_a_checksum_gave(shipped, measured) -> None:
    weights = "wang2020-blur-jpg-0.5"
    assert differences(shipped, [measured("biggan", 0.5, weights=weights)])
    for changes in ({"detector": "mine"}, {"progan_only": None}):
        assert not differences(shipped, [measured("biggan", 0.5, weights=weights, **changes)])


def test_reported_rows_are_never_among_the_measured(tmp_path, shipped) -> None:
    run(draw_suite(tmp_path / "suite", families=("crn",)), tmp_path / "r", named())
    text = leaderboard(tmp_path / "r", reported=reported_file())
    above, below = text.split("## Reported elsewhere")
    assert above.rstrip() == leaderboard(tmp_path / "r").rstrip() and "Wang et al." not in above
    assert "never to be ranked" in below and not re.search(r"^## ", below, re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": [{"detector": "x"}]}, "is not a file of reported figures"),
        ({"rows": [dict(detector="x", data="d", protocol="p", metric="ap", source="no", verified=True, values={"a": 1})]}, "source 'no'"),
        ({"rows": [dict(detector="x", data="d", protocol="p", metric="f1", source="readme", verified=True, values={})]}, "metric 'f1'"),
        ({"means": 5}, "is not a file of reported figures"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, change, words) -> None:
    content = json.loads(Path(reported_file()).read_text(encoding="utf-8"))
    (tmp_path / "reported.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(DataError, match=words):
        read_reported(tmp_path / "reported.json")
    with pytest.raises(DataError, match="absent.json"):
        read_reported(tmp_path / "absent.json")
