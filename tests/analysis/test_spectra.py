"""Spectra: scales, circles and peaks, and upsampling that leaves its marks where sampling theory says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from cnndetect.analysis.spectra import (
    Spectrum,
    find_peaks,
    frequencies,
    log_ratio,
    magnitude,
    mean_spectrum,
    peaks_between,
    radial_profile,
    residual,
    upsampling_copies,
    upsampling_response,
)
from cnndetect.errors import ImageError

Upsample = Callable[[np.ndarray, int], np.ndarray]


def nearest(plane: np.ndarray, factor: int) -> np.ndarray:
    return functional.interpolate(torch.from_numpy(plane)[None, None], scale_factor=factor, mode="nearest")[0, 0].numpy()


def bilinear(plane: np.ndarray, factor: int) -> np.ndarray:
    # With borders that wrap, so that the finite image has the infinite one's lines.
    padded = functional.pad(torch.from_numpy(plane)[None, None], (2, 2, 2, 2), mode="circular")
    large = functional.interpolate(padded, scale_factor=factor, mode="bilinear", align_corners=False)
    return large[0, 0, 2 * factor : -2 * factor, 2 * factor : -2 * factor].numpy()


def transposed(plane: np.ndarray, factor: int) -> np.ndarray:
    """A transposed convolution with one weight: zeros between the pixels."""
    weight = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    return functional.conv_transpose2d(torch.from_numpy(plane)[None, None], weight, stride=factor, output_padding=factor - 1)[0, 0].numpy()


KINDS: dict[str, Upsample] = {"nearest": nearest, "bilinear": bilinear, "transposed": transposed}


def wave(size: int, down: float, right: float, mean: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return mean + 20 * np.cos(2 * np.pi * (down * y + right * x) + 0.4)


def rgb(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane.round().clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("cycles", [3, 5, 11])
def test_a_wave_is_copied_to_where_theory_says_with_the_weight_it_says(kind: str, factor: int, cycles: int) -> None:
    small, size = 32, 32 * factor
    spectrum = magnitude(KINDS[kind](wave(small, 0.0, cycles / small), factor))
    row = spectrum[size // 2, size // 2 :]  # right frequencies 0 to 0.5
    expected = upsampling_copies(cycles / small, factor)
    weights = upsampling_response(np.array(expected), factor, kind)
    found = np.append(row, spectrum[size // 2, 0])[np.rint(np.array(expected) * size).astype(int)]
    assert np.allclose(found / found[0], weights / weights[0], atol=1e-9)
    # Nothing anywhere else in that row.
    others = np.delete(row, np.rint(np.array(expected) * size).astype(int))
    assert others.max() < 1e-9 * row.max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [2, 4])
def test_noise_gets_the_envelope_of_its_upsampling(kind: str, factor: int) -> None:
    rng = np.random.default_rng(0)
    size = 32 * factor
    power = np.mean([magnitude(KINDS[kind](rng.normal(0, 10, (32, 32)), factor)) ** 2 for _ in range(300)], axis=0)
    axis = frequencies(size)
    weight = upsampling_response(axis, factor, kind)
    expected = (weight[:, None] * weight[None]) ** 2
    # 300 images: every bin is known to 6 %, the worst of 16,000 to 30 %.
    assert (np.abs(power / power.sum() * expected.sum() - expected) <= 0.35 * expected + 1e-9).all()
    if kind != "transposed":
        # The lattice of the factor is dark: nothing is left there of any image.
        on = np.rint(np.arange(1, factor // 2 + 1) / factor * size).astype(int) % size
        assert np.sqrt(power[size // 2, (size // 2 + on) % size]).max() < 1e-6


@pytest.mark.parametrize("factor", [2, 4])
def test_a_transposed_convolution_puts_its_peaks_on_the_lattice(factor: int) -> None:
    rng = np.random.default_rng(1)

    def image(upsample: Upsample) -> np.ndarray:
        return rgb(upsample(rng.normal(120, 25, (128 // factor, 128 // factor)), factor) + rng.normal(0, 4, (128, 128)))

    spectrum = mean_spectrum((image(transposed) for _ in range(20)), size_px=128)
    found = {(peak.down, peak.right) for peak in find_peaks(spectrum.log, most=99)}
    copies = upsampling_copies(0.0, factor)
    lattice = {(down, right) for down in copies for right in [*copies, *(-c for c in copies)]}
    lattice = {(d, r) for d, r in lattice if (d, r) != (0, 0) and r != -0.5 and not (d in (0, 0.5) and r < 0)}
    assert found == lattice
    # The box and the tent weigh these very copies with 0.
    for kind in (nearest, bilinear):
        spectrum = mean_spectrum((image(kind) for _ in range(20)), size_px=128)
        assert not {(peak.down, peak.right) for peak in find_peaks(spectrum.log, most=99)} & lattice


@pytest.mark.parametrize("kind", KINDS)
def test_the_residual_keeps_the_copies_of_a_wave(kind: str) -> None:
    cycles, small, factor = 25, 64, 2
    fields = [wave(small, 0.0, cycles / small, mean=128) + np.random.default_rng(k).normal(0, 2, (small, small)) for k in range(6)]
    spectrum = mean_spectrum((rgb(KINDS[kind](field, factor)) for field in fields), size_px=128)
    found = {peak.right for peak in find_peaks(spectrum.log, most=99) if peak.down == 0.0}
    copies = set(upsampling_copies(cycles / small, factor))
    assert copies <= found, (kind, found, copies)


def test_an_unfiltered_image_has_no_peaks() -> None:
    rng = np.random.default_rng(0)
    spectrum = mean_spectrum((rng.integers(60, 190, (64, 80, 3), dtype=np.uint8) for _ in range(40)), size_px=64)
    assert spectrum.count == 40 and find_peaks(spectrum.log) == []


def test_white_noise_has_its_deviation_at_every_size() -> None:
    rng = np.random.default_rng(0)
    for size in (32, 128):
        values = magnitude(rng.normal(0, 7, (size, size)))
        assert np.sqrt((values**2).mean()) == pytest.approx(7, rel=0.05)


def test_the_residual_is_grey_minus_its_median() -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
    grey = np.rint(array @ [0.299, 0.587, 0.114])
    # Away from the borders, by hand.
    assert residual(array)[5, 5] == grey[5, 5] - np.median(grey[3:8, 3:8])
    edge = np.zeros((16, 16, 3), np.uint8)
    edge[:, 8:] = 200
    assert not residual(edge).any()  # a straight edge is content, and the median keeps it


def test_magnitudes_are_averaged_and_not_the_complex_spectra() -> None:
    # Two images whose spectra cancel: one is the other shifted by half a period.
    first, second = (rgb(wave(64, 0.0, 0.25, mean=128)), rgb(np.roll(wave(64, 0.0, 0.25, mean=128), 2, axis=1)))
    both, one = mean_spectrum([first, second], size_px=64), mean_spectrum([first], size_px=64)
    assert both.magnitude[32, 48] == pytest.approx(one.magnitude[32, 48], rel=1e-6) and one.magnitude[32, 48] > 1


def test_circles_and_ratios() -> None:
    size = 64
    axis = frequencies(size)
    at, mean = radial_profile(np.hypot(axis[:, None], axis[None]))
    assert np.abs(mean - at).max() < 0.5 / size and at[-1] == 0.5
    twice, once = Spectrum(np.full((8, 8), 2.0), 1), Spectrum(np.ones((8, 8)), 1)
    assert np.allclose(log_ratio(twice, once), np.log(2))
    with pytest.raises(ImageError, match="one size_px"):
        log_ratio(twice, Spectrum(np.ones((4, 4)), 1))


def test_small_images_have_no_part_and_are_not_resized() -> None:
    small, large = np.zeros((10, 40, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)
    assert mean_spectrum([small, large], size_px=32).count == 1
    with pytest.raises(ImageError, match="No image has 64x64 px"):
        mean_spectrum([small, large], size_px=64)
    with pytest.raises(ImageError, match="nearest, bilinear, transposed"):
        upsampling_response(0.5, 2, "bicubic")


def stepped(seed: int, *, step: float) -> np.ndarray:
    """Noise under a slope: opposite borders do not meet."""
    rng = np.random.default_rng(seed)
    slope = np.zeros((64, 64))
    slope[:, :3] += step
    return np.repeat(np.clip(rng.normal(120, 6, (64, 64)) + slope, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_borders_give_no_peaks_and_a_lattice_does() -> None:
    real = mean_spectrum([stepped(seed, step=0) for seed in range(40)], size_px=64)
    bordered = mean_spectrum([stepped(seed, step=60) for seed in range(40, 80)], size_px=64)
    on_axes = [peak for peak in find_peaks(log_ratio(bordered, real)) if 0.0 in (peak.down, peak.right)]
    assert on_axes and peaks_between(bordered, real) == []
    dots = np.zeros((64, 64, 1), np.uint8)
    dots[::4, ::4] = 12
    latticed = mean_spectrum([stepped(seed, step=60) + dots for seed in range(40, 80)], size_px=64)
    found = {(peak.down, peak.right) for peak in peaks_between(latticed, real)}
    assert found and all(value % 0.25 == 0 for peak in found for value in peak)
    with pytest.raises(ImageError, match="window"):
        peaks_between(Spectrum(real.magnitude, 1), real)
    others = mean_spectrum([stepped(seed, step=0) for seed in range(80, 120)], size_px=64)
    assert peaks_between(others, real) == [], "reals against reals"
