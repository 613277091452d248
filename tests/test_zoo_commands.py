"""The zoo's command line: training sets and test sets from photographs, resumed and seeded, mistakes explained."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from cnndetect.data.folders import scan
from cnndetect.data.free_photos import PACKAGES, write_crops
from cnndetect.errors import DataError
from cnndetect.images import open_image
from cnndetect.zoo import families, progan
from cnndetect.zoo.__main__ import main

TINY = progan.ProGANConfig(channels=(4, 4, 4, 4, 4, 4), latent=4, phases=((8, 0, 4, 4),))


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    root = tmp_path_factory.mktemp("progan")
    photos = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8)
    return families.export("progan", progan.train(photos, TINY, root), root / "generator.pt")


@pytest.fixture
def photos(tmp_path):
    """Twenty numbered photographs of 256 px in one category."""
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    for index in range(20):
        array = np.random.default_rng(index).integers(0, 256, (256, 256, 3), dtype=np.uint8)
        Image.fromarray(array).save(tmp_path / "photos" / "cat" / f"{index:05d}.png")
    return tmp_path / "photos"


def call(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
    return main()


def test_a_training_set_keeps_the_splits_apart(generator, photos, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "training"
    command = ("build-training", "--photos", photos, "--generator", f"cat={generator}", "--out", out)
    assert call(monkeypatch, *command) == 0
    assert json.loads(capsys.readouterr().out) == {"train": {"cat": 16}, "val": {"cat": 2}}
    train, val = scan(out / "train"), scan(out / "val")
    assert [sum(s.label for s in split) for split in (train, val)] == [16, 2]
    contents = [{s.path.read_bytes() for s in split} for split in (train, val)]
    assert not contents[0] & contents[1]
    # An interrupted build makes only what is missing, and makes it the same.
    lost = train[-1].path
    before = lost.read_bytes()
    lost.unlink()
    assert call(monkeypatch, *command) == 0 and lost.read_bytes() == before


def test_a_test_set_from_the_command_line(generator, photos, tmp_path, monkeypatch, capsys) -> None:
    reals = tmp_path / "reals"
    reals.mkdir()
    Image.new("RGB", (128, 128)).save(reals / "lake__0.png")
    command = ("sample", "progan", "--weights", generator, "--photos", reals, "--count", 3, "--out", tmp_path / "elsewhere" / "set")
    assert call(monkeypatch, *command) == 0
    samples = scan(tmp_path / "elsewhere" / "set")
    assert [s.label for s in samples] == [0, 1, 1, 1] and all(s.path.exists() for s in samples)


def test_mistakes_leave_with_one_sentence(generator, photos, tmp_path, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "sample", "san", "--weights", generator, "--photos", photos, "--out", tmp_path / "x") == 1
    assert "is a progan generator, not san" in capsys.readouterr().err
    assert call(monkeypatch, "train", "progam", "--photos", photos / "cat", "--split", "train", "--out", tmp_path / "y") == 1
    assert "Did you mean 'progan'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as misuse:
        call(monkeypatch, "trian")
    assert misuse.value.code == 2


def test_crops_of_unpacked_packages(tmp_path) -> None:
    with pytest.raises(DataError, match="apt-get download"):
        write_crops(tmp_path, tmp_path / "out")
    licence = "Files: Help/* Media/* Projects\nCopyright: Somebody\nLicense: CC-BY-SA-3.0\n"
    for package in PACKAGES:
        document = tmp_path / package / "usr/share/doc" / package / "copyright"
        document.parent.mkdir(parents=True)
        document.write_text(licence)
    folder = tmp_path / "scratch/usr/share/scratch/Media/Backgrounds/Nature"
    folder.mkdir(parents=True)
    for index in range(12):
        array = np.random.default_rng(index).integers(0, 256, (360, 480, 3), dtype=np.uint8)
        Image.fromarray(array).save(folder / f"place-{'abcdefghijkl'[index]}x.jpg")
    Image.new("RGB", (480, 360)).save(folder / "moon.jpg")               # a drawing, by the list
    Image.new("RGB", (300, 200)).save(folder / "small.jpg")
    records = write_crops(tmp_path, tmp_path / "out")
    halves = {name: {p.name.split("__")[0] for p in (tmp_path / "out" / name).glob("*.png")} for name in ("generators", "suite")}
    assert not halves["generators"] & halves["suite"] and len(halves["generators"] | halves["suite"]) == 12
    assert {record["name"] for record in records} == halves["suite"]
    assert {record["licence"] for record in records} == {"CC-BY-SA-3.0"} and records[0]["author"] == "Somebody"
    assert open_image(next((tmp_path / "out" / "suite").glob("*.png"))).size == (128, 128)
