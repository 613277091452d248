"""The released sets as suites of the bench: present or not, noted, and with intervals that know what is shared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_official import small_dataset, small_members, write_members
from drawn_suite import brightness, draw_suite, named
from loopback import png

from cnndetect.bench.__main__ import main
from cnndetect.bench.leaderboard import leaderboard
from cnndetect.bench.run import Options, run_suite
from cnndetect.bench.suites import MINI_VERSION, find_suites, list_suites, suites_note
from cnndetect.data.folders import contents, scan
from cnndetect.data.official.pairing import official_clusters
from cnndetect.errors import LayoutError, UnknownNameError
from cnndetect.metrics.intervals import SetScores, macro_average_precision
from cnndetect.scoring.scores import read_scores

MEMBERS = small_members()


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    small_dataset(monkeypatch, b"none")
    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CNNDETECT_MINI", str(draw_suite(tmp_path / "mini")))
    return write_members(tmp_path / "data" / "forensynths", MEMBERS)


def test_a_suite_is_present_when_all_of_it_is_there(data) -> None:
    assert list_suites() == ["mini", "forensynths-11", "forensynths-13"]
    found = [(suite.title, len(suite.sets)) for suite in find_suites("all")]
    assert found == [(f"mini@{MINI_VERSION}", 2), ("forensynths-11@1", 11), ("forensynths-13@1", 13)]
    assert "Not here" not in suites_note()
    shutil.rmtree(data / "stylegan2" / "horse")
    assert list_suites() == ["mini", "forensynths-11"] and [suite.name for suite in find_suites("all")] == ["mini", "forensynths-11"]
    note = suites_note()
    assert "\n" not in note and "Not here: forensynths-13; get them with: python -m cnndetect.data get forensynths" in note
    with pytest.raises(LayoutError, match="needs stylegan2 in .*get forensynths --only stylegan2"):
        find_suites("forensynths-13")
    shutil.rmtree(data)
    assert list_suites() == ["mini"]
    with pytest.raises(LayoutError, match="get forensynths$"):
        find_suites("forensynths-11")
    with pytest.raises(UnknownNameError, match="Did you mean 'forensynths-11'.*Known: all, mini, forensynths-11, forensynths-13; "):
        find_suites("forensynth-11")


def test_the_figure_comes_with_its_known_flaws_and_scores_are_shared(data, tmp_path) -> None:
    calls = []

    def counting(images):
        calls.append(len(images))
        return brightness(images)

    results, options = tmp_path / "r", Options(draws=20)
    thirteen = run_suite(named(counting), find_suites("forensynths-13")[0], options, results=results)
    assert sum(calls) == len(MEMBERS)
    eleven = run_suite(named(counting), find_suites("forensynths-11")[0], options, results=results)
    assert sum(calls) == len(MEMBERS)  # the same images need no second look
    assert [a.metrics for a in eleven.results] == [b.metrics for b in thirteen.results[:11]] and eleven.suite == "forensynths-11@1"
    assert "sitd" in [result.test_set for result in eleven.results]
    for style in ("github", "latex"):
        assert "WhichFaceIsReal" in thirteen.table(style) and "WhichFaceIsReal" not in eleven.table(style)
        assert "CRN and IMLE have the same" in eleven.table(style)
    assert len(json.loads(eleven.table("json"))[0]["notes"]) >= 6
    text = leaderboard(results)
    assert "## forensynths-11@1, nocrop" in text and "## forensynths-13@1, nocrop" in text and "only 180 reals" in text
    # A detector with other weights does not inherit them.
    run_suite(named(counting, weights_sha256="a" * 64), find_suites("forensynths-11")[0], options, results=results)
    assert sum(calls) > len(MEMBERS)


def test_the_command_says_how_to_get_what_is_not_there(data, tmp_path, capsys) -> None:
    shutil.rmtree(data)
    words = ["--suite", "all", "--detector", "cnndetect.detectors.networks.baselines:smoothness", "--draws", "0"]
    assert main([*words, "--results", str(tmp_path / "r")]) == 0
    err = capsys.readouterr().err
    assert "suites: mini. Not here: forensynths-11, forensynths-13; get them with: python -m cnndetect.data get forensynths" in err


def clusters_of(root: Path, group: str) -> dict[str, str]:
    samples = scan(root / group)
    found = official_clusters(group, samples, contents(samples))
    return {sample.relative: cluster for sample, cluster in zip(samples, found, strict=True)}


def test_a_real_of_two_sets_is_one_cluster(data) -> None:
    crn, imle = clusters_of(data, "crn"), clusters_of(data, "imle")
    assert {name: crn[name] for name in crn if name.startswith("0_")} == {name: imle[name] for name in imle if name.startswith("0_")}
    assert len(set(crn.values())) == 4 and crn["0_real/00001.png"] == crn["1_fake/00001.png"] == imle["1_fake/00001.png"]
    # LSUN: cat of three sets, car of two; other categories share names, not images.
    progan, stylegan, stylegan2 = (clusters_of(data, name) for name in ("progan", "stylegan", "stylegan2"))
    assert progan["cat/0_real/00000.png"] == stylegan["cat/0_real/00000.png"] == stylegan2["cat/0_real/00000.png"]
    assert progan["car/0_real/00000.png"] != stylegan["car/0_real/00000.png"] == stylegan2["car/0_real/00000.png"]
    assert stylegan["cat/0_real/00000.png"] != stylegan["cat/1_fake/00000.png"] != stylegan2["cat/1_fake/00000.png"]
    assert len(set(clusters_of(data, "biggan").values())) == 7


def test_pairs_of_cyclegan_go_by_name_without_their_ending(data) -> None:
    write_members(data, {"cyclegan/horse/0_real/n1_20_real.png": png(1), "cyclegan/zebra/1_fake/n1_20_fake.png": png(2)})
    found = clusters_of(data, "cyclegan")
    assert found["horse/0_real/n1_20_real.png"] == found["zebra/1_fake/n1_20_fake.png"] == "cyclegan/n1_20"


def test_equal_files_under_any_name_are_one_cluster_in_a_suite_of_ones_own(tmp_path) -> None:
    files = {"a/0_real/x.png": png(1), "a/1_fake/y.png": png(2), "b/0_real/other.png": png(1), "b/1_fake/z.png": png(3)}
    write_members(tmp_path / "s", files)
    (suite,) = find_suites(tmp_path / "s")
    run_suite(named(), suite, Options(draws=0), results=tmp_path / "r")
    a, b = (read_scores(tmp_path / "r" / "results" / "brightness" / f"{name}.nocrop.npz") for name in "ab")
    assert a.clusters[a.labels == 0] == b.clusters[b.labels == 0] and a.clusters[a.labels == 1] != b.clusters[b.labels == 1]


def test_the_interval_of_the_mean_is_wider_when_reals_are_shared() -> None:
    # Two sets with the same 60 reals: their errors add up instead of averaging out.
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    reals = rng.normal(0, 1, 60)
    logits = [np.concatenate([reals, rng.normal(1.0, 0.05, 60)]) for _ in range(2)]

    def width(shared: bool) -> float:
        names = [[f"{'' if shared and k < 60 else s}{k}" for k in range(120)] for s in "ab"]
        sets = [SetScores(labels, x, np.array(n)) for x, n in zip(logits, names, strict=True)]
        found = macro_average_precision(sets, draws=800, seed=1)
        return found.high - found.low

    # Perfectly shared: sqrt(2) wider than independent.
    assert 1.25 < width(True) / width(False) < 1.6


def test_the_bench_draws_shared_reals_together(data, tmp_path) -> None:
    suite = find_suites("forensynths-11")[0]
    run_suite(named(), suite, Options(draws=0), results=tmp_path / "r")
    found = {
        name: read_scores(tmp_path / "r" / "results" / "brightness" / "forensynths-11" / f"{name}.nocrop.npz") for name in ("crn", "imle")
    }
    reals = {name: set(scores.clusters[scores.labels == 0]) for name, scores in found.items()}
    assert reals["crn"] == reals["imle"] == {f"gta/{k:05d}" for k in range(4)}
