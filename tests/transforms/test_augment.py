"""Augmentation equals a plain re-statement of the reference's data/datasets.py, to the bit."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tf

from cnndetect.errors import ImageError, ProtocolError
from cnndetect.transforms.augment import AugmentConfig, Draw, apply, augment, augment_validation, blur, draw, jpeg, resize
from cnndetect.transforms.preprocess import to_tensor

BOTH = AugmentConfig(blur_probability=0.5, jpeg_probability=0.5)
SMALL = AugmentConfig(resize_px=None, crop_px=8, blur_probability=0.5, jpeg_probability=0.5)


def _photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    # Smooth with some grain: blur and JPEG both change it.
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (max(height // 8, 1), max(width // 8, 1), 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return (smooth + rng.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8)


def _reference(image: Image.Image, choice: Draw, *, resize_px: int, crop_px: int) -> torch.Tensor:
    """Re-statement: TF.resize -> scipy blur into the uint8 array -> PIL JPEG -> crop -> flip -> tensor."""
    image = tf.resize(image, resize_px, interpolation=InterpolationMode.BILINEAR)
    pixels = np.array(image)
    if choice.sigma_px is not None:
        for channel in range(3):
            gaussian_filter(pixels[:, :, channel], output=pixels[:, :, channel], sigma=choice.sigma_px)
    if choice.quality is not None:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, format="jpeg", quality=choice.quality)
        out.seek(0)
        pixels = np.array(Image.open(out))
    image = tf.crop(Image.fromarray(pixels), choice.top, choice.left, crop_px, crop_px)
    if choice.flip:
        image = tf.hflip(image)
    return tf.normalize(tf.to_tensor(image), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.mark.parametrize("seed", range(12))
def test_training_view_equals_the_reference(seed: int) -> None:
    array = _photo(150 + 7 * seed, 180, seed)
    config = replace(BOTH, resize_px=128, crop_px=112)
    height, width = resize(array, 128).shape[:2]
    choice = draw(config, height, width, rng=np.random.default_rng(seed))
    ours = to_tensor(augment(array, config, rng=np.random.default_rng(seed)))
    assert torch.equal(ours, _reference(Image.fromarray(array), choice, resize_px=128, crop_px=112))


@pytest.mark.parametrize("steps", [(None, None), (1.7, None), (None, 40), (2.9, 30), (0.05, 100)])
@pytest.mark.parametrize("flip", [False, True])
def test_each_combination_of_steps_equals_the_reference(steps: tuple[float | None, int | None], flip: bool) -> None:
    array = _photo(256, 300)
    choice = Draw(sigma_px=steps[0], quality=steps[1], top=13, left=76, flip=flip)
    ours = to_tensor(apply(resize(array, 256), choice, crop_px=224))
    assert torch.equal(ours, _reference(Image.fromarray(array), choice, resize_px=256, crop_px=224))


@pytest.mark.parametrize("size", [(256, 256), (300, 200), (200, 300), (257, 511), (64, 48), (33, 100)])
@pytest.mark.parametrize("size_px", [48, 256])
def test_resize_is_torchvisions(size: tuple[int, int], size_px: int) -> None:
    image = Image.fromarray(_photo(*size))
    expected = np.asarray(tf.resize(image, size_px, interpolation=InterpolationMode.BILINEAR))
    assert np.array_equal(resize(image, size_px), expected)
    assert np.array_equal(resize(np.asarray(image), size_px), expected)


def test_no_resize_keeps_the_pixels() -> None:
    array = _photo(20, 30)
    assert np.array_equal(resize(array, None), array)


@pytest.mark.parametrize("sigma_px", [0.3, 1.0, 1.5, 3.0])
def test_blur_truncates_after_each_pass(sigma_px: float) -> None:
    array = _photo(40, 50)
    rounded = np.stack([gaussian_filter(array[:, :, c].astype(float), sigma_px) for c in range(3)], axis=2)
    # REFERENCE.md 1.2: 0.74 to 1.25 grey levels darker than a float blur.
    assert -1.3 < (blur(array, sigma_px) - rounded).mean() < -0.7
    in_place = array.copy()
    for channel in range(3):
        gaussian_filter(in_place[:, :, channel], output=in_place[:, :, channel], sigma=sigma_px)
    assert np.array_equal(blur(array, sigma_px), in_place)


def test_a_tiny_sigma_changes_nothing() -> None:
    array = _photo(20, 20)
    assert np.array_equal(blur(array, 0.0), array)
    assert np.array_equal(blur(array, 0.1), array)


def test_jpeg_is_repeatable_and_subsamples_colour() -> None:
    array = _photo(33, 47)
    assert np.array_equal(jpeg(array, 60), jpeg(array, 60))
    assert not np.array_equal(jpeg(array, 60), jpeg(array, 61))
    full = io.BytesIO()
    Image.fromarray(array).save(full, format="jpeg", quality=60, subsampling=0)
    assert not np.array_equal(jpeg(array, 60), np.asarray(Image.open(full)))


def test_blur_and_jpeg_are_drawn_independently() -> None:
    draws = [draw(SMALL, 10, 10, rng=np.random.default_rng(seed)) for seed in range(4000)]
    blurred = np.array([choice.sigma_px is not None for choice in draws])
    pressed = np.array([choice.quality is not None for choice in draws])
    for both in (blurred & pressed, blurred & ~pressed, ~blurred & pressed, ~blurred & ~pressed):
        assert 0.22 < both.mean() < 0.28  # a quarter each, 4 deviations are 0.027


def test_draws_cover_their_ranges_evenly() -> None:
    config = replace(SMALL, blur_probability=1.0, jpeg_probability=1.0, jpeg_quality=(30, 33), blur_sigma_px=(0.5, 2.0))
    draws = [draw(config, 9, 10, rng=np.random.default_rng(seed)) for seed in range(4000)]
    sigmas = np.array([choice.sigma_px for choice in draws], dtype=float)
    assert 0.5 <= sigmas.min() < 0.51 and 1.99 < sigmas.max() <= 2.0
    assert abs(sigmas.mean() - 1.25) < 0.03
    for values, wanted in (
        ([choice.quality for choice in draws], [30, 31, 32, 33]),
        ([choice.top for choice in draws], [0, 1]),
        ([choice.left for choice in draws], [0, 1, 2]),
        ([choice.flip for choice in draws], [False, True]),
    ):
        found, counts = np.unique(values, return_counts=True)
        assert found.tolist() == wanted
        assert np.abs(counts / 4000 - 1 / len(wanted)).max() < 0.035


def test_one_option_leaves_the_other_choices_alone() -> None:
    for seed in range(20):
        plain = draw(replace(SMALL, blur_probability=0.0, flip=False), 30, 30, rng=np.random.default_rng(seed))
        always = draw(replace(SMALL, blur_probability=1.0), 30, 30, rng=np.random.default_rng(seed))
        assert plain.sigma_px is None and always.sigma_px is not None and not plain.flip
        assert (plain.quality, plain.top, plain.left) == (always.quality, always.top, always.left)


def test_the_view_depends_on_the_seed_alone() -> None:
    array = _photo(30, 30)
    before = array.copy()
    views = [augment(array, SMALL, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(views[0], views[1])
    assert not np.array_equal(views[0], views[2])
    assert np.array_equal(array, before)


@pytest.mark.parametrize("size", [(100, 140), (201, 160)])
def test_validation_view_equals_the_reference(size: tuple[int, int]) -> None:
    config = AugmentConfig(resize_px=96, crop_px=81, blur_probability=1.0, jpeg_probability=1.0)
    image = Image.fromarray(_photo(*size))
    pixels = np.array(tf.resize(image, 96, interpolation=InterpolationMode.BILINEAR))
    for channel in range(3):
        gaussian_filter(pixels[:, :, channel], output=pixels[:, :, channel], sigma=1.5)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="jpeg", quality=65)
    expected = np.asarray(transforms.CenterCrop(81)(Image.open(out)))
    assert np.array_equal(augment_validation(image, config, rng=np.random.default_rng(0)), expected)


def test_validation_uses_the_probabilities_and_never_flips() -> None:
    array = _photo(8, 8)
    steps = {"plain": array, "blur": blur(array, 1.5), "jpeg": jpeg(array, 65), "both": jpeg(blur(array, 1.5), 65)}
    seen = dict.fromkeys(steps, 0)
    for seed in range(400):
        view = augment_validation(array, SMALL, rng=np.random.default_rng(seed))
        (name,) = [name for name, expected in steps.items() if np.array_equal(view, expected)]
        seen[name] += 1
    assert all(60 < count < 140 for count in seen.values())


def test_an_image_below_the_crop_is_refused_in_training_only() -> None:
    array = _photo(7, 20)
    with pytest.raises(ImageError, match="7x20 px.*crop of 8 px"):
        augment(array, SMALL, rng=np.random.default_rng(0))
    assert augment_validation(array, SMALL, rng=np.random.default_rng(0)).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"blur_probability": 1.5},
        {"jpeg_probability": -0.1},
        {"blur_sigma_px": (3.0, 0.0)},
        {"jpeg_quality": (0, 100)},
        {"jpeg_quality": (30, 101)},
        {"crop_px": 0},
        {"resize_px": 200},
    ],
)
def test_a_config_checks_itself(wrong: dict) -> None:
    with pytest.raises(ProtocolError, match=next(iter(wrong))):
        AugmentConfig(**wrong)
