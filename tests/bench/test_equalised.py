"""Equalised formats: one size and one compression for real and fake, shown beside the clean figures."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_results import draw_results
from drawn_suite import draw_suite, named, run
from PIL import Image

from cnndetect.bench.__main__ import main
from cnndetect.bench.equalised import equalised_pairs
from cnndetect.bench.leaderboard import leaderboard
from cnndetect.bench.store import Condition
from cnndetect.errors import DataError


def draw_biased(root: Path, *, per_class: int = 12) -> Path:
    """The reals went through JPEG and the fakes did not; the pictures are drawn alike."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("0_real", "1_fake")):
        folder = root / "crn" / name
        folder.mkdir(parents=True)
        for index in range(per_class):
            image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
            memory = io.BytesIO()
            image.save(memory, "jpeg" if label == 0 else "png", **({"quality": 60} if label == 0 else {}))
            Image.open(memory).save(folder / f"{index}.png")
    return root


def high_frequency(images: torch.Tensor) -> torch.Tensor:
    """[N, 3, H, W] -> [N]: energy of chroma between neighbouring pixels, which JPEG takes away."""
    chroma = images[:, 0] - images[:, 2]
    return (chroma[:, :, 1:] - chroma[:, :, :-1]).abs().mean(dim=(1, 2))


def test_a_detector_of_compression_falls_when_sizes_and_compression_are_equal(tmp_path) -> None:
    suite, detector = draw_biased(tmp_path / "suite"), named(high_frequency, "compression")
    clean = run(suite, tmp_path / "r", detector)
    both = run(suite, tmp_path / "r", detector, degradation="size-256+jpeg-96")
    (pair,) = equalised_pairs([clean, both])
    assert clean.macro.value == 1.0 and pair.condition == "size-256+jpeg-96"
    assert pair.difference.value == pytest.approx(both.macro.value - clean.macro.value)
    assert pair.difference.low <= pair.difference.value <= pair.difference.high
    assert {result.degradation for result in both.results} == {"size-256+jpeg-96"}


def test_the_command_runs_clean_and_equalised_and_prints_the_difference(tmp_path, capsys) -> None:
    suite = draw_suite(tmp_path / "suite", families=("crn",), per_class=3)
    command = ["--suite", str(suite), "--detector", "drawn_suite:unsaid", "--results", str(tmp_path / "r"), "--equalise", "jpeg-96"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "suite@0, protocol nocrop, degradation jpeg-96" in text and "AP equalised" in text
    assert {path.name for path in (tmp_path / "r" / "results" / "unsaid").glob("*.json")} == {"crn.nocrop.json", "crn.nocrop.jpeg-96.json"}
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (pair,) = (one["equalised"] for one in found if "equalised" in one)
    assert set(pair["test_sets"]["crn"]) == set(pair["macro_ap"]) == {"clean", "equalised", "difference"}
    assert main([*command[:-1], "jpeg_96"]) == 2
    assert "jpeg-96" in capsys.readouterr().err


def test_the_leaderboard_shows_clean_and_equalised_side_by_side(tmp_path) -> None:
    draw_results(tmp_path, degradations=("none", "jpeg-96"))
    clean, equalised = leaderboard(tmp_path).split("## ")[1:]
    head, _, *rows = [line for line in clean.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [cell.strip() for cell in head.strip("|").split("|")][1:4] == ["macro mean AP", "equalised jpeg-96", "jpeg-96 minus clean"]
    for _, macro, other, difference, *_ in cells:
        values = [float(cell.split()[0]) for cell in (macro, other, difference)]
        assert values[1] - values[0] == pytest.approx(values[2], abs=0.11)
    assert equalised.startswith("drawn@1, nocrop, jpeg-96") and "minus clean" not in equalised


def test_a_condition_names_the_command_that_makes_it() -> None:
    words = Condition("mini@1", "nocrop", "size-256+jpeg-96+web").command("mini")
    assert words.endswith("--protocol nocrop --equalise size-256 --equalise jpeg-96 --degradation web")


def test_other_images_are_not_set_side_by_side(tmp_path) -> None:
    suite = draw_suite(tmp_path / "suite", families=("crn",))
    run(suite, tmp_path / "r")
    Image.new("RGB", (9, 9)).save(suite / "crn" / "0_real" / "9.png")
    run(suite, tmp_path / "r", degradation="jpeg-96")
    with pytest.raises(DataError, match="not made from the same images"):
        leaderboard(tmp_path / "r")
