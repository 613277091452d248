"""Degradations: named, repeatable, seeded by image, and what their names say."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from cnndetect.errors import ImageError, UnknownNameError
from cnndetect.transforms.degrade import DEGRADATIONS, degrade


def _photo(height: int = 40, width: int = 52) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return (smooth + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_every_name_gives_an_rgb_array_and_leaves_its_input(name: str) -> None:
    array = _photo()
    before = array.copy()
    first, again = degrade(array, name, seed=3), degrade(array, name, seed=3)
    assert first.dtype == np.uint8 and first.ndim == 3 and first.shape[2] == 3
    assert np.array_equal(first, again)
    assert np.array_equal(array, before)
    assert np.array_equal(first, array) == (name == "none")


@pytest.mark.parametrize("name", [name for name in DEGRADATIONS if not name.startswith("resize_")])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (41, 37)])
def test_shapes_are_kept_but_by_a_resize(name: str, size: tuple[int, int]) -> None:
    assert degrade(_photo(*size), name, seed=0).shape == (*size, 3)


@pytest.mark.parametrize(("name", "shape"), [("resize_0.5", (20, 26)), ("resize_0.75", (30, 39)), ("resize_1.5", (60, 78))])
def test_a_resize_scales_both_sides(name: str, shape: tuple[int, int]) -> None:
    assert degrade(_photo(), name, seed=0).shape == (*shape, 3)
    assert min(degrade(_photo(1, 1), name, seed=0).shape) >= 1


@pytest.mark.parametrize("quality", [95, 90, 75, 50, 30])
def test_jpeg_is_pillows(quality: int) -> None:
    memory = io.BytesIO()
    Image.fromarray(_photo()).save(memory, format="jpeg", quality=quality)
    assert np.array_equal(degrade(_photo(), f"jpeg_{quality}", seed=0), np.asarray(Image.open(memory)))


@pytest.mark.parametrize("sigma", [1, 2, 3])
def test_blur_is_the_references(sigma: int) -> None:
    expected = _photo()
    for channel in range(3):
        gaussian_filter(expected[:, :, channel], output=expected[:, :, channel], sigma=sigma)
    assert np.array_equal(degrade(_photo(), f"blur_{sigma}", seed=0), expected)


def test_stronger_means_further_from_the_image() -> None:
    def distance(name: str) -> float:
        return float(np.abs(degrade(_photo(), name, seed=0).astype(int) - _photo()).mean())

    for names in (["jpeg_95", "jpeg_90", "jpeg_75", "jpeg_50", "jpeg_30"], ["blur_1", "blur_2", "blur_3"]):
        distances = [distance(name) for name in names]
        assert distances == sorted(distances) and distances[0] > 0


def test_noise_is_one_draw_per_seed() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    first, other = degrade(grey, "noise_5", seed=1), degrade(grey, "noise_5", seed=2)
    assert not np.array_equal(first, other)
    assert abs(first.astype(float).std() - 5) < 0.1 and abs(first.mean() - 128) < 0.1


def test_a_wrong_name_or_array_says_what_is_expected() -> None:
    with pytest.raises(UnknownNameError, match="Unknown degradation 'jpeg_96'. Did you mean 'jpeg_9"):
        degrade(_photo(), "jpeg_96", seed=0)
    with pytest.raises(ImageError, match="Expected uint8"):
        degrade(_photo().astype(np.float32), "none", seed=0)
