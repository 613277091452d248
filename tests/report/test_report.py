"""The report: stored scores in, one page out that carries everything; sections fail alone; nothing is typed by hand."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from drawn_results import draw_results

from cnndetect.bench.results import read_result
from cnndetect.bench.tables import percent
from cnndetect.errors import DataError, UnknownNameError
from cnndetect.report import build
from cnndetect.report.__main__ import main
from cnndetect.report.build import build_report
from cnndetect.report.inputs import Inputs, read_inputs
from cnndetect.report.page import Section

DRAWS = 20


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return draw_results(tmp_path_factory.mktemp("results"), degradations=("none", "jpeg_75"))


@pytest.fixture(scope="module")
def made(results, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report")
    build_report(inputs_of(results), out, command="python -m cnndetect.report --suite 'a <b>'")
    return out


def inputs_of(results: Path, **options) -> Inputs:
    return read_inputs("drawn", protocol="nocrop", results=[results], draws=DRAWS, **options)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Outline(HTMLParser):
    """Tags, ids, heads and what is loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.headings: list[int] = []
        self.silent: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.ids += [known["id"]] if known.get("id") else []
        self.links += [known["href"]] if tag == "a" else []
        self.loaded += [known[key] for key in ("src", "srcset", "data") if key in known]
        self.loaded += [known["href"]] if tag == "link" else []
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag == "img" and not known.get("alt") or tag == "svg" and not known.get("aria-label"):
            self.silent.append(tag)
        if tag not in ("meta", "link", "img", "br", "path", "use", "rect", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        known = dict(attrs)
        self.ids += [known["id"]] if known.get("id") else []

    def handle_endtag(self, tag):
        if tag not in ("path", "use", "rect"):
            assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


def test_the_page_is_whole_and_loads_nothing(made) -> None:
    text = (made / "report.html").read_text(encoding="utf-8")
    page = Outline(text)
    assert not page.open and not page.silent
    assert len(page.ids) == len(set(page.ids))
    assert all(one.startswith("data:") for one in page.loaded)
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in text
    # Namespaces of SVG are names, no addresses that are asked for.
    assert not re.search(r"(?:src|href)=\"https?:|url\(https?:|@import", text)
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False))


def test_every_link_leads_somewhere(made) -> None:
    page = Outline((made / "report.html").read_text(encoding="utf-8"))
    inside = [link[1:] for link in page.links if link.startswith("#")]
    beside = [link for link in page.links if not link.startswith("#")]
    assert set(inside) <= set(page.ids) and {"leaderboard", "forest", "comparison", "families", "provenance"} <= set(inside)
    assert beside and all((made / link).is_file() for link in beside)


def test_the_page_is_the_same_twice(made, results, tmp_path) -> None:
    again = build_report(inputs_of(results), tmp_path, sections=["leaderboard", "comparison"])
    assert again.page.is_file()
    for name in ("figures/leaderboard.svg", "data/leaderboard-table.csv", "data/differences.csv"):
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_every_figure_comes_as_png_svg_and_csv(made) -> None:
    names = {path.stem for path in (made / "figures").glob("*.svg")}
    assert {"leaderboard", "forest-crn", "forest-san", "differences", "roc-crn", "pr-crn", "scores-san"} <= names
    assert names == {path.stem for path in (made / "figures").glob("*.png")} <= {path.stem for path in (made / "data").glob("*.csv")}
    assert not list(made.rglob("*.tmp"))


def test_numbers_are_those_of_the_stored_results(made, results) -> None:
    text = (made / "report.html").read_text(encoding="utf-8")
    for path in (results / "good" / "crn.nocrop.json", results / "poor" / "san.nocrop.json"):
        stored = read_result(path).ap
        assert percent(stored) in text
        rows = {(row["detector"], row["family"]): row for row in rows_of(made / "data" / "ap-per-family.csv")}
        assert float(rows[path.parent.name, path.name[:3]]["ap"]) == pytest.approx(stored.value, abs=1e-8)
    ranked = [row["detector"] for row in rows_of(made / "data" / "leaderboard-table.csv")]
    assert ranked == ["good", "fair", "poor"] and "<strong>good</strong> ranks first" in text


def test_the_headline_never_crowns_a_detector_of_another_table(tmp_path) -> None:
    results = draw_results(tmp_path / "r", detectors=("best", "second", "third"), others=("best",))
    inputs = inputs_of(results)
    assert [[s.detector for s in ranking.standings.complete] for ranking in inputs.rankings] == [["second", "third"], ["best"]]
    assert inputs.shown == ("second",)
    text = build_report(inputs, tmp_path / "out", sections=["leaderboard", "comparison"]).page.read_text(encoding="utf-8")
    answers = text[text.index('<dl class="answers">') : text.index("</dl>")]
    assert "<strong>second</strong>" in answers and "best" not in answers.replace("best of", "")
    assert "trained on ProGAN alone" in text and "Trained on more than ProGAN" in text
    # A result without detectors of the first table is about the others, and says so.
    alone = inputs_of(draw_results(tmp_path / "a", detectors=("only",), others=("only",)))
    assert alone.rankings[0].about.startswith("trained on more than ProGAN")


def test_every_chart_has_its_numbers_and_every_table_its_csv(made) -> None:
    text = (made / "report.html").read_text(encoding="utf-8")
    figures = set(re.findall(r'<figure[^>]* id="figure-([^"]+)"', text))
    assert figures == set(re.findall(r'aria-label="Numbers of ([^"]+)"', text)) and len(figures) > 5
    tables = re.findall(r'<table id="table-([^"]+)"', text)
    assert tables and all((made / "data" / f"{name}.csv").is_file() for name in tables)


def test_two_processes_give_the_same_page(results, tmp_path) -> None:
    pages = [build_report(inputs_of(results), tmp_path / str(jobs), sections=["forest", "ranks"], jobs=jobs).page for jobs in (1, 2)]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_workers_end_with_their_parent() -> None:
    code = """if True:
        import os, time
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from cnndetect.report.build import _start_worker

        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(1,))
        assert pool.submit(os.getpid).result() != os.getpid()
        print("ready", pool.submit(time.sleep, 3600), flush=True)
        time.sleep(3600)
    """
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None and parent.stdout.readline().startswith("ready")
    parent.kill()
    assert parent.communicate(timeout=120)[0] == ""  # the worker holds the pipe open for as long as it lives


def test_only_what_was_asked_for(results, tmp_path) -> None:
    report = build_report(inputs_of(results, detectors=["good"]), tmp_path, sections=["forest", "comparison"])
    assert report.missing.keys() == {"comparison"} and "--detector FILE" in report.missing["comparison"]
    assert list(report.seconds) == ["comparison", "forest"]
    assert {path.name for path in report.files} >= {"forest-crn.svg"} and not (tmp_path / "figures" / "leaderboard.svg").exists()
    with pytest.raises(UnknownNameError, match="Did you mean 'forest'"):
        build_report(inputs_of(results), tmp_path, sections=["forst"])


def test_a_section_that_fails_costs_only_itself(results, tmp_path, monkeypatch) -> None:
    def broken(inputs: Inputs) -> Section:
        raise DataError("The scores <are> gone. Make them again.")

    monkeypatch.setitem(build.SECTIONS, "families", broken)
    report = build_report(inputs_of(results), tmp_path, sections=["leaderboard", "families"])
    text = report.page.read_text(encoding="utf-8")
    assert report.failed == {"families": "The scores <are> gone. Make them again."}
    assert "The scores &lt;are&gt; gone" in text and "ranks first" in text


def test_sections_without_images_say_what_to_run(results, tmp_path) -> None:
    report = build_report(inputs_of(results), tmp_path, sections=["audit"])
    assert "cnndetect audit --suite drawn" in report.missing["audit"]


def test_an_incomplete_detector_has_no_rank(results, tmp_path) -> None:
    here = tmp_path / "r"
    shutil.copytree(results, here)
    for path in (here / "good").glob("san.*"):
        path.unlink()
    inputs = inputs_of(here)
    assert [s.detector for s in inputs.standings.complete] == ["fair", "poor"] and inputs.standings.incomplete == {"good": ("san",)}
    build_report(inputs, tmp_path / "out", sections=["leaderboard", "forest", "families", "comparison", "ranks"])
    assert "lacks san" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_command_line(results, tmp_path, capsys) -> None:
    arguments = ["--suite", "drawn", "--results", str(results), "--out", str(tmp_path), "--draws", "10", "--section", "leaderboard"]
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["page"] == str(tmp_path / "report.html") and answer["failed"] == {} and answer["seconds"] > 0
    assert main([*arguments[:-1], "nothing"]) == 2
    assert "error: Unknown section" in capsys.readouterr().err
    assert main(["--suite", "drawn"]) == 2 and "--out" in capsys.readouterr().err


def test_inputs_that_do_not_fit_are_named(results, tmp_path) -> None:
    with pytest.raises(DataError, match=r"No results of drawn@1, crop224 .*there: drawn@1, nocrop.*--protocol crop224"):
        read_inputs("drawn", protocol="crop224", results=[results])
    with pytest.raises(UnknownNameError, match=r"results of drawn@1, nocrop .*Did you mean 'good'"):
        inputs_of(results, detectors=["god"])
    with pytest.raises(UnknownNameError):
        read_inputs("no-such-suite", protocol="nocrop", results=[results])


def test_results_that_cannot_be_compared_are_refused(results, tmp_path) -> None:
    for key, value, words in (("fingerprint", "0" * 64, "not made from the same images"), ("identity", "others", "several weights")):
        here = tmp_path / key
        shutil.copytree(results, here)
        path = here / "fair" / "crn.nocrop.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["provenance"][key] = value
        path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(DataError, match=words):
            inputs_of(here)
    # The same run in two folders is one run.
    twice = read_inputs("drawn", protocol="nocrop", results=[results, results], draws=DRAWS)
    assert len(twice.rows) == 3


def test_other_suites_in_the_folder_are_shown_only_where_they_are_named(results, tmp_path) -> None:
    shutil.copytree(results, tmp_path / "r")
    draw_results(tmp_path / "r" / "private", detectors=("good",), suite="private@0")
    assert {condition.suite for condition in inputs_of(tmp_path / "r").runs} == {"drawn@1"}
    assert {condition.suite for condition in inputs_of(tmp_path / "r", suites=["private@0"]).runs} == {"drawn@1", "private@0"}


def test_failed_images_count_and_are_shown(tmp_path) -> None:
    from drawn_results import drawn_scores

    from cnndetect.bench.results import result_of

    scores = drawn_scores("good", "crn", "none", "nocrop", "drawn@1", 10, gap=3.0, failed=2)
    scores.save(tmp_path / "r" / "good" / "crn.nocrop.npz")
    result_of(scores, draws=5, seed=0).save(tmp_path / "r" / "good" / "crn.nocrop.json")
    inputs = inputs_of(tmp_path / "r")
    assert inputs.standings.complete[0].failed == 2
    build_report(inputs, tmp_path / "out", sections=["leaderboard", "families"])
    thresholds = [row["threshold_logit"] for row in rows_of(tmp_path / "out" / "data" / "roc-crn.csv")]
    assert thresholds[0] == "inf" and np.isfinite([float(t) for t in thresholds[1:]]).all()
