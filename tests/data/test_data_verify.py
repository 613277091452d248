"""The catalogue's own sums, and what verify says of folders that are right, wrong and in between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drawn_official import PER_CLASS, small_dataset, small_members, write_members
from loopback import png

from cnndetect.data.__main__ import main
from cnndetect.data.official.catalog import CATEGORIES, DATASETS, MINI_VERSION, SUITES, find_dataset, named_groups, suite_notes
from cnndetect.data.official.flaws import FLAWS, flaw_lines
from cnndetect.data.official.verify import verify
from cnndetect.errors import LayoutError, ProtocolError

MEMBERS = small_members()


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    small_dataset(monkeypatch, b"none")
    return write_members(tmp_path / "set", MEMBERS)


def wrong_of(check) -> dict[str, tuple[int, int, int, int]]:
    return {c.folder: (c.missing, c.extra, len(c.duplicated), len(c.unreadable)) for c in check.classes if not c.is_right}


def test_the_catalogue_sums_to_the_published_totals() -> None:
    test, train = DATASETS["forensynths"], DATASETS["progan-train"]
    real, fake = (sum(getattr(group, label) for group in test.groups.values()) for label in ("real", "fake"))
    assert (real, fake, real + fake) == (45_169, 45_160, 90_329)
    published = {
        "progan": (4000, 4000), "stylegan": (5991, 5991), "biggan": (2000, 2000), "cyclegan": (1321, 1321), "stargan": (1999, 1999),
        "gaugan": (5000, 5000), "crn": (6382, 6382), "imle": (6382, 6382), "seeingdark": (180, 180), "san": (219, 219),
        "deepfake": (2707, 2698), "stylegan2": (7988, 7988), "whichfaceisreal": (1000, 1000),
    }  # fmt: skip
    assert {name: (group.real, group.fake) for name, group in test.groups.items()} == published
    assert sum(group.real + group.fake for group in train.groups.values()) == 720_120
    assert sum(group.real for group in DATASETS["progan-val"].groups.values()) == 4_000
    assert sum(dataset.bytes for dataset in DATASETS.values()) == 96_641_839_586
    assert len(set(CATEGORIES)) == 20 and all(part.sha256 is None or len(part.sha256) == 64 for part in train.parts)


def test_suites_and_flaws_name_what_there_is() -> None:
    assert [len(named_groups(name)) for name in ("forensynths-11", "forensynths-13")] == [11, 13]
    assert set(SUITES["forensynths-13"].groups) - set(SUITES["forensynths-11"].groups) == {"stylegan2", "whichfaceisreal"}
    assert all(set(flaw.groups) <= set(DATASETS[flaw.dataset].groups) for flaw in FLAWS)
    assert len({(flaw.dataset, flaw.name) for flaw in FLAWS}) == len(FLAWS)
    # A real that two sets share is no flaw of one set alone.
    assert not any("same 6,382" in line for line in flaw_lines("forensynths", ["crn"]))
    assert any("same 6,382" in line for line in suite_notes("forensynths-11@1", ["crn", "imle"]))
    assert suite_notes("mini@2", ["crn", "imle"]) == []
    # The records of the embedded suite say nothing about images of another version.
    assert suite_notes("mini@2", ["progan"]) == [] != suite_notes(f"mini@{MINI_VERSION}", ["progan"])


def test_a_whole_copy_is_right(root, capsys) -> None:
    check = verify(root)
    assert check.is_right and check.dataset == "forensynths" and len(check.classes) == 2 * 42
    assert main(["verify", str(root)]) == 0
    out = capsys.readouterr().out
    for words in ("84 of 84 class folders right", "CRN and IMLE have the same 6,382 reals", "19 of the 219 reals are bmp"):
        assert words in out


def test_every_fault_is_found_in_its_class(root, capsys) -> None:
    (root / "biggan" / "0_real" / "00001.png").unlink()
    (root / "progan" / "cat" / "1_fake" / "more.png").write_bytes(png(9999))
    (root / "crn" / "1_fake" / "00002.png").write_bytes((root / "crn" / "0_real" / "00000.png").read_bytes())
    (root / "san" / "0_real" / "00003.png").write_bytes(png(8888)[:-60])
    (root / "deepfake" / "1_fake" / "00000.png").unlink()
    (root / "deepfake" / "1_fake" / "00000.png").symlink_to("nowhere.png")
    (root / "stargan" / "notes.txt").write_text("no image")
    wrong = {
        "biggan/0_real": (1, 0, 0, 0), "progan/cat/1_fake": (0, 1, 0, 0), "crn/1_fake": (0, 0, 1, 0), "san/0_real": (0, 0, 0, 1),
        "deepfake/1_fake": (0, 0, 0, 1),
    }  # fmt: skip
    check = verify(root)
    assert not check.is_right and wrong_of(check) == wrong
    assert main(["verify", str(root), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["is_right"] is False and sum(part["missing"] for part in answer["classes"]) == 1
    assert [part["unreadable"][0].split(":")[0] for part in answer["classes"] if part["unreadable"]] == [
        "san/0_real/00003.png", "deepfake/1_fake/00000.png"]  # fmt: skip
    assert main(["verify", str(root)]) == 1
    assert "duplicated: crn/1_fake/00002.png" in (out := capsys.readouterr().out) and "79 of 84 class folders right" in out
    # Counting alone sees two of the five.
    assert set(wrong_of(verify(root, contents=False))) == {"biggan/0_real", "progan/cat/1_fake"}


def test_a_missing_generator_is_missing_and_an_unknown_one_extra(root, capsys) -> None:
    (root / "gaugan").rename(root / "gaugan-old")
    write_members(root, {"progan/zebra/0_real/1.png": png(1), "progan/zebra/1_fake/1.png": png(2)})
    check = verify(root, "forensynths-11", contents=False)
    assert wrong_of(check) == {"gaugan/0_real": (PER_CLASS.real, 0, 0, 0), "gaugan/1_fake": (PER_CLASS.fake, 0, 0, 0)}
    assert check.unknown == ("gaugan-old", "progan/zebra") and not check.is_right
    # What was not asked for is no fault.
    assert verify(root, "forensynths", only=["biggan", "sitd"], contents=False).unknown == ("gaugan-old",)
    assert main(["verify", str(root), "--quick"]) == 1 and "not in the catalogue: gaugan-old" in capsys.readouterr().out


def test_the_data_set_is_told_by_its_folders(root, tmp_path) -> None:
    (tmp_path / "val" / "cat" / "0_real").mkdir(parents=True)
    with pytest.raises(ProtocolError, match="progan-test or progan-val or progan-train. Say which with --suite"):
        verify(tmp_path / "val")
    assert verify(tmp_path / "val", "progan-val", only=["cat"]).classes[0].missing == 200
    with pytest.raises(ProtocolError, match="any data set"):
        verify(tmp_path)
    with pytest.raises(LayoutError, match="is not a folder"):
        verify(tmp_path / "none")


def test_ls_info_where(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path))
    (tmp_path / "forensynths" / "biggan").mkdir(parents=True)
    assert main(["ls"]) == 0 and "45169/45160    20.1 GB    1/13" in capsys.readouterr().out
    assert main(["ls", "--json"]) == 0 and json.loads(capsys.readouterr().out)["datasets"][0]["here"] == ["biggan"]
    assert main(["info", "forensynths"]) == 0
    out = capsys.readouterr().out
    for words in ("CC BY-NC-SA 4.0", "arXiv:1912.11035", "d87eeff4", "compression alone", "5991/5991", "CelebA"):
        assert words in out
    assert main(["info", "forensynths-11", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (len(answer["groups"]), answer["real"]) == (11, 36_181) and not any("WhichFaceIsReal" in line for line in answer["flaws"])
    assert main(["where", "progan-train", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["folder"] == str(tmp_path / "progan-train") and len(answer["addresses"]) == 7
    assert main(["info", "forensinths"]) == 2 and "Did you mean 'forensynths'" in capsys.readouterr().err


def test_a_suite_stands_for_its_data_set() -> None:
    assert find_dataset("forensynths-13") is DATASETS["forensynths"]
