"""Spectra of pairs are made equal, and retouches do not know the label."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cnndetect.errors import ImageError
from cnndetect.transforms.augment import AugmentConfig
from cnndetect.transforms.pairs import PairConfig, augment_pair, draw_pair, draw_scale
from cnndetect.transforms.retouch import match_spectrum, retouch

PLAIN = AugmentConfig(resize_px=None, crop_px=48)


def _photo(seed: int = 0, size_px: int = 48) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = sum(gaussian_filter(rng.normal(0, 60 * sigma, (size_px, size_px, 3)), (sigma, sigma, 0)) for sigma in (1, 2, 4))
    return np.rint(noise + 128 + rng.normal(0, 4, noise.shape)).clip(0, 255).astype(np.uint8)


def _energy(image: np.ndarray, low: float, high: float) -> float:
    """Power of the luma between two radial frequencies, in cycles per pixel."""
    luma = image @ np.array([0.299, 0.587, 0.114])
    power = abs(np.fft.fft2(luma - luma.mean())) ** 2
    radius = np.hypot(np.fft.fftfreq(len(luma))[:, None], np.fft.fftfreq(luma.shape[1])[None])
    return float(power[(radius >= low) & (radius < high)].sum())


@pytest.mark.parametrize("band", [(0.1, 0.2), (0.2, 0.3), (0.3, 0.45)])
def test_a_blurred_image_gets_the_energy_of_its_photograph_back(band: tuple[float, float]) -> None:
    photo = _photo()
    soft = gaussian_filter(photo.astype(float), (0.6, 0.6, 0)).round().astype(np.uint8)
    before, after = (_energy(image, *band) / _energy(photo, *band) for image in (soft, match_spectrum(soft, photo)))
    assert before < 0.85
    assert 0.85 < after < 1.15


def test_the_peak_of_a_grid_survives() -> None:
    photo, columns = _photo(), np.arange(48)
    painted = np.rint(photo + 12.0 * (-1) ** columns[None, :, None]).clip(0, 255).astype(np.uint8)
    row = abs(np.fft.fft(match_spectrum(painted, photo)[..., 1].mean(axis=0)))
    assert row[24] > 5 * np.median(row[16:24])


def test_the_mean_and_the_photograph_itself_stay() -> None:
    photo, other = _photo(1), _photo(2)
    assert abs(match_spectrum(photo, photo).astype(int) - photo).max() <= 1
    assert np.allclose(match_spectrum(photo, other).mean(axis=(0, 1)), photo.mean(axis=(0, 1)), atol=1.0)


def test_unequal_sizes_are_refused() -> None:
    with pytest.raises(ImageError, match="equal sizes"):
        match_spectrum(_photo(), _photo(size_px=32))


def test_every_kind_of_retouch_changes_the_image_and_repeats_with_its_seed() -> None:
    photo = _photo()
    made = [retouch(photo, rng=np.random.default_rng(seed)) for seed in range(30)]
    again = [retouch(photo, rng=np.random.default_rng(seed)) for seed in range(30)]
    assert all((one == two).all() for one, two in zip(made, again, strict=True))
    assert sum((one != photo).any() for one in made) >= 29
    assert {one.shape for one in made} == {photo.shape}


def test_retouches_are_independent_of_the_label() -> None:
    pairs = PairConfig(mix_probability=0.0, retouch_probability=0.5)
    draws = [draw_pair(PLAIN, pairs, 64, 64, rng=np.random.default_rng(seed)).retouches for seed in range(1000)]
    changed = np.array([[seed is not None for seed in two] for two in draws])
    assert abs(changed.mean(axis=0) - 0.5).max() < 0.06
    assert abs(np.corrcoef(changed.T)[0, 1]) < 0.1
    assert all(one != two for one, two in draws if one is not None and two is not None)


def test_earlier_draws_do_not_change_when_neither_is_asked_for() -> None:
    photo, fake = _photo(3), _photo(4)
    always = PairConfig(mix_probability=0.0, spectrum_probability=1.0)
    real, matched = augment_pair(photo, fake, PLAIN, always, rng=np.random.default_rng(0))
    same, plain = augment_pair(photo, fake, PLAIN, PairConfig(mix_probability=0.0), rng=np.random.default_rng(0))
    assert (real == same).all()
    assert (matched != plain).any()


def test_both_images_of_a_pair_are_scaled_alike_and_never_below_the_crop() -> None:
    photo = _photo(5, size_px=60)
    always = PairConfig(mix_probability=0.0, scale_probability=1.0)
    seen = set()
    for seed in range(20):
        real, fake = augment_pair(photo, photo.copy(), PLAIN, always, rng=np.random.default_rng(seed))
        assert (real == fake).all()
        assert real.shape == (48, 48, 3)
        seen.add(real.tobytes())
    assert len(seen) == 20
    sizes = {draw_scale(always, (60, 80), 48, rng=np.random.default_rng(seed))[0] for seed in range(200)}
    assert min(height for _, height in sizes) == 48
    assert max(width for width, _ in sizes) > 110
