"""The bench: nothing depends on batch size or order, failures count, results resume, trials are no results."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_suite import brightness, draw_suite, named, run
from PIL import Image

from cnndetect.bench.__main__ import main
from cnndetect.bench.leaderboard import leaderboard
from cnndetect.bench.results import read_result
from cnndetect.bench.run import Options, benchmark
from cnndetect.bench.suites import find_suites, list_suites
from cnndetect.data.folders import scan
from cnndetect.detectors.base import Detector
from cnndetect.errors import DataError, LayoutError, ProtocolError, UnknownNameError
from cnndetect.files import plain
from cnndetect.images import open_image
from cnndetect.metrics import average_precision
from cnndetect.scoring.batches import Conditions, score_set
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import read_scores

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def suite(tmp_path) -> Path:
    """Two test sets of 8 images, of three sizes."""
    return draw_suite(tmp_path / "suite")


def test_sets_come_in_the_papers_order_and_ap_is_right(suite, tmp_path) -> None:
    found = run(suite, tmp_path / "r")
    assert [r.test_set for r in found.results] == ["biggan", "crn"]
    for result in found.results:
        scores = read_scores(tmp_path / "r" / "results" / "brightness" / f"{result.test_set}.nocrop.npz")
        assert result.ap.value == pytest.approx(average_precision(scores.labels, scores.logits))
        assert (result.n_real, result.n_fake, result.n_failed) == (4, 4, 0)
    assert found.macro.value == pytest.approx(np.mean([r.ap.value for r in found.results]))


@pytest.mark.parametrize("protocol", ["nocrop", "crop224"])
@pytest.mark.parametrize("degradation", ["none", "jpeg_75", "resize_0.5"])
def test_batch_size_and_order_do_not_matter(suite, tmp_path, protocol, degradation) -> None:
    samples = scan(suite / "crn")
    origin = Provenance(detector="brightness", identity=None, fingerprint="", protocol=protocol)
    logits = []
    for batch_size, order in ((1, samples), (3, samples[::-1]), (64, samples)):
        conditions = Conditions(protocol, degradation, batch_size)
        scores = score_set(named(), order, conditions, journal=tmp_path / f"{batch_size}.journal", provenance=origin)
        logits.append({path: logit for path, logit in zip(scores.paths, scores.logits, strict=True)})
    for path, value in logits[0].items():
        assert logits[1][path] == pytest.approx(value, abs=1e-6) and logits[2][path] == pytest.approx(value, abs=1e-6)


def test_a_damaged_image_is_counted_named_and_loses(suite, tmp_path) -> None:
    whole = run(suite, tmp_path / "a").results[1]
    file = suite / "crn" / "1_fake" / "3.png"
    file.write_bytes(file.read_bytes()[:60])
    found = run(suite, tmp_path / "b")
    broken = found.results[1]
    assert broken.n_failed == 1 and "3.png" in broken.failed[0] and broken.n_fake == 4
    assert broken.ap.value <= whole.ap.value
    assert "1 image failed" in found.table()


def test_a_detector_that_crashes_on_every_real_gains_nothing(suite, tmp_path) -> None:
    def crashing(images: torch.Tensor) -> torch.Tensor:
        if (images.mean(dim=(1, 2, 3)) < 0.0).any():
            raise RuntimeError("cannot")
        return torch.full((len(images),), 0.9)

    honest, cheating = run(suite, tmp_path / "a"), run(suite, tmp_path / "b", named(crashing, "crashing"))
    assert sum(r.n_failed for r in cheating.results) > 0
    assert cheating.macro.value <= honest.macro.value
    assert "RuntimeError: cannot" in cheating.results[0].failed[0]


def test_a_detector_of_the_wrong_shape_is_an_error_not_a_failure(suite, tmp_path) -> None:
    with pytest.raises(ProtocolError, match="Expected"):
        run(suite, tmp_path, named(lambda images: torch.zeros(1, 7)))


def test_finished_results_are_kept_until_something_changes(suite, tmp_path) -> None:
    calls = []

    def counting(images: torch.Tensor) -> torch.Tensor:
        calls.append(len(images))
        return brightness(images)

    first = run(suite, tmp_path / "r", named(counting))
    assert sum(calls) == 16
    assert plain(run(suite, tmp_path / "r", named(counting)).results) == plain(first.results) and sum(calls) == 16
    run(suite, tmp_path / "r", named(counting), rerun=True)
    assert sum(calls) == 32
    Image.new("RGB", (9, 9)).save(suite / "crn" / "0_real" / "0.png")
    run(suite, tmp_path / "r", named(counting))
    assert sum(calls) == 40  # crn alone
    run(suite, tmp_path / "r", Detector("brightness", counting, weights_sha256="e" * 64))
    assert sum(calls) == 56  # other weights


def test_a_limited_run_is_no_result(suite, tmp_path) -> None:
    found = run(suite, tmp_path / "r", limit=2)
    assert "NOT A RESULT" in found.table() and not found.is_result
    assert all(r.n_real == r.n_fake == 2 for r in found.results)
    with pytest.raises(DataError, match="holds no results"):
        leaderboard(tmp_path / "r")


def test_results_are_small_sorted_json_that_come_back(suite, tmp_path) -> None:
    found = run(suite, tmp_path / "r")
    path = tmp_path / "r" / "results" / "brightness" / "crn.nocrop.json"
    content = json.loads(path.read_text())
    assert list(content) == sorted(content) and path.stat().st_size < 6000
    assert plain(read_result(path)) == plain(found.results[1])
    for key in ("weights_sha256", "fingerprint", "protocol", "seed"):
        assert key in content["provenance"]
    assert content["versions"]["torch"] and str(tmp_path) not in path.read_text()
    path.write_text("{}")
    with pytest.raises(DataError, match="is not a result"):
        read_result(path)


def test_the_leaderboard_is_rebuilt_from_files_alone(suite, tmp_path) -> None:
    found = run(suite, tmp_path / "r")
    run(suite, tmp_path / "r", Detector("other", lambda x: -brightness(x), weights_sha256="a" * 64, progan_only=False))
    text = leaderboard(tmp_path / "r", tmp_path / "LEADERBOARD.md")
    assert (tmp_path / "LEADERBOARD.md").read_text() == text
    main_table, other_table = text.split("## suite@0")[1:]
    assert f"{100 * found.macro.value:.1f} [" in main_table and "other" not in main_table
    assert "saw more than progan" in other_table and "| other" in other_table
    (tmp_path / "r" / "results" / "brightness" / "crn.nocrop.npz").unlink()
    with pytest.raises(DataError, match="not a file of scores"):
        leaderboard(tmp_path / "r")


@pytest.mark.parametrize("style", ["github", "latex", "csv", "json"])
def test_every_format_holds_the_figure(suite, tmp_path, style) -> None:
    found = run(suite, tmp_path / "r")
    value = found.macro.value
    assert (f"{100 * value:.1f}" if style in ("github", "latex") else repr(value)) in found.table(style)


def test_mistakes_come_before_the_slow_part(suite, tmp_path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'nocrop'"):
        Options(protocol="nocrops")
    with pytest.raises(UnknownNameError, match="degradation"):
        Options(degradation="jpg_75")
    with pytest.raises(ProtocolError, match="limit=0"):
        Options(limit=0)
    with pytest.raises(UnknownNameError, match="no suite 'minni'"):
        find_suites("minni")
    (suite / "crn" / "1_fake").rename(suite / "crn" / "fake")
    with pytest.raises(LayoutError, match="1_fake is missing"):
        run(suite, tmp_path / "r")


def test_the_command_line(suite, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "drawn.py").write_text("def build():\n    return lambda images: images.mean(dim=(1, 2, 3))\n")
    common = ["--suite", str(suite), "--detector", "drawn:build", "--results", str(tmp_path / "r"), "--draws", "20"]
    assert main([*common, "--dry-run"]) == 0
    assert "crn: 8 images" in capsys.readouterr().out and not (tmp_path / "r").exists()
    assert main([*common, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["test_sets"]["crn"]["n_real"] == 4
    assert main([*common, "--protocol", "crop2224"]) == 2
    assert "Did you mean 'crop224'" in capsys.readouterr().err
    assert main(["--suit", "mini"]) == 2 and "--suite" in capsys.readouterr().err
    assert main(["leaderbord"]) == 2 and "Did you mean 'leaderboard'" in capsys.readouterr().err
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("cnndetect bench ") >= 4 and "robustness" in shown and "--progan-only" in shown


def test_kill_9_loses_at_most_one_batch(suite, tmp_path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nfrom pathlib import Path\nfrom cnndetect.detectors.base import Detector\n"
        "def network(images):\n    time.sleep(0.25)\n    with open(Path(__file__).with_name('calls'), 'a') as f:\n"
        "        f.write(f'{len(images)}\\n')\n    return images.mean(dim=(1, 2, 3))\n"
        "def build():\n    return Detector('slow', network, weights_sha256='a' * 64)\n"
    )
    command = [
        sys.executable,
        "-m",
        "cnndetect.bench",
        "--suite",
        str(suite),
        "--detector",
        "slow:build",
        "--batch-size",
        "1",
        "--draws",
        "20",
        "--results",
        str(tmp_path / "r"),
    ]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    calls = tmp_path / "calls"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and (not calls.exists() or len(calls.read_text().split()) < 5):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(calls.read_text().split())
    assert 5 <= before < 16
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert len(calls.read_text().split()) <= 16 + 1
    resumed = read_scores(tmp_path / "r" / "results" / "slow" / "crn.nocrop.npz")
    run(suite, tmp_path / "whole")
    whole = read_scores(tmp_path / "whole" / "results" / "brightness" / "crn.nocrop.npz")
    assert (resumed.paths == whole.paths).all() and np.allclose(resumed.logits, whole.logits, atol=1e-6)


def test_python_callables_are_benchmarked(suite, tmp_path) -> None:
    found = benchmark(brightness, suite, draws=10, results=tmp_path / "r")
    assert found.detector == "brightness" and len(found.results) == 2


def test_the_embedded_suite_is_installed() -> None:
    assert list_suites() == ["mini"]
    (mini,) = find_suites("all")
    for test_set in mini.sets:
        samples = scan(test_set.root)
        assert min(sum(s.label == 0 for s in samples), sum(s.label == 1 for s in samples)) >= 100
        assert all(open_image(s.path).size == (128, 128) for s in (samples[0], samples[-1]))


@pytest.mark.parametrize("degradation", ["none", "noise_5"])
def test_reals_that_test_sets_share_are_scored_once_and_alike(tmp_path, degradation: str) -> None:
    root = draw_suite(tmp_path / "suite")
    reals = sorted((root / "crn" / "0_real").iterdir())
    shared = tmp_path / "suite" / "reals"
    (root / "crn" / "0_real").rename(shared)
    shutil.rmtree(root / "biggan" / "0_real")
    for family in ("crn", "biggan"):
        (root / family / "0_real.txt").write_text("".join(f"../reals/{path.name}\n" for path in reals))
    seen: list[int] = []

    def counting(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return brightness(images)

    def logits(results: Path, family: str) -> np.ndarray:
        (path,) = (results / "results" / "brightness").glob(f"{family}.*npz")
        return read_scores(path).logits

    run(root, tmp_path / "r", named(counting), degradation=degradation)
    assert sum(seen) == len(reals) + 4 + 4
    # What an earlier run has finished is remembered too.
    (lost,) = (tmp_path / "r" / "results" / "brightness").glob("crn.*npz")
    lost.unlink()
    run(root, tmp_path / "r", named(counting), degradation=degradation)
    assert sum(seen) == len(reals) + 4 + 4 + 4
    # Alone, every set has the same logits.
    for family in ("crn", "biggan"):
        run(root / family, tmp_path / family, degradation=degradation)
        assert np.allclose(logits(tmp_path / family, family), logits(tmp_path / "r", family), rtol=0, atol=1e-6)
