"""Folders: labels come from names alone, nothing is lost, shared reals share a photograph."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from cnndetect.data.folders import clusters, contents, fingerprint, scan
from cnndetect.errors import LayoutError


def picture(path: Path, colour: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (colour, colour, colour)).save(path, format="PNG")
    return path


def test_flat_and_nested_layouts(tmp_path) -> None:
    for name in ("0_real/a.png", "1_fake/a.png"):
        picture(tmp_path / "flat" / name)
        picture(tmp_path / "nested" / "car" / name)
        picture(tmp_path / "nested" / "deep" / "cat" / name)
    assert [(s.relative, s.label) for s in scan(tmp_path / "flat")] == [("0_real/a.png", 0), ("1_fake/a.png", 1)]
    nested = scan(tmp_path / "nested")
    assert [s.relative for s in nested if s.label] == ["car/1_fake/a.png", "deep/cat/1_fake/a.png"]
    # The same name in both classes stays two images.
    assert len({s.relative for s in nested}) == 4


def test_upper_case_and_double_extensions_are_images(tmp_path) -> None:
    for name in ("0_real/A.PNG", "0_real/a.b.Jpeg", "1_fake/x.png", "1_fake/notes.txt", "1_fake/.hidden.png"):
        picture(tmp_path / name)
    assert [s.relative for s in scan(tmp_path)] == ["0_real/A.PNG", "0_real/a.b.Jpeg", "1_fake/x.png"]


@pytest.mark.parametrize(("present", "absent"), [("1_fake", "0_real"), ("0_real", "1_fake")])
def test_a_missing_or_empty_class_is_an_error_and_never_a_flipped_label(tmp_path, present, absent) -> None:
    picture(tmp_path / present / "a.png")
    with pytest.raises(LayoutError, match=f"{absent} is missing"):
        scan(tmp_path)
    (tmp_path / absent).mkdir()
    with pytest.raises(LayoutError, match=f"{absent} is empty"):
        scan(tmp_path)


def test_what_is_no_test_set_says_what_was_found(tmp_path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(LayoutError, match=r"found: pictures.*Expected 0_real/ and 1_fake/"):
        scan(tmp_path)
    with pytest.raises(LayoutError, match="no such folder"):
        scan(tmp_path / "nowhere")


def test_shared_reals(tmp_path) -> None:
    picture(tmp_path / "reals" / "lake__0.png")
    picture(tmp_path / "reals" / "hill.png")
    for family in ("crn", "imle"):
        picture(tmp_path / family / "1_fake" / "lake__0.png")
        (tmp_path / family / "0_real.txt").write_text("../reals/hill.png\n../reals/lake__0.png\n\n")
    crn, imle = scan(tmp_path / "crn"), scan(tmp_path / "imle")
    assert [(s.relative, s.label, s.cluster) for s in crn] == [
        ("0_real/hill.png", 0, "0_real/hill.png"),
        ("0_real/lake__0.png", 0, "lake"),
        ("1_fake/lake__0.png", 1, "lake"),
    ]
    assert [s.cluster for s in imle] == [s.cluster for s in crn]
    picture(tmp_path / "crn" / "0_real" / "z.png")
    with pytest.raises(LayoutError, match="both"):
        scan(tmp_path / "crn")


def test_the_fingerprint_is_of_names_labels_and_contents(tmp_path) -> None:
    for name, colour in (("0_real/a.png", 1), ("1_fake/a.png", 2)):
        picture(tmp_path / name, colour)
    samples = scan(tmp_path)
    before = fingerprint(samples)
    assert fingerprint(samples[::-1]) == before and len(before) == 64
    picture(tmp_path / "1_fake/a.png", 3)
    assert fingerprint(samples) != before
    picture(tmp_path / "1_fake/a.png", 2)
    assert fingerprint(samples) == before
    (tmp_path / "1_fake/a.png").rename(tmp_path / "1_fake/b.png")
    assert fingerprint(scan(tmp_path)) != before


def test_equal_files_are_drawn_together_and_equal_names_are_not(tmp_path) -> None:
    for family, colour in (("crn", 7), ("imle", 7), ("gaugan", 9)):
        picture(tmp_path / family / "0_real" / "0001.png", colour)
        picture(tmp_path / family / "1_fake" / "0001.png", colour + 1)
    sets = {name: scan(tmp_path / name) for name in ("crn", "imle", "gaugan")}
    drawn = {name: clusters(samples, contents(samples)) for name, samples in sets.items()}
    assert drawn["crn"][0] == drawn["imle"][0]  # a copy of the same real
    assert len({drawn["crn"][0], drawn["gaugan"][0], drawn["crn"][1], drawn["gaugan"][1]}) == 4
    assert all(str(tmp_path) not in name for name in drawn["crn"])


def test_an_unreadable_file_is_listed_and_is_its_own_cluster(tmp_path) -> None:
    for name in ("0_real/a.png", "1_fake/a.png"):
        picture(tmp_path / name)
    (tmp_path / "1_fake/lost.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "1_fake/gone.png").symlink_to(tmp_path / "nowhere.png")
    samples = scan(tmp_path)
    assert [s.relative for s in samples][1:] == ["1_fake/a.png", "1_fake/gone.png", "1_fake/lost.png"]
    assert clusters(samples, contents(samples))[2:] == ["1_fake/gone.png", "1_fake/lost.png"]
    before = fingerprint(samples)
    picture(tmp_path / "nowhere.png")
    assert fingerprint(samples) != before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"../reals/a.png\n../other/a.png\n", "names 'a.png' more than once"),
        (b"\xff\xfe\x00", "Expected UTF-8 text"),
        (b"\n \n", "0_real.txt is empty"),
    ],
)
def test_a_bad_list_of_reals_is_refused(tmp_path, content, words) -> None:
    picture(tmp_path / "set" / "1_fake" / "a.png")
    (tmp_path / "set" / "0_real.txt").write_bytes(content)
    with pytest.raises(LayoutError, match=words):
        scan(tmp_path / "set")


def test_a_real_that_the_list_names_in_vain_is_listed(tmp_path) -> None:
    picture(tmp_path / "set" / "1_fake" / "a.png")
    (tmp_path / "set" / "0_real.txt").write_bytes(b"\xef\xbb\xbf../reals/absent.png\r\n")
    assert [s.relative for s in scan(tmp_path / "set") if s.label == 0] == ["0_real/absent.png"]


def test_classes_that_share_reals_keep_their_own_names(tmp_path) -> None:
    picture(tmp_path / "stylegan" / "reals" / "a.png")
    for name in ("car", "cat"):
        picture(tmp_path / "stylegan" / name / "1_fake" / "a.png")
        (tmp_path / "stylegan" / name / "0_real.txt").write_text("../reals/a.png\n")
    samples = scan(tmp_path / "stylegan")
    assert [s.relative for s in samples if s.label == 0] == ["car/0_real/a.png", "cat/0_real/a.png"]
    assert len(set(clusters(samples, contents(samples)))) == 1  # one file, drawn once


def test_a_link_back_up_ends_and_hidden_folders_are_left_out(tmp_path) -> None:
    for name in ("car/0_real/a.png", "car/1_fake/a.png", ".trash/0_real/a.png"):
        picture(tmp_path / name)
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(scan(tmp_path)) == 2


def test_a_link_from_the_reals_to_a_folder_above_them_makes_no_fake_a_real(tmp_path) -> None:
    for name in ("set/0_real/a.png", "set/1_fake/b.png"):
        picture(tmp_path / name)
    (tmp_path / "set/0_real/inner").mkdir()
    (tmp_path / "set/0_real/inner/up").symlink_to("../..", target_is_directory=True)
    assert [(one.relative, one.label) for one in scan(tmp_path / "set")] == [("0_real/a.png", 0), ("1_fake/b.png", 1)]


def test_a_name_that_is_no_utf8_is_fingerprinted(tmp_path) -> None:
    for name in ("0_real/a.png", "1_fake/a.png"):
        picture(tmp_path / name)
    odd = os.fsencode(tmp_path / "1_fake") + b"/\xff.png"
    try:
        Path(os.fsdecode(odd)).write_bytes((tmp_path / "1_fake/a.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert len(scan(tmp_path)) == 3 and len(fingerprint(scan(tmp_path))) == 64
