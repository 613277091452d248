"""Arrays and tensors as images, and folders as lists of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cnndetect.errors import ImageError, LayoutError
from cnndetect.images import EXTENSIONS, list_images, to_rgb_array

PHOTO = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def _refused(source: object, word: str) -> None:
    with pytest.raises(ImageError) as caught:
        to_rgb_array(source)
    assert word in str(caught.value) and "Expected" in str(caught.value)


def test_arrays_of_every_kind_agree() -> None:
    tensor = torch.from_numpy(PHOTO.transpose(2, 0, 1).copy())
    same = [PHOTO, PHOTO[::-1][::-1], PHOTO.astype(np.float32) / 255, PHOTO.astype(np.float64) / 255, tensor]
    same += [tensor.float() / 255, (tensor.double() / 255).requires_grad_(), (PHOTO / 255).astype(np.float16)]
    for array in same:
        assert np.array_equal(to_rgb_array(array), PHOTO)
        assert to_rgb_array(array).dtype == np.uint8


def test_grey_arrays_become_rgb() -> None:
    for grey in (PHOTO[:, :, 0], PHOTO[:, :, :1], PHOTO[:, :, 0] / 255):
        assert np.array_equal(to_rgb_array(grey), np.dstack([PHOTO[:, :, 0]] * 3))


def test_floats_are_rounded_not_truncated() -> None:
    assert to_rgb_array(np.array([[0.999, 0.501 / 255, 0.499 / 255]]))[0, :, 0].tolist() == [255, 1, 0]
    assert to_rgb_array(torch.full((3, 1, 1), 0.5, dtype=torch.bfloat16)).tolist() == [[[128, 128, 128]]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    array = np.zeros((4, 5, 3))
    array[1, 2, 0] = value
    _refused(array, "NaN or infinity at 1 places")
    _refused(torch.from_numpy(array.transpose(2, 0, 1)), "NaN or infinity")


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0), (0.0, 1.001)])
def test_a_wrong_range_is_refused(low: float, high: float) -> None:
    _refused(np.linspace(low, high, 12).reshape(2, 2, 3), f"from {low:g} to {high:g}")


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int8, bool, np.complex64, object])
def test_a_wrong_dtype_is_refused(dtype: type) -> None:
    _refused(np.zeros((4, 4, 3), dtype), np.dtype(dtype).name)


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((2, 4, 4, 3), np.uint8), "list(array)"),
        (np.zeros((3, 4, 5), np.uint8), "transpose"),
        (np.zeros((4, 5, 4), np.uint8), "[:, :, :3]"),
        (np.zeros((4, 5, 2), np.uint8), "[4, 5, 2]"),
        (np.zeros((0, 5, 3), np.uint8), "[0, 5, 3]"),
        (np.zeros(9, np.uint8), "[9]"),
        (torch.zeros(2, 3, 4, 4), "list(tensor)"),
        (torch.zeros(4, 5, 3), "permute"),
        (torch.zeros(1, 4, 5), "[1, 4, 5]"),
        (torch.zeros(3, 0, 5), "[3, 0, 5]"),
        (torch.zeros(3, 4, 5, dtype=torch.int32), "int32"),
        (None, "Got None"),
        ([[0.5]], "list"),
    ],
)
def test_a_wrong_shape_or_kind_is_refused(array: object, word: str) -> None:
    _refused(array, word)


def test_list_images_walks_sorts_and_hides_nothing_but_hidden_names(tmp_path: Path) -> None:
    for name in ("b/z.PNG", "b/a.b.Jpg", "b-c/a.png", "a.png", "A.png", "b/.hidden.png", ".git/x.png", "notes.txt", "b/._a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken.png").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "b")
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert names == [
        "A.png", "a.png", "b/a.b.Jpg", "b/z.PNG", "b-c/a.png", "broken.png", "linked/a.b.Jpg", "linked/z.PNG",
    ]  # fmt: skip
    assert list_images(str(tmp_path)) == list_images(tmp_path)


def test_list_images_refuses_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(LayoutError, match="is a file"):
        list_images(tmp_path / "a.png")
    with pytest.raises(LayoutError, match="is missing"):
        list_images(tmp_path / "absent")
    assert list_images(tmp_path)[0].suffix in EXTENSIONS


def test_list_images_reports_a_folder_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(LayoutError, match="Permission denied"):
        list_images(tmp_path)
