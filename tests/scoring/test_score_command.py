"""`python -m cnndetect.score`: a line an image on stdout, the rest on stderr, and an exit status one can trust."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnndetect
from cnndetect.score import main

FACTORY = "fake_detector_for_tests:make"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three images of two sizes, dark to light, and a detector whose logit is the mean."""
    (tmp_path / "fake_detector_for_tests.py").write_text("def make():\n    return lambda batch: batch.mean((1, 2, 3))\n")
    monkeypatch.syspath_prepend(tmp_path)
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    for name, value, size in (("a.png", 0, 8), ("sub/b.PNG", 250, 9), ("c.jpg.png", 100, 8)):
        Image.fromarray(np.full((size, 8, 3), value, np.uint8)).save(root / name)
    return root


def _run(*words: object) -> int:
    return main([*map(str, words), "--detector", FACTORY, "--device", "cpu"])


def test_a_line_per_image_in_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder / "c.jpg.png", folder) == 0
    out, err = capsys.readouterr()
    lines = [line.split("\t") for line in out.splitlines()]
    assert [path for _, path in lines] == [str(folder / name) for name in ("c.jpg.png", "a.png", "c.jpg.png", "sub/b.PNG")]
    values = [float(value) for value, _ in lines]
    assert values[0] == values[2] and values[1] < values[2] < values[3] and 0 < min(values) < max(values) < 1
    assert err == ""


def test_sort_puts_the_most_fake_first_and_logit_is_unbounded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder, "--sort", "--logit") == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [Path(path).name for _, path in lines] == ["b.PNG", "c.jpg.png", "a.png"]
    assert float(lines[0][0]) > 1 and float(lines[2][0]) < -1


@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_batch_size_changes_nothing(batch_size: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder) == 0
    expected = capsys.readouterr().out
    assert _run(folder, "--batch-size", batch_size) == 0
    assert capsys.readouterr().out == expected


def test_json_and_csv_hold_both_numbers_and_the_failures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.png").symlink_to("nowhere")
    table = folder.parent / "scores.csv"
    assert _run(folder, "--json", "--csv", table, "--sort") == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [Path(one["path"]).name for one in found["images"]] == ["b.PNG", "c.jpg.png", "a.png"]
    assert found["images"][0]["fakeness"] == pytest.approx(1 / (1 + np.exp(-found["images"][0]["logit"])))
    assert [Path(one["path"]).name for one in found["failed"]] == ["broken.png"] and "broken link" in found["failed"][0]["error"]
    assert found["protocol"] == "nocrop" and "weights_sha256" in found and found["detector"]

    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert [row["path"] for row in rows[:3]] == [one["path"] for one in found["images"]]
    assert [float(row["logit"]) for row in rows[:3]] == [one["logit"] for one in found["images"]]
    assert rows[3]["fakeness"] == "" and "broken link" in rows[3]["error"]
    assert "1 of 4 images failed" in err


def test_a_bad_image_is_named_counted_and_passed_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.png").write_bytes(b"")
    assert _run(folder, folder / "absent.png") == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3 and "b.png\n" not in out
    assert "b.png is empty" in err and "absent.png does not exist" in err and "2 of 5 images failed" in err


def test_a_folder_without_images_and_an_unwritable_table_fail_before_scoring(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert _run(folder / "empty") == 1
    assert "empty holds no images" in capsys.readouterr().err
    assert _run(folder, "--csv", folder / "absent" / "scores.csv") == 1
    out, err = capsys.readouterr()
    assert out == "" and "scores.csv cannot be written" in err


@pytest.mark.parametrize("words", [[], ["a.png", "--batch-size", "0"], ["a.png", "--no-such"], ["a.png", "--detector", "no-such"]])
def test_misuse_exits_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2 and capsys.readouterr().out == ""


def test_a_name_with_a_line_break_stays_on_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.png").rename(folder / "a\nb\tc\udcff.png")
    assert _run(folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(line.count("\t") == 1 for line in lines) and r"a\nb\tc" in lines[0]


def test_progress_is_drawn_on_a_terminal_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, out = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", out)
    assert _run(folder) == 0
    assert "score:" in terminal.getvalue() and "/3" in terminal.getvalue()
    assert len(out.getvalue().splitlines()) == 3 and "score:" not in out.getvalue()


def test_a_label_stands_beside_the_number_where_there_is_a_threshold(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder / "a.png", folder / "sub", "--threshold", "0") == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == ["real", "fake"]
    assert _run(folder, "--threshold", "1000", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["threshold_logit"] == 1000 and {one["label"] for one in found["images"]} == {"real"}


def test_a_label_is_the_verdict_of_score_and_says_by_which_thresholds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[:1, :1]).save(tmp_path / "tiny.png")
    for flags, options in (([], {}), (["--calibrated"], {"calibrated": True})):
        assert main([str(tmp_path / "a.png"), "--device", "cpu", *flags]) == 0
        answer = capsys.readouterr()
        assert answer.out.split("\t")[1] == cnndetect.score(tmp_path / "a.png", device="cpu", verdict=True, **options)
        assert "fake above" in answer.err and "warning" not in answer.err
    assert main([str(tmp_path / "tiny.png"), "--device", "cpu"]) == 0
    assert "tiny.png has 1x1 px" in capsys.readouterr().err


def test_a_pattern_and_stdin_are_images_too(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(folder / "*.png") == 0
    assert [Path(line.split("\t")[1]).name for line in capsys.readouterr().out.splitlines()] == ["a.png", "c.jpg.png"]
    expected = _run(folder / "a.png"), capsys.readouterr().out.split("\t")[0]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "a.png").read_bytes())))
    assert (_run("-"), capsys.readouterr().out) == (0, f"{expected[1]}\t-\n")
    assert _run(folder / "*.gif") == 1 and "No image file matches" in capsys.readouterr().err


def test_the_module_runs_as_a_command(folder: Path) -> None:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "cnndetect.score", "images/a.png", "--detector", FACTORY]
    found = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    value, path = found.stdout.rstrip("\n").split("\t")
    assert path == "images/a.png" and 0 < float(value) < 0.5 and found.stderr == ""


def test_a_closed_pipe_is_no_traceback(folder: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m cnndetect.score {'images ' * 3000} --detector {FACTORY} --device cpu | head -n 1"
    found = subprocess.run(["bash", "-c", command], cwd=folder.parent, capture_output=True, text=True, check=False)
    assert len(found.stdout.splitlines()) == 1 and "Traceback" not in found.stderr and "Exception" not in found.stderr
