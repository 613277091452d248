"""The leaderboard: rebuilt from files alone, and refused where it would compare what cannot be compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_results import draw_results
from drawn_suite import brightness, draw_suite, named, run
from PIL import Image

from cnndetect.bench import store
from cnndetect.bench.__main__ import main
from cnndetect.bench.leaderboard import leaderboard
from cnndetect.errors import DataError
from cnndetect.paths import reported_file


@pytest.fixture
def suite(tmp_path) -> Path:
    return draw_suite(tmp_path / "suite")


def rows(text: str) -> list[list[str]]:
    """Cells of every table row below its head, tables one after the other."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [line for line in lines if line[0] != "detector" and not line[0].startswith(("-", ":"))]


def test_rows_are_detectors_best_first_and_columns_generators_in_the_papers_order(suite, tmp_path) -> None:
    good = run(suite, tmp_path / "r")
    run(suite, tmp_path / "r", named(lambda images: -brightness(images), "upside-down"))
    text = leaderboard(tmp_path / "r")
    head = next(line for line in text.splitlines() if line.startswith("| detector"))
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["detector", "macro mean AP", "biggan", "crn", "pooled AP", "mean ECE"]
    assert [row[0] for row in rows(text)] == ["brightness", "upside-down"]
    macro, pooled = (f"{100 * x.value:.1f} [-]" for x in (good.macro, good.pooled))  # four photographs have no interval
    assert rows(text)[0][1] == macro and rows(text)[0][4] == pooled
    assert "biggan 4/4, crn 4/4" in text


def test_seeds_of_one_training_show_their_spread_beside_the_intervals(tmp_path) -> None:
    draw_results(tmp_path, detectors=("mine-s0", "mine-s1", "other"))
    text = leaderboard(tmp_path)
    macro = {row[0]: float(row[1].split()[0]) for row in rows(text)}
    cells = {row[0]: row[2] for row in rows(text)}
    assert cells["other"] == "-" and cells["mine-s0"] == cells["mine-s1"]
    spread, seeds = cells["mine-s0"].removeprefix("±").split(",")
    assert float(spread) == pytest.approx(abs(macro["mine-s0"] - macro["mine-s1"]) / 2**0.5, abs=0.1) and seeds == " 2 seeds"
    assert "Seed spread is another thing" in text


def test_it_needs_no_images_and_comes_out_the_same_twice(suite, tmp_path) -> None:
    run(suite, tmp_path / "r")
    shutil.rmtree(suite)
    assert leaderboard(tmp_path / "r") == leaderboard(tmp_path / "r")


def test_protocols_degradations_and_suites_have_tables_of_their_own(suite, tmp_path) -> None:
    run(suite, tmp_path / "r")
    run(suite, tmp_path / "r", protocol="crop224")
    degraded = run(suite, tmp_path / "r", degradation="jpeg_50")
    run(draw_suite(tmp_path / "other", families=("san",)), tmp_path / "r")
    run(suite, tmp_path / "r", limit=2)
    run(draw_suite(tmp_path / "third", families=("san",)), tmp_path / "r", degradation="jpeg_50")
    text = leaderboard(tmp_path / "r")
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    # A degradation is a row below its clean table, and has a table of its own where there is none.
    assert titles == ["## other@0, nocrop", "## suite@0, crop224", "## suite@0, nocrop", "## third@0, nocrop, jpeg_50"]
    assert [row for row in rows(text) if row[0] == "jpeg_50"] == [["jpeg_50", f"{100 * degraded.macro.value:.1f} [-]"]]


def test_a_detector_without_a_record_enters_the_main_table_by_the_word_of_whoever_runs_it(suite, tmp_path, capsys) -> None:
    def bench(name: str, *words: str) -> int:
        factory = f"drawn_suite:{name}"
        return main(["--suite", str(suite), "--detector", factory, "--results", str(tmp_path / "r"), "--draws", "20", *words])

    assert bench("unsaid") == 0
    assert "saw more than progan" in leaderboard(tmp_path / "r")
    assert bench("unsaid", "--progan-only") == 0
    assert "saw more than progan" not in leaderboard(tmp_path / "r")
    assert bench("confessed", "--progan-only") == 2
    assert "Leave --progan-only out" in capsys.readouterr().err


def test_an_incomplete_row_has_no_mean(suite, tmp_path) -> None:
    run(suite, tmp_path / "r")
    run(suite, tmp_path / "r", named(name="half"))
    (tmp_path / "r" / "results" / "half" / "crn.nocrop.json").unlink()
    half = rows(leaderboard(tmp_path / "r"))[1]
    assert half[0] == "half" and half[1] == "incomplete" and half[3] == half[4] == "-"


def test_detectors_that_do_not_say_what_they_saw_are_apart(suite, tmp_path) -> None:
    for name, saw in (("progan", True), ("more", False), ("silent", None)):
        run(suite, tmp_path / "r", named(name=name, progan_only=saw))
    main_table, other_table = leaderboard(tmp_path / "r").split("## suite@0")[1:]
    assert [row[0] for row in rows(main_table)] == ["progan"]
    assert sorted(row[0] for row in rows(other_table)) == ["more", "silent"]


def test_results_from_other_images_are_not_compared(suite, tmp_path) -> None:
    run(suite, tmp_path / "r")
    Image.new("RGB", (9, 9)).save(suite / "crn" / "0_real" / "0.png")
    run(suite, tmp_path / "r", named(name="late"))
    with pytest.raises(DataError, match="not made from the same images"):
        leaderboard(tmp_path / "r")


def test_images_that_every_user_builds_may_differ_by_rounding_and_not_by_name(tmp_path, monkeypatch, capsys) -> None:
    suite = draw_suite(tmp_path / "public")
    for file in list(suite.rglob("0_real/*.png")):
        file.rename(file.with_stem(f"{file.stem}__0"))  # of a photograph that is known by name; fakes are known by their contents
    run(suite, tmp_path / "r")
    fake = next((suite / "crn" / "1_fake").iterdir())
    pixels = np.asarray(Image.open(fake).convert("RGB")).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(fake)
    run(suite, tmp_path / "r", named(name="elsewhere"))
    with pytest.raises(DataError, match="not made from the same images"):  # a suite of this name, and not the one that is built
        leaderboard(tmp_path / "r")
    monkeypatch.setattr(store, "BUILT", "public@0")
    assert "Rows are of images that were built on different processors" in leaderboard(tmp_path / "r")
    assert "built on different processors" in capsys.readouterr().err
    fake.rename(fake.with_stem("other"))
    run(suite, tmp_path / "r", named(name="renamed"))
    with pytest.raises(DataError, match="not made from the same images"):
        leaderboard(tmp_path / "r")


def test_a_row_is_of_one_detector(suite, tmp_path) -> None:
    run(suite, tmp_path / "r")
    run(suite, tmp_path / "new", named(weights_sha256="e" * 64))
    for end in ("json", "npz"):
        shutil.copy(tmp_path / "new" / "results" / "brightness" / f"crn.nocrop.{end}", tmp_path / "r" / "results" / "brightness")
    with pytest.raises(DataError, match="brightness stands for several weights"):
        leaderboard(tmp_path / "r")
    # The same run in two places is one run.
    run(suite, tmp_path / "r", rerun=True)
    shutil.copytree(tmp_path / "r" / "results" / "brightness", tmp_path / "r" / "results" / "copy")
    assert [row[0] for row in rows(leaderboard(tmp_path / "r"))] == ["brightness"]


def test_scores_that_are_not_those_of_the_result_are_noticed(suite, tmp_path) -> None:
    run(suite, tmp_path / "r")
    shutil.copy(
        tmp_path / "r" / "results" / "brightness" / "crn.nocrop.npz", tmp_path / "r" / "results" / "brightness" / "biggan.nocrop.npz"
    )
    with pytest.raises(DataError, match="made by different runs"):
        leaderboard(tmp_path / "r")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"detector": "x"}'])
def test_a_file_that_is_no_result_is_named(tmp_path, content) -> None:
    (tmp_path / "odd.json").write_text(content)
    with pytest.raises(DataError, match="odd.json is "):
        leaderboard(tmp_path)


def test_the_command_prints_and_writes_only_where_it_is_told(suite, tmp_path, capsys) -> None:
    run(suite, tmp_path / "r")
    expected = leaderboard(tmp_path / "r", reported=reported_file())
    command = ["leaderboard", "--results", str(tmp_path / "r")]
    before = sorted(tmp_path.rglob("*"))
    assert main(command) == 0 and capsys.readouterr().out.strip() == expected.strip() and sorted(tmp_path.rglob("*")) == before
    for _ in range(2):  # what it made itself it may replace
        assert main([*command, "--out", str(tmp_path / "here.md")]) == 0
    assert (tmp_path / "here.md").read_text() == expected
    (tmp_path / "notes.md").write_text("# Leaderboard of my own")
    assert main([*command, "--out", str(tmp_path / "notes.md")]) == 1
    assert "left alone" in capsys.readouterr().err and (tmp_path / "notes.md").read_text() == "# Leaderboard of my own"
    assert main(["leaderboard", "--results", str(tmp_path / "nowhere")]) == 1
    assert "holds no results" in capsys.readouterr().err


def test_a_result_without_scores_or_with_a_changed_figure_still_says_so(suite, tmp_path) -> None:
    run(suite, tmp_path / "r")
    path = tmp_path / "r" / "results" / "brightness" / "crn.nocrop.json"
    content = json.loads(path.read_text())
    content["provenance"]["fingerprint"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="different runs"):
        leaderboard(tmp_path / "r")
