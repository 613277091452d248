"""Runs of the bench: what is trusted from an earlier run, what is refused before the slow part, and the command's answers."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_suite import brightness, draw_suite, named, run

from cnndetect.bench.__main__ import main
from cnndetect.bench.run import benchmark, limited
from cnndetect.bench.suites import Suite, TestSet, find_suites, list_suites
from cnndetect.data.folders import scan
from cnndetect.detectors.base import Detector
from cnndetect.detectors.registry import load
from cnndetect.errors import LayoutError, ProtocolError
from cnndetect.scoring.scores import read_scores

ROOT = Path(__file__).resolve().parents[2]

MODULE = """
import torch
from pathlib import Path
from torch import nn

class Net(nn.Module):
    def forward(self, images):
        with open(Path(__file__).with_name("calls"), "a") as calls:
            calls.write(f"{len(images)}\\n")
        return images.mean(dim=(1, 2, 3))

build = Net
"""


@pytest.fixture
def suite(tmp_path) -> Path:
    return draw_suite(tmp_path / "suite")


def counting() -> tuple[list[int], object]:
    calls: list[int] = []

    def network(images: torch.Tensor) -> torch.Tensor:
        calls.append(len(images))
        return brightness(images)

    return calls, network


def test_a_factory_module_is_finished_until_its_source_changes(suite, tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "counted_one.py").write_text(MODULE)
    (tmp_path / "counted_two.py").write_text(MODULE.replace(".mean(", ".amax("))

    def images_scored(spec: str) -> int:
        (tmp_path / "calls").write_text("")
        run(suite, tmp_path / "r", replace(load(spec, device="cpu"), name="counted"), draws=0)
        return sum(map(int, (tmp_path / "calls").read_text().split()))

    assert [images_scored("counted_one:build"), images_scored("counted_one:build")] == [16, 0]
    assert images_scored("counted_two:build") == 16


def test_a_plain_callable_is_scored_again_every_time(suite, tmp_path) -> None:
    calls, network = counting()
    for times in (1, 2):
        benchmark(network, suite, draws=0, results=tmp_path / "r")
        assert sum(calls) == 16 * times


def test_another_bootstrap_needs_no_network(suite, tmp_path) -> None:
    calls, network = counting()
    few = run(suite, tmp_path / "r", named(network), draws=20)
    none = run(suite, tmp_path / "r", named(network), draws=0)
    assert sum(calls) == 16 and none.macro.value == few.macro.value and np.isnan(none.macro.low)
    (tmp_path / "r" / "results" / "brightness" / "crn.nocrop.json").unlink()
    again = run(suite, tmp_path / "r", named(network), draws=20)
    assert sum(calls) == 16 and again.results[0].metrics == few.results[0].metrics


def test_a_run_that_ends_before_its_scores_are_stored_scores_none_of_them_again(suite, tmp_path, monkeypatch) -> None:
    calls, network = counting()
    with monkeypatch.context() as patched:
        patched.setattr("cnndetect.bench.run.keep", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(suite, tmp_path / "r", named(network))
    before = sum(calls)
    assert before == 8 and list((tmp_path / "r").rglob("*.journal"))
    run(suite, tmp_path / "r", named(network))
    assert sum(calls) == 16 and not list((tmp_path / "r").rglob("*.journal"))


def test_protocol_and_degradation_are_parts_of_the_name(suite, tmp_path) -> None:
    run(suite, tmp_path / "r", protocol="crop224", degradation="resize_0.5")
    run(suite, tmp_path / "r", limit=1)
    found = sorted(path.relative_to(tmp_path / "r").as_posix() for path in (tmp_path / "r").rglob("*.json"))
    assert found == [
        "not-a-result/brightness.limit1/biggan.nocrop.json",
        "not-a-result/brightness.limit1/crn.nocrop.json",
        "results/brightness/biggan.crop224.resize_0.5.json",
        "results/brightness/crn.crop224.resize_0.5.json",
    ]
    assert not list((tmp_path / "r").rglob("*.journal")) and not list((tmp_path / "r").rglob("*.tmp"))


@pytest.mark.parametrize("name", ["../../outside", "a/b", "<lambda>", "..", ""])
def test_no_name_of_a_detector_leaves_the_folder_of_results(suite, tmp_path, name) -> None:
    run(suite, tmp_path / "r", named(name=name), draws=0)
    assert {path.name for path in tmp_path.iterdir()} == {"suite", "r"}
    assert len(list((tmp_path / "r").glob("results/*/crn.nocrop.json"))) == 1


def test_a_limit_takes_the_same_images_every_time_and_both_classes(suite) -> None:
    samples = scan(suite / "crn")
    chosen = limited(samples, 3)
    assert chosen == limited(samples, 3) and [s.label for s in chosen] == [0, 0, 0, 1, 1, 1]
    assert set(chosen) < set(samples) and limited(samples, 100) == limited(samples, None) == samples


def test_the_frozen_threshold_is_that_of_the_detector(suite, tmp_path) -> None:
    strict, none = (run(suite, tmp_path / name, named(threshold_logit=value)) for name, value in (("a", 1e9), ("b", None)))
    fitted = strict.results[0].metrics
    assert fitted.accuracy_real_fitted.value == 1.0 and fitted.accuracy_fake_fitted.value == 0.0
    assert np.isnan(none.results[0].metrics.accuracy_real_fitted.value)
    content = json.loads((tmp_path / "b" / "results" / "brightness" / "crn.nocrop.json").read_text())
    assert content["metrics"]["accuracy_real_fitted"] == {"value": None, "low": None, "high": None}


def test_shared_reals_are_one_cluster_over_the_suite(tmp_path) -> None:
    draw_suite(tmp_path / "drawn", families=("crn", "imle"))
    for file in (tmp_path / "drawn" / "crn" / "0_real").iterdir():
        (tmp_path / "drawn" / "imle" / "0_real" / file.name).write_bytes(file.read_bytes())
    run(tmp_path / "drawn", tmp_path / "r")
    crn, imle = (read_scores(tmp_path / "r" / "results" / "brightness" / f"{name}.nocrop.npz") for name in ("crn", "imle"))
    assert (crn.clusters[crn.labels == 0] == imle.clusters[imle.labels == 0]).all()
    assert not set(crn.clusters[crn.labels == 1]) & set(imle.clusters)


def test_a_detector_that_fails_on_every_image_has_no_result(suite, tmp_path) -> None:
    def crash(images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("expected 224 pixels")

    with pytest.raises(ProtocolError, match=r"crash failed on all 8 images of biggan.* 8 times: .*expected 224 pixels"):
        run(suite, tmp_path / "r", named(crash, "crash"))
    assert not [path for path in (tmp_path / "r").rglob("*") if path.is_file()]


def test_suites_are_found_by_folder_in_the_papers_order(tmp_path, monkeypatch) -> None:
    draw_suite(tmp_path / "mini", families=("san", "zebra", "progan", "biggan"), per_class=1)
    (tmp_path / "mini" / "reals").mkdir()
    draw_suite(tmp_path / "mini" / ".hidden", families=("x",), per_class=1)
    monkeypatch.setenv("CNNDETECT_MINI", str(tmp_path / "mini"))
    for name in ("mini", "all", tmp_path / "mini"):
        (found,) = find_suites(name)
        assert [test_set.name for test_set in found.sets] == ["progan", "biggan", "san", "zebra"]
    assert list_suites() == ["mini"]
    assert [s.name for s in find_suites(tmp_path / "mini" / "san")[0].sets] == ["san"]  # flat: a suite of one
    monkeypatch.setenv("CNNDETECT_MINI", str(tmp_path / "nowhere"))
    assert list_suites() == []
    with pytest.raises(LayoutError, match="mini is not installed"):
        find_suites("mini")


def test_two_test_sets_of_one_name_are_refused(tmp_path) -> None:
    draw_suite(tmp_path / "s", families=("my set", "my-set"), per_class=1)
    with pytest.raises(LayoutError, match="several test sets called .*my-set"):
        find_suites(tmp_path / "s")
    with pytest.raises(LayoutError, match="Rename"):
        Suite("x", 0, (TestSet("a", tmp_path), TestSet("a", tmp_path)))


def test_exit_codes_tell_done_failed_and_misused(suite, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "plain_one.py").write_text("build = lambda: (lambda images: images.mean(dim=(1, 2, 3)))\nagain = build\n")
    common = ["--results", str(tmp_path / "r"), "--draws", "0", "--device", "cpu"]
    good = ["--suite", str(suite), "--detector", "plain_one:build", *common]
    assert main(good) == 0
    for wrong in (["--limit", "0"], ["--batch-size", "many"], ["--format", "html"], ["--no-such-flag"]):
        assert main([*good, *wrong]) == 2, wrong
    assert main(["--suite", str(suite), "--detector", "no-such-name", *common]) == 2
    assert main([*good, "--degradation", "jpg_75"]) == 2
    assert main(["--suite", str(tmp_path / "nowhere"), *common]) == 1
    capsys.readouterr()
    assert main([*good, "--detector", "plain_one:build"]) == 2
    assert "Several detectors are called 'plain_one.build'" in capsys.readouterr().err
    (suite / "crn" / "1_fake" / "0.png").write_bytes(b"")
    assert main(good) == 1
    answer = capsys.readouterr()
    assert "1_fake/0.png" in answer.out and "1 FAILED" in answer.err


def test_the_answer_is_on_stdout_and_progress_on_stderr(suite, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "plain_two.py").write_text("build = lambda: (lambda images: images.mean(dim=(1, 2, 3)))\ntwo = lambda: build()\n")
    common = ["--suite", str(suite), "--detector", "plain_two:build", "--results", str(tmp_path / "r"), "--draws", "20"]
    assert main([*common, "--format", "csv"]) == 0
    answer = capsys.readouterr()
    table = list(csv.DictReader(io.StringIO(answer.out)))
    assert [row["test_set"] for row in table if row["test_set"]] == ["biggan", "crn", "macro mean AP", "pooled AP"]
    assert 0 <= float(table[0]["ap"]) <= 1 and table[0]["ap_low"] == ""  # four photographs have no interval
    assert [line.split()[:2] for line in answer.err.splitlines()] == [["biggan", "AP"], ["crn", "AP"]]

    assert main([*common, "--detector", "plain_two:two", "--json", "--limit", "2"]) == 0
    both = json.loads(capsys.readouterr().out)
    assert [one["detector"] for one in both] == ["plain_two.build", "plain_two.two"]
    assert not any(one["is_result"] for one in both)

    assert main([*common, "--format", "latex"]) == 0
    latex = capsys.readouterr().out
    outside = latex[: latex.index(r"\begin{tabular}")] + latex[latex.index(r"\end{tabular}") + len(r"\end{tabular}") :]
    assert all(line.startswith("%") for line in outside.splitlines() if line)


def test_a_dry_run_names_the_files_and_loads_nothing(suite, tmp_path, capsys) -> None:
    (tmp_path / "mine.pth").write_bytes(b"not even weights")
    options = ["--suite", str(suite), "--detector", str(tmp_path / "mine.pth"), "--results", str(tmp_path / "r"), "--limit", "3"]
    assert main([*options, "--dry-run"]) == 0
    target = tmp_path / "r" / "not-a-result" / "mine.limit3" / "crn.nocrop.json"
    assert f"crn: 6 images, nocrop, none -> {target}" in capsys.readouterr().out
    assert not (tmp_path / "r").exists()
    assert main([*options, "--dry-run", "--detector", str(tmp_path / "absent.pth")]) == 1


def test_a_reader_that_leaves_early_is_no_crash(suite, tmp_path) -> None:
    (tmp_path / "plain_three.py").write_text("build = lambda: (lambda images: images.mean(dim=(1, 2, 3)))\n")
    options = f"--suite {suite} --detector plain_three:build --draws 0 --results {tmp_path / 'r'}"
    command = f"{sys.executable} -m cnndetect.bench {options} | true"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    found = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in found.stderr and "Exception ignored" not in found.stderr


def test_a_detector_must_say_what_a_wrong_device_is(suite) -> None:
    with pytest.raises(ProtocolError, match="cannot be used here"):
        benchmark(brightness, suite, device="cuda:99")


def test_the_mini_suite_runs_at_a_limit(tmp_path) -> None:
    if not list_suites():
        pytest.skip("the embedded suite is not here")
    found = run(Path("mini"), tmp_path / "r", Detector("brightness", brightness), limit=2, draws=10)
    assert found.suite.startswith("mini@") and not found.is_result and all(r.n_failed == 0 for r in found.results)
