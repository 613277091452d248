"""Photographs: fixed splits, reduction by two at least, halves that never share a place, one encoder."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cnndetect.data import photos
from cnndetect.errors import DataError
from cnndetect.zoo.photographs.free_photos import crop_boxes, encode_png, folder_of
from cnndetect.zoo.photographs.qresource import read_members


def test_splits_share_no_file_and_miss_none(tmp_path) -> None:
    for index in range(40):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{index:05d}.png")
    parts = [set(photos.split_files(tmp_path, name)) for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [32, 4, 4]
    assert len(set.union(*parts)) == 40


def test_photographs_are_reduced_at_least_by_two(tmp_path) -> None:
    Image.new("RGB", (300, 260), (9, 8, 7)).save(tmp_path / "1.png")
    loaded = photos.load_photos([tmp_path / "1.png"])
    assert loaded.shape == (1, 128, 128, 3) and (loaded == [9, 8, 7]).all()
    with pytest.raises(DataError, match="200x200 px is too small"):
        photos.reduce(Image.new("RGB", (200, 200)))


def test_a_name_without_a_number_is_refused(tmp_path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "cat.png")
    with pytest.raises(DataError, match="no number"):
        photos.split_files(tmp_path, "train")


@pytest.mark.parametrize("size", [(480, 360), (256, 256), (1024, 683), (5000, 3000)])
def test_crops_lie_inside_and_are_large_enough(size: tuple[int, int]) -> None:
    boxes = crop_boxes(*size, limit=6)
    assert 1 <= len(boxes) <= 6 and len(set(boxes)) == len(boxes)
    for left, top, right, bottom in boxes:
        assert 0 <= left and 0 <= top and right <= size[0] and bottom <= size[1]
        assert right - left == bottom - top >= 256


def test_a_photograph_that_a_generator_learned_from_is_never_one_of_the_suite() -> None:
    for place in ("scratch-train-tracks", "scratch-court", "scratch-x", "scratch-lake", "scratch-y"):
        assert len({folder_of(f"{place}{end}", "CC-BY-SA-3.0", 400) for end in ("", "1", "2", "1-a", "1-b", "-inside")}) == 1
    assert {folder_of(f"scratch-{letter}x", "CC0-1.0", 400) for letter in "abcdefgh"} == {"suite", "decoders"}
    # Below 256 px nothing was learned from it.
    assert {folder_of(f"scratch-{letter}x", "CC0-1.0", 255) for letter in "abcdefgh"} == {"suite"}
    assert {folder_of("x", licence, 400) for licence in ("GPL-3+", "CC-BY-NC-2.0", "GFDL-NIV-1.2", "")} == {"generators"}


def test_the_encoder_leaves_no_metadata() -> None:
    image = Image.new("RGB", (8, 8))
    image.info["comment"] = "secret"
    content = encode_png(image)
    assert b"secret" not in content and content == encode_png(Image.fromarray(np.zeros((8, 8, 3), np.uint8)))


def test_qt_resources_are_read(tmp_path) -> None:
    def name(text: str) -> bytes:
        return struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")

    names = name("folder") + name("a.webp") + name("b.webp")
    plain, packed = b"plain", struct.pack(">I", 6) + zlib.compress(b"packed")
    data = struct.pack(">I", len(plain)) + plain + struct.pack(">I", len(packed)) + packed
    second, third = len(name("folder")), len(name("folder")) + len(name("a.webp"))
    tree = (
        struct.pack(">IHII", 0, 2, 1, 1)
        + struct.pack(">IHII", 0, 2, 2, 2)
        + struct.pack(">IHHHI", second, 0, 0, 0, 0)
        + struct.pack(">IHHHI", third, 1, 0, 0, 4 + len(plain))
    )
    header = b"qres" + struct.pack(">IIII", 1, 20, 20 + len(tree), 20 + len(tree) + len(data))
    (tmp_path / "x.rcc").write_bytes(header + tree + data + names)
    assert list(read_members(tmp_path / "x.rcc")) == [("folder/a.webp", b"plain"), ("folder/b.webp", b"packed")]
    (tmp_path / "y.rcc").write_bytes(b"no")
    with pytest.raises(DataError, match="not a Qt resource"):
        list(read_members(tmp_path / "y.rcc"))
