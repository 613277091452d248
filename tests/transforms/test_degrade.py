"""Degradations: named, repeatable, seeded by image, and what their names say."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from cnndetect.errors import ImageError, ProtocolError, UnknownNameError
from cnndetect.transforms.augment import jpeg
from cnndetect.transforms.degrade import DEGRADATIONS, PAPER_BLUR, PAPER_JPEG, changes_size, degrade


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


RESIZING = {"resize_0.5", "resize_0.75", "resize_1.5", "crop_0.75", "crop_0.5", "web"}


@pytest.mark.parametrize("name", sorted(set(DEGRADATIONS) - RESIZING))
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (41, 37)])
def test_shapes_are_kept_but_by_a_resize(name: str, size: tuple[int, int]) -> None:
    assert degrade(_photo(*size), name, seed=0).shape == (*size, 3)


def test_what_changes_the_size_says_so() -> None:
    assert {name for name in DEGRADATIONS if changes_size(name)} == RESIZING


@pytest.mark.parametrize("name", sorted(RESIZING))
def test_small_images_survive(name: str) -> None:
    assert min(degrade(_photo(1, 3), name, seed=0).shape) >= 1


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

    for names in (PAPER_JPEG[1:], PAPER_BLUR[1:], ("webp_80", "webp_50"), ("noise_5", "noise_10"), ("web", "hard")):
        names = [name for name in names if not changes_size(name)]
        distances = [distance(name) for name in names]
        assert distances == sorted(distances) and distances[0] > 0


def test_noise_is_one_draw_per_seed() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    first, other = degrade(grey, "noise_5", seed=1), degrade(grey, "noise_5", seed=2)
    assert not np.array_equal(first, other)
    assert abs(first.astype(float).std() - 5) < 0.1 and abs(first.mean() - 128) < 0.1


def test_the_papers_grids_begin_with_the_image_itself() -> None:
    assert PAPER_BLUR[0] == PAPER_JPEG[0] == "none" and set(PAPER_BLUR + PAPER_JPEG) <= set(DEGRADATIONS)
    assert [float(name.removeprefix("blur_")) for name in PAPER_BLUR[1:]] == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    assert PAPER_JPEG[1] == "jpeg_100" and PAPER_JPEG[-1] == "jpeg_30"


def test_a_crop_is_a_piece_of_the_image_and_moves_with_the_seed() -> None:
    photo = _photo()
    pieces = [degrade(photo, "crop_0.5", seed=seed) for seed in range(8)]
    windows = np.lib.stride_tricks.sliding_window_view(photo, pieces[0].shape)[:, :, 0]
    assert all((windows == piece).all(axis=(2, 3, 4)).sum() == 1 for piece in pieces)
    assert len({piece.tobytes() for piece in pieces}) > 1


def test_resize_and_back_keeps_the_size_and_loses_detail() -> None:
    photo = _photo().astype(float)
    lost = [float(np.abs(degrade(_photo(), f"resize_back_{factor}", seed=0) - photo).mean()) for factor in ("0.5", "0.75", "1.5")]
    assert lost == sorted(lost, reverse=True) and lost[-1] > 0


def test_double_jpeg_loses_more_than_its_second_pass_on_the_whole() -> None:
    twice = np.mean([np.abs(degrade(_photo(), "double_jpeg", seed=seed).astype(int) - _photo()).mean() for seed in range(6)])
    once = np.abs(degrade(_photo(), "jpeg_80", seed=0).astype(int) - _photo()).mean()
    assert twice > once


@pytest.mark.parametrize("name", ["double_jpeg", "web", "hard"])
def test_chains_draw_from_the_seed(name: str) -> None:
    assert len({degrade(_photo(), name, seed=seed).tobytes() for seed in range(4)}) == 4


def test_a_wrong_name_or_array_says_what_is_expected() -> None:
    with pytest.raises(UnknownNameError, match="Unknown degradation 'jpeg_96'. Did you mean 'jpeg"):
        degrade(_photo(), "jpeg_96", seed=0)
    with pytest.raises(ImageError, match="Expected uint8"):
        degrade(_photo().astype(np.float32), "none", seed=0)


def test_equalised_images_have_one_size_and_one_compression() -> None:
    sizes = {degrade(_photo()[:height], "size-256", seed=0).shape for height in (5, 24, 40)}
    assert sizes == {(256, 256, 3)}
    assert np.array_equal(degrade(_photo(), "jpeg-96", seed=1), jpeg(_photo(), 96))


def test_an_image_that_has_the_size_already_is_resampled_like_the_others() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert float(np.abs(degrade(noise, "size-256", seed=0).astype(int) - noise).mean()) > 20


def test_equalisers_come_first_and_a_condition_has_one_name() -> None:
    both = degrade(degrade(_photo(), "size-256", seed=0), "jpeg-96", seed=0)
    assert np.array_equal(degrade(_photo(), "size-256+jpeg-96", seed=0), both)
    assert np.array_equal(degrade(_photo(), "size-256+jpeg-96+blur_1", seed=0), degrade(both, "blur_1", seed=0))
    for name in ("jpeg-96+size-256", "jpeg-96+jpeg-96", "web+jpeg-96", "jpeg-96+none", "blur_1+web"):
        with pytest.raises(ProtocolError, match="Expected at most one"):
            degrade(_photo(), name, seed=0)
