"""The original commands: their options, their words, and what they do where the original crashes."""

from __future__ import annotations

import csv
import doctest
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from drawn_suite import draw_suite
from PIL import Image

from cnndetect.compat import demo, demo_dir, eval
from cnndetect.compat.reference import ahead, crop_protocol, load_model, reference_figures
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.images import to_rgb_array

NETWORK = "lambda images: 8 * (images.mean(dim=(1, 2, 3)) + 0.2)"


@pytest.fixture(autouse=True)
def model(tmp_path, monkeypatch) -> str:
    """A detector that needs no weights: bright is fake."""
    (tmp_path / "bright_is_fake.py").write_text(f"build = lambda: {NETWORK}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CNNDETECT_OFFICIAL", str(tmp_path / "nothing-here"))
    return "bright_is_fake:build"


@pytest.fixture
def dataroot(tmp_path) -> Path:
    return draw_suite(tmp_path / "test", families=("crn", "biggan"))


def test_demo_prints_one_percentage(tmp_path, model, capsys) -> None:
    Image.new("RGB", (30, 20), (124, 116, 104)).save(tmp_path / "grey.png")  # ImageNet's mean: about zero
    assert demo.main(["-f", str(tmp_path / "grey.png"), "-m", model, "--use_cpu"]) == 0
    percent = float(capsys.readouterr().out.removeprefix("probability of being synthetic: ").removesuffix("%\n"))
    assert percent == pytest.approx(100 / (1 + np.exp(-1.6)), abs=0.5)


@pytest.mark.parametrize(("options", "words"), [
    (["-f", "absent.png"], "absent.png does not exist"),
    (["-f", "bright_is_fake.py"], "is not an image"),
    (["-f", "grey.png", "-c", "0"], "-c got 0"),
    (["-f", "grey.png", "-m", "absent.pth"], "absent.pth does not exist"),
    (["-f", "grey.png", "-m", "weights/blur_jpg_prob0.5.pth"], "get blur_jpg_prob0.5"),
])  # fmt: skip
def test_demo_names_what_is_wrong(tmp_path, model, capsys, monkeypatch, options, words) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "grey.png")
    monkeypatch.chdir(tmp_path)
    assert demo.main(["-m", model, *options, "--use_cpu"]) == (2 if "-c" in options else 1)
    assert words in capsys.readouterr().err


def test_an_official_file_name_stands_for_the_fetched_checkpoint(tmp_path, monkeypatch) -> None:
    for name in ("blur_jpg_prob0.1", "weights/blur_jpg_prob0.1.pth", "/somewhere/blur_jpg_prob0.1.pth"):
        with pytest.raises(WeightsError, match="cnndetect detectors get blur_jpg_prob0.1"):
            load_model(name, use_cpu=True)


def test_demo_dir_prints_sizes_as_they_enter(dataroot, model, capsys) -> None:
    command = ["-d", str(dataroot / "crn"), "-m", model, "--use_cpu"]
    assert demo_dir.main([*command, "-j", "0"]) == 0
    plain = capsys.readouterr().out
    sizes = np.array([to_rgb_array(path).shape[:2] for path in (dataroot / "crn").rglob("*.png")], dtype=float)
    high, wide = sizes.mean(axis=0), sizes.std(axis=0)
    expected = f"Average sizes: [{high[0]:.2f}+/-{wide[0]:.2f}] x [{high[1]:.2f}+/-{wide[1]:.2f}] = [0.00+/-0.00 Mpix]"
    assert plain.splitlines()[:3] == ["Loading [1] datasets", expected, "Num reals: 4, Num fakes: 4"]
    # Neither threads nor batches change a figure, and mixed sizes go through.
    assert demo_dir.main([*command, "-j", "3", "-b", "1"]) == 0 and capsys.readouterr().out == plain
    assert demo_dir.main([*command, "-c", "16"]) == 0
    assert "[16.00+/-0.00] x [16.00+/-0.00]" in capsys.readouterr().out


def test_demo_dir_can_only_look_at_sizes(dataroot, capsys) -> None:
    assert demo_dir.main(["-d", str(dataroot / "crn"), str(dataroot / "biggan"), "--size_only", "-m", "absent.pth"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0] == "Loading [2] datasets" and lines[2] == "Num reals: 8, Num fakes: 8"


def test_a_bad_file_is_named_and_counts_as_the_worst(dataroot, model, capsys) -> None:
    command = ["-d", str(dataroot / "crn"), "-m", model, "--use_cpu", "--json"]
    assert demo_dir.main(command) == 0
    before = json.loads(capsys.readouterr().out)
    (dataroot / "crn" / "1_fake" / "0.png").write_bytes(b"no image")
    assert demo_dir.main(command) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert "1_fake/0.png is not an image" in found["failed"][0] and "1 of 8 images failed" in captured.err
    assert found["accuracy_fake"] <= before["accuracy_fake"] and found["ap"] < before["ap"] and found["n_fake"] == 4


def test_folders_without_a_class_are_refused(tmp_path, model, capsys) -> None:
    (tmp_path / "half" / "1_fake").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "half" / "1_fake" / "a.png")
    assert demo_dir.main(["-d", str(tmp_path / "half"), "-m", model]) == 1
    assert "0_real is missing" in capsys.readouterr().err


def csv_rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_eval_writes_the_csv_of_what_is_there(dataroot, model, tmp_path, capsys) -> None:
    command = ["--dataroot", str(dataroot), "--model_path", model, "--results_dir", str(tmp_path / "r"), "--gpu_ids", "-1", "--no_crop"]
    assert eval.main(command) == 1  # eleven of the thirteen are absent
    captured = capsys.readouterr()
    assert "not in" in captured.err and "progan" in captured.err and "(crn) acc: " in captured.out
    rows = csv_rows(tmp_path / "r" / "bright_is_fake.build.csv")
    assert [row[0] for row in rows[1:]] == ["testset", "biggan", "crn"]
    assert f"(crn) acc: {rows[3][1]}; ap: {rows[3][2]}" in captured.out
    assert eval.main([*command, "--vals", "crn", "biggan"]) == 0
    assert [row[0] for row in csv_rows(tmp_path / "r" / "bright_is_fake.build.csv")][2:] == ["crn", "biggan"]
    assert eval.main([*command, "--vals", "progan"]) == 1 and "holds none of progan" in capsys.readouterr().err


def test_eval_degrades_as_it_is_told(dataroot, model, tmp_path, capsys) -> None:
    command = ["--dataroot", str(dataroot), "--vals", "crn", "--model_path", model, "--gpu_ids", "-1", "--no_crop", "--json"]
    assert eval.main([*command, "--results_dir", str(tmp_path / "a"), "--jpg_prob", "1", "--jpg_qual", "75", "--jpg_method", "pil"]) == 0
    assert [path.name for path in (tmp_path / "a").rglob("*.npz")] == ["crn.nocrop.jpeg_75.npz"]
    assert eval.main([*command, "--results_dir", str(tmp_path / "b"), "--blur_prob", "1", "--blur_sig", "2"]) == 0
    assert [path.name for path in (tmp_path / "b").rglob("*.npz")] == ["crn.nocrop.blur_2.npz"]
    capsys.readouterr()
    for wrong, words in (
        (["--blur_prob", "0.5"], "Expected 0 or 1"),
        (["--jpg_prob", "1", "--jpg_qual", "30,100"], "Expected one of 30, "),
        (["--jpg_prob", "1", "--blur_prob", "1"], "one degradation"),
    ):
        assert eval.main([*command, *wrong]) == 2 and words in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        eval.main([*command, "--isTrain"])
    assert stopped.value.code == 2 and "unrecognized" in capsys.readouterr().err


def test_failed_images_are_the_worst_of_their_class() -> None:
    whole = reference_figures([0, 0, 1, 1], [-1.0, -2.0, 1.0, 2.0])
    assert (whole.ap, whole.accuracy) == (1.0, 1.0)
    failed = reference_figures([0, 0, 1, 1], [np.nan, -2.0, np.nan, 2.0])
    assert failed.accuracy_real == failed.accuracy_fake == failed.accuracy == 0.5 and failed.ap < 0.6


def test_threads_keep_the_order_and_stay_only_a_little_ahead() -> None:
    begun: list[int] = []
    results = ahead(lambda item: begun.append(item) or item, range(100), workers=3)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(begun) <= 9
    assert list(results) == list(range(5, 100))
    with pytest.raises(ProtocolError):
        crop_protocol(-1)


@pytest.mark.parametrize("name", ["compat.reference", "compat.demo_dir", "detectors.official"])
def test_examples_run(name) -> None:
    found = doctest.testmod(importlib.import_module(f"cnndetect.{name}"))
    assert found.attempted > 0 and not found.failed


def test_an_interruption_is_one_line_and_130(dataroot, model, tmp_path, capsys, monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder, image = str(dataroot / "crn"), str(next(dataroot.rglob("*.png")))
    for program, words in ((demo, ["-f", image]), (demo_dir, ["-d", folder]), (eval, ["--dataroot", str(dataroot), "--vals", "crn"])):
        monkeypatch.setattr(program, "load_model", interrupted)
        assert program.main(words) == 130
        answer = capsys.readouterr()
        assert answer.out == "" and len(answer.err.splitlines()) == 1 and "interrupted" in answer.err
