"""The zoo's command line: training sets and test sets from photographs, resumed and seeded, mistakes explained."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from cnndetect.data.folders import scan
from cnndetect.errors import DataError
from cnndetect.images import open_image
from cnndetect.zoo import registry as families
from cnndetect.zoo.__main__ import main
from cnndetect.zoo.families import autogan, progan, sitd
from cnndetect.zoo.loop import Job
from cnndetect.zoo.photographs.free_photos import PACKAGES, free_photos, random_boxes, write_crops

TINY = progan.ProGANConfig(channels=(4, 4, 4, 4, 4, 4), latent=4, phases=((8, 0, 4, 4),))


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    root = tmp_path_factory.mktemp("progan")
    photos = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8)
    return families.export("progan", progan.train(photos, TINY, Job(root)), root / "generator.pt")


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
    # Asked for more than there are, the mirror images follow and no photograph counts twice.
    assert call(monkeypatch, *command[:-1], tmp_path / "more", "--per-category", "20") == 0
    assert json.loads(capsys.readouterr().out) == {"train": {"cat": 20}, "val": {"cat": 2}}
    mirrored = sorted((tmp_path / "more" / "train" / "cat" / "0_real").glob("*-mirrored.png"))
    assert len(mirrored) == 4
    original = mirrored[0].with_name(mirrored[0].name.replace("-mirrored", ""))
    assert np.array_equal(np.asarray(open_image(mirrored[0])), np.asarray(open_image(original))[:, ::-1])
    # Then crops of native size, in both splits, and as many fakes.
    assert call(monkeypatch, *command[:-1], tmp_path / "native", "--per-category", "40", "--native-crops", "1") == 0
    assert json.loads(capsys.readouterr().out) == {"train": {"cat": 40}, "val": {"cat": 4}}
    for split, crops in (("train", 8), ("val", 2)):
        assert len(list((tmp_path / "native" / split / "cat" / "0_real").glob("*-native0.png"))) == crops
        assert len(list((tmp_path / "native" / split / "cat" / "1_fake").glob("*-jpeg.png"))) == crops
    # An interrupted build makes only what is missing, and makes it the same.
    lost = train[-1].path
    before = lost.read_bytes()
    lost.unlink()
    assert call(monkeypatch, *command) == 0 and lost.read_bytes() == before


def test_a_training_set_of_the_simulator_puts_every_photograph_beside_its_own_fake(photos, tmp_path, monkeypatch, capsys) -> None:
    tiny = autogan.AutoGANConfig(width=4, blocks=1, steps=1, batch=2)
    crops = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8)
    weights = families.export("autogan", autogan.train(crops, tiny, Job(tmp_path / "run")), tmp_path / "autogan.pt")
    assert call(monkeypatch, "build-training", "--photos", photos, "--generator", f"cat={weights}", "--out", tmp_path / "set") == 0
    assert json.loads(capsys.readouterr().out) == {"train": {"cat": 16}, "val": {"cat": 2}}
    generator = families.load_generator(weights)
    reals, fakes = (sorted((tmp_path / "set" / "val" / "cat" / name).iterdir()) for name in ("0_real", "1_fake"))
    for place, (real, fake) in enumerate(zip(reals, fakes, strict=True)):
        expected = generator.fake(place, seed=2, photo=np.asarray(open_image(real)))
        assert np.array_equal(np.asarray(open_image(fake)), expected)


def test_a_test_set_from_the_command_line(generator, photos, tmp_path, monkeypatch, capsys) -> None:
    reals = tmp_path / "reals"
    reals.mkdir()
    Image.new("RGB", (128, 128)).save(reals / "lake__0.png")
    command = ("sample", "progan", "--weights", generator, "--photos", reals, "--count", 3, "--out", tmp_path / "elsewhere" / "set")
    assert call(monkeypatch, *command) == 0
    samples = scan(tmp_path / "elsewhere" / "set")
    assert [s.label for s in samples] == [0, 1, 1, 1] and all(s.path.exists() for s in samples)


def test_mistakes_leave_with_one_sentence(generator, photos, tmp_path, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "sample", "san", "--weights", generator, "--photos", photos, "--out", tmp_path / "x") == 2
    assert "is a progan generator, not san" in capsys.readouterr().err
    assert call(monkeypatch, "train", "progam", "--photos", photos / "cat", "--split", "train", "--out", tmp_path / "y") == 2
    assert "Did you mean 'progan'" in capsys.readouterr().err
    assert call(monkeypatch, "trian") == 2 and "Did you mean 'train'" in capsys.readouterr().err


def test_crops_of_unpacked_packages(tmp_path) -> None:
    with pytest.raises(DataError, match="apt-get download"):
        write_crops(free_photos(tmp_path), tmp_path / "out")
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
    Image.new("RGB", (480, 360)).save(folder / "moon.jpg")  # a drawing, by the list
    Image.new("RGB", (300, 200)).save(folder / "small.jpg")
    records = write_crops(free_photos(tmp_path), tmp_path / "out")
    found = {name: {p.name.split("__")[0] for p in (tmp_path / "out" / name).glob("*.png")} for name in ("decoders", "suite")}
    assert not found["decoders"] & found["suite"] and len(found["decoders"] | found["suite"]) == 13
    assert "scratch-small" in found["suite"] and {record["name"] for record in records} == found["decoders"] | found["suite"]
    assert {record["licence"] for record in records} == {"CC-BY-SA-3.0"} and records[0]["author"] == "Somebody"
    assert open_image(next((tmp_path / "out" / "suite").glob("*.png"))).size == (128, 128)


def test_own_photographs_become_an_own_benchmark(photos, tmp_path, monkeypatch, capsys) -> None:
    """From a folder of photographs to a suite, by two commands; the second one trains what is missing, once."""
    monkeypatch.setattr(progan, "CPU", TINY)
    monkeypatch.setattr(sitd, "CPU", sitd.SITDConfig(width=4, steps=2, batch=2))
    free, out = tmp_path / "free", tmp_path / "suite"
    assert call(monkeypatch, "photos", "--photos", photos, "--per-photo", 3, "--out", free) == 0
    names = {half: {p.name.split("__")[0] for p in (free / half).glob("*.png")} for half in ("generators", "suite")}
    assert not names["generators"] & names["suite"] and len(names["generators"] | names["suite"]) == 20
    assert len(list((free / "suite").glob("*.png"))) == 3 * len(names["suite"])

    command = ("build-suite", "--photos", free, "--family", "progan", "--family", "sitd", "--count", 5, "--out", out)
    assert call(monkeypatch, *command) == 0
    weights = tmp_path / "generators" / "progan" / "generator.pt"
    before = weights.stat().st_mtime_ns
    for name in ("progan", "sitd"):
        samples = scan(out / name)
        assert sum(sample.label == 1 for sample in samples) == 5
        assert {sample.path.parent.name for sample in samples if sample.label == 0} == {"reals"}
    next((out / "progan" / "1_fake").glob("*.png")).unlink()
    assert call(monkeypatch, *command) == 0
    assert weights.stat().st_mtime_ns == before and len(list((out / "progan" / "1_fake").glob("*.png"))) == 5

    # The sheet and the distances of the same suite.
    assert call(monkeypatch, "sheet", out / "sitd", "--columns", 2, "--out", tmp_path / "sheet.jpg") == 0
    assert open_image(tmp_path / "sheet.jpg").size == (2 * 132 + 4, 3 * 132 + 4)
    capsys.readouterr()
    assert call(monkeypatch, "distance", out, "--floor", free / "generators") == 0
    table = json.loads(capsys.readouterr().out)
    assert set(table) == {"progan", "sitd", "photographs"} and table["progan"]["images"] == 5


def test_photographs_too_small_are_refused(tmp_path, monkeypatch, capsys) -> None:
    Image.new("RGB", (300, 200)).save(tmp_path / "small.png")
    assert call(monkeypatch, "photos", "--photos", tmp_path, "--out", tmp_path / "out") == 1
    assert "at least 256 px" in capsys.readouterr().err


def test_random_boxes_stay_inside_and_are_seeded() -> None:
    boxes = random_boxes(300, 700, count=50, seed=1)
    assert boxes == random_boxes(300, 700, count=50, seed=1) != random_boxes(300, 700, count=50, seed=2)
    for left, top, right, bottom in boxes:
        assert right - left == bottom - top >= 256 and 0 <= left and right <= 300 and 0 <= top and bottom <= 700
