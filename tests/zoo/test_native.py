"""Native crops of photographs and fakes that share their compression."""

import io

import numpy as np
import pytest
from PIL import Image

from cnndetect.errors import DataError
from cnndetect.images import open_image
from cnndetect.zoo.photographs.native import compressed_like, native_crop


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((200, 176), Image.Resampling.BICUBIC)
    path = tmp_path / "00012.jpg"
    smooth.save(path, quality=60, subsampling=0)
    return path


def test_a_crop_is_a_piece_of_the_decoded_photograph_and_its_place_follows_from_name_and_number(photo):
    whole = np.asarray(open_image(photo))
    crop = native_crop(photo, 0)
    windows = np.lib.stride_tricks.sliding_window_view(whole, crop.shape)[:, :, 0]
    assert (windows == crop).all(axis=(2, 3, 4)).any()
    assert np.array_equal(crop, native_crop(photo, 0))
    assert any(not np.array_equal(crop, native_crop(photo, index)) for index in range(1, 5))


@pytest.mark.parametrize("index", range(6))
def test_the_compression_is_that_of_the_photograph(photo, index):
    # What went through the photograph's own quantisation at its own grid position stays as it is when it goes through again;
    # at another position or another quality it moves.
    inner = (slice(24, 104), slice(24, 104))
    crop = native_crop(photo, index).astype(int)
    again = compressed_like(native_crop(photo, index), photo, index).astype(int)
    moved = np.abs(again - crop)[inner].mean()
    other = io.BytesIO()
    Image.fromarray(native_crop(photo, index)).save(other, "JPEG", quality=30)
    foreign = np.abs(np.asarray(open_image(other.getvalue())).astype(int) - crop)[inner].mean()
    assert moved < 0.5 < foreign


def test_no_jpeg_leaves_the_fake_alone(photo, tmp_path):
    path = tmp_path / "00013.png"
    open_image(photo).save(path)
    pixels = native_crop(path, 0)
    assert compressed_like(pixels, path, 0) is pixels


def test_a_photograph_that_is_too_small_is_named(tmp_path):
    Image.new("RGB", (100, 300)).save(tmp_path / "1.jpg")
    with pytest.raises(DataError, match="1.jpg has 100x300 px"):
        native_crop(tmp_path / "1.jpg", 0)
