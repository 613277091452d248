"""What score() takes: one image or a collection, of any kind, and what it says of the rest."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from cnndetect.errors import CnndetectError, ImageError, ProtocolError
from cnndetect.scoring import score

SIZES = [(16, 16), (9, 20), (1, 1)]


def _photos(sizes: list[tuple[int, int]] = SIZES) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in sizes]


def mean(batch: torch.Tensor) -> torch.Tensor:
    """A detector that can be checked by hand."""
    return batch.mean((1, 2, 3))


def _collections(tmp_path: Path, photos: list[np.ndarray]) -> dict[str, object]:
    """The same three images of one size as every kind of collection."""
    files = [tmp_path / "photos" / f"{index}.png" for index in range(3)]
    files[0].parent.mkdir()
    for file, photo in zip(files, photos, strict=True):
        Image.fromarray(photo).save(file)
    planes = torch.from_numpy(np.stack(photos).transpose(0, 3, 1, 2).copy())
    return {
        "generator": (photo for photo in photos),
        "map": map(Path, files),
        "Path.glob": (tmp_path / "photos").glob("*.png"),
        "folder": tmp_path / "photos",
        "pattern": str(tmp_path / "photos" / "*.png"),
        "BytesIO": [io.BytesIO(file.read_bytes()) for file in files],
        "bytearray": [bytearray(file.read_bytes()) for file in files],
        "batch array": np.stack(photos),
        "batch tensor": planes,
        "Series": pandas.Series([str(file) for file in files], index=[7, 8, 9]),
        "array of paths": np.array([str(file) for file in files]),
        "Dataset": torch.utils.data.TensorDataset(planes, torch.zeros(3)),
        "tuple": tuple(photos),
    }


def test_every_kind_of_collection_gives_the_same_scores(tmp_path: Path) -> None:
    photos = _photos([(8, 9)] * 3)
    expected = score(photos, detector=mean).tolist()
    for kind, collection in _collections(tmp_path, photos).items():
        got = score(collection, detector=mean)
        # A glob promises no order.
        assert (sorted(got) == sorted(expected)) if kind == "Path.glob" else (got.tolist() == expected), kind


def test_one_open_file_is_one_image(tmp_path: Path) -> None:
    (photo,) = _photos([(8, 9)])
    Image.fromarray(photo).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    with (tmp_path / "a.png").open("rb") as file:
        found = [score(one, detector=mean) for one in (file, io.BytesIO(content), bytearray(content), memoryview(content))]
    assert found == [score(photo, detector=mean)] * 4
    with pytest.raises(ImageError, match="mode 'rb'"):
        score(io.StringIO("text"), detector=mean)


@pytest.mark.parametrize(
    ("img", "words"),
    [
        (None, "Got None"), (3, "Got an int"), ({"a": 1}, "Got a dict"), ({1, 2}, "Got a set"),
        (pandas.DataFrame({"path": ["a.png"]}), "Got a DataFrame"), ("https://example.com/a.jpg", "https://example.com/a.jpg is an address"),
        (Path("https://example.com/a.jpg"), "is an address"), ("no-such-folder/*.jpg", "No image file matches"),
    ],
)  # fmt: skip
def test_what_is_neither_an_image_nor_a_collection_is_refused(img: object, words: str) -> None:
    with pytest.raises(CnndetectError, match=words.replace("*", r"\*")):
        score(img, detector=mean)


def test_an_element_that_is_no_image_is_named() -> None:
    with pytest.raises(ImageError, match="Image 0 of 1: Got a list"):
        score([[_photos()[0]]], detector=mean)
    with pytest.raises(ImageError, match="Image 1: Got an int"):
        score(iter([_photos()[0], 1]), detector=mean)


def test_one_bad_file_does_not_lose_a_batch(tmp_path: Path) -> None:
    good = _photos()[0]
    with pytest.warns(UserWarning, match=r"1 of 3 images failed, scored as NaN. First: Image 1 of 3: .*zz\.jpg does not exist"):
        found = score([good, tmp_path / "zz.jpg", good], detector=mean, on_error="nan")
    assert np.isnan(found).tolist() == [False, True, False] and found[0] == score(good, detector=mean)
    with pytest.raises(ProtocolError, match="on_error='skip'"):
        score(good, detector=mean, on_error="skip")
