"""Comparison tables: the same figures in every form, narrow, one frame; figures of a Benchmark by name."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas
import pytest
from drawn_suite import brightness, draw_suite, named, run

from cnndetect.bench.comparison import WIDTH, comparison_table, differences, table_of
from cnndetect.bench.paired import paired
from cnndetect.bench.run import Benchmark
from cnndetect.bench.tables import percent
from cnndetect.errors import ProtocolError, UnknownNameError


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, list[Benchmark]]:
    root = tmp_path_factory.mktemp("compared")
    suite = draw_suite(root / "suite")
    networks = {"bright": brightness, "dark": lambda images: -brightness(images), "flat_one": lambda images: images[:, 0, 0, 0]}
    return root, [run(suite, root / "r", named(network, name)) for name, network in networks.items()]


def test_every_detector_and_figure_is_in_a_table_that_fits_a_terminal(made) -> None:
    many = [*made[1]] * 4
    for text in (comparison_table(made[1]), comparison_table(many)):
        lines = text.splitlines()
        assert max(len(line) for line in lines if line.startswith("|")) <= WIDTH
        for one in made[1]:
            assert one.detector in text and percent(one.macro) in text and all(percent(r.ap) in text for r in one.results)


def test_latex_has_booktabs_and_no_markdown(made) -> None:
    for text in (comparison_table(made[1], style="latex"), made[1][0].table("latex")):
        assert "\\toprule" in text and "**" not in text and "flat_one" not in text.split("\\toprule")[1].split("\\bottomrule")[0]


def test_csv_is_one_frame_of_numbers_and_json_holds_every_detector(made) -> None:
    frame = pandas.read_csv(io.StringIO(table_of(made[1], style="csv")))
    assert frame["ap"].dtype == float and len(frame) == 3 * (2 + 2) and set(frame["detector"]) == {"bright", "dark", "flat_one"}
    assert [one["detector"] for one in json.loads(table_of(made[1], style="json"))] == ["bright", "dark", "flat_one"]


def test_differences_are_those_of_the_stored_scores(made) -> None:
    root, benchmarks = made
    stored = {(c.a, c.b): c.macro for c in paired(root / "r", draws=50).comparisons}
    assert list(differences(benchmarks)) == list(stored)
    for pair, difference in differences(benchmarks).items():
        assert np.allclose(
            [difference.value, difference.low, difference.high], [stored[pair].value, stored[pair].low, stored[pair].high], equal_nan=True
        )


def test_different_conditions_are_not_compared(made) -> None:
    root, benchmarks = made
    other = run(root / "suite", root / "r", named(name="cropped"), protocol="crop224", draws=0)
    with pytest.raises(ProtocolError, match="crop224.*nocrop"):
        comparison_table([benchmarks[0], other])


def test_a_benchmark_gives_its_figures_by_name_and_as_a_frame(made) -> None:
    one = made[1][0]
    assert one["crn"].ap == one.results[1].ap and one["crn"].ap.value == one.frame().set_index("test_set").loc["crn", "ap"]
    with pytest.raises(UnknownNameError, match="Did you mean 'crn'"):
        one["crm"]
    assert len(repr(one)) < 120 and "bright" in repr(one) and "<table>" in one._repr_html_()
    drawn = one.plot()
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == [*(r.test_set for r in one.results), "macro mean"]


def test_an_interval_that_does_not_exist_is_a_dash(made) -> None:
    root, _ = made
    alone = run(root / "suite", root / "alone", named(name="alone"), draws=0)
    other = run(root / "suite", root / "alone", named(lambda images: -brightness(images), "other"), draws=0)
    assert "[-]" in alone.table() and "nan" not in alone.table() + comparison_table([alone, other]) + repr(alone)
