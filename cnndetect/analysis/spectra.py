"""Spectra of high-pass filtered images. The functions take arrays; they open no files and load no networks.

The recipe of the paper's figure 7: grey, minus its 5x5 median, Fourier transform, *magnitude of every image*, mean, log.
The magnitude is taken before the mean: a mean of complex spectra would cancel whatever has no fixed phase.

Frequencies are in cycles a pixel, from -0.5 to 0.5; 0.5 is a pattern that changes with every pixel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter, median_filter

from cnndetect.errors import ImageError

MEDIAN_PX = 5

# Keeps the logarithm finite where nothing is left of a frequency.
_LEAST = 1e-6

# Luma weights of ITU-R BT.601, as in PIL's and OpenCV's grey.
_LUMA = np.array([0.299, 0.587, 0.114])

# A peak stands out from the median of a square of this many bins...
_AROUND = 9
# ...by this factor at least, and by so many robust deviations of all bins.
_FACTOR, _DEVIATIONS = 1.25, 6.0


@dataclass(frozen=True)
class Spectrum:
    """Mean magnitude over the images of one class.

    Scaled so that white noise of deviation d (in grey levels) has magnitude d in the root mean square, at every size.
    """

    magnitude: np.ndarray  # [S, S], zero frequency at [S // 2, S // 2]
    count: int
    # the same of residuals under a Hann window, whose borders leave no cross; peaks are looked for in it. None where it was not made
    windowed: np.ndarray | None = None

    @property
    def log(self) -> np.ndarray:
        """Natural logarithm of the magnitude: [S, S]. What figure 7 shows."""
        return np.log(self.magnitude + _LEAST)


@dataclass(frozen=True)
class Peak:
    """A bin that stands out."""

    down: float  # down, right: frequency in cycles a pixel, in the half plane down >= 0
    right: float
    factor: float  # over what is around it


def residual(array: np.ndarray) -> np.ndarray:
    """Grey image minus its 5x5 median: what is left is noise, edges and grids. array: uint8 [H, W, 3].  Returns float64 [H, W].

    >>> residual(np.full((8, 8, 3), 70, np.uint8)).round(6).any()
    np.False_
    """
    grey = np.rint(array @ _LUMA)  # 8 bits, as the median filters of image libraries take it
    return grey - median_filter(grey, size=MEDIAN_PX, mode="nearest")


def magnitude(plane: np.ndarray) -> np.ndarray:
    """Magnitude of the Fourier transform, zero frequency in the middle, by the root of the number of pixels.

    plane: [S, S].  Returns [S, S].
    >>> magnitude(np.ones((4, 4)))[2, 2]
    np.float64(4.0)
    """
    return np.abs(np.fft.fftshift(np.fft.fft2(plane))) / np.sqrt(plane.size)


def mean_spectrum(images: Iterable[np.ndarray], *, size_px: int) -> Spectrum:
    """Mean magnitude of the residuals' middle squares, one image in memory at a time.

    images: uint8 [H, W, 3] each.  size_px: side of the square; an image that is smaller has no part in it, for resizing
    would put a pattern of its own there.  Raises ImageError where no image is large enough.

    >>> mean_spectrum([np.zeros((20, 24, 3), np.uint8)], size_px=16).count
    1
    """
    total, windowed, count = np.zeros((size_px, size_px)), np.zeros((size_px, size_px)), 0
    window = hann(size_px)
    for array in images:
        if min(array.shape[:2]) >= size_px:
            plane = _middle(residual(array), size_px)
            total += magnitude(plane)
            windowed += magnitude(plane * window)
            count += 1
    if not count:
        raise ImageError(f"No image has {size_px}x{size_px} px. Choose a smaller size_px; nothing is resized.")
    return Spectrum(total / count, count, windowed / count)


def hann(size_px: int) -> np.ndarray:
    """Window of a square, 0 along the border, scaled so that white noise keeps its power: [S, S].

    The Fourier transform joins opposite borders; where they do not meet, a step runs along both axes of the spectrum.

    >>> window = hann(8)
    >>> float(window[0].max()), round(float(np.mean(window**2)), 12)
    (0.0, 1.0)
    """
    one = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size_px) / size_px)
    return np.outer(one, one) / np.mean(one**2)


def log_ratio(fake: Spectrum, real: Spectrum) -> np.ndarray:
    """Natural logarithm of fake over real, by frequency: [S, S]; above 0 where the fakes have more. Sizes must be equal."""
    if fake.magnitude.shape != real.magnitude.shape:
        raise ImageError(f"Got spectra of {fake.magnitude.shape} and {real.magnitude.shape}. Make both with one size_px.")
    return fake.log - real.log


def peaks_between(fake: Spectrum, real: Spectrum) -> list[Peak]:
    """Where the fakes stand out from the reals, the strongest first; without the cross that borders leave.

    Raises ImageError where a spectrum was made without its window.
    """
    if fake.windowed is None or real.windowed is None:
        raise ImageError("Peaks need spectra under a window. Make both with mean_spectrum.")
    return find_peaks(log_ratio(Spectrum(fake.windowed, fake.count), Spectrum(real.windowed, real.count)))


def frequencies(size_px: int) -> np.ndarray:
    """Frequency of every row (and column) of a spectrum, in cycles a pixel: [S], from -0.5.

    >>> frequencies(4).tolist()
    [-0.5, -0.25, 0.0, 0.25]
    """
    return np.fft.fftshift(np.fft.fftfreq(size_px))


def radial_profile(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over circles. values: [S, S], zero frequency in the middle.  Returns cycles a pixel [S // 2], means [S // 2].

    Circle k holds the bins from (k - 1/2) / S to (k + 1/2) / S; the corners beyond half a cycle are left out, and so is
    the zero frequency.

    >>> at, mean = radial_profile(np.ones((8, 8)))
    >>> at.tolist(), mean.tolist()
    ([0.125, 0.25, 0.375, 0.5], [1.0, 1.0, 1.0, 1.0])
    """
    size = values.shape[0]
    axis = frequencies(size)
    ring = np.rint(np.hypot(axis[:, None], axis[None]) * size).astype(int).ravel()
    sums, counts = np.bincount(ring, values.ravel()), np.bincount(ring)
    rings = np.arange(1, size // 2 + 1)
    return rings / size, sums[rings] / counts[rings]


def find_peaks(log_values: np.ndarray, *, most: int = 12, least_frequency: float = 0.05) -> list[Peak]:
    """Bins that stand out from their neighbourhood, the strongest first.

    log_values: [S, S], the logarithm of a real image's magnitudes: of two opposite frequencies one is returned.
    least_frequency: below it nothing is a peak, for there lies the picture itself.

    >>> plain = np.zeros((32, 32))
    >>> plain[16, 24] = plain[16, 8] = 2.0
    >>> [(peak.down, peak.right) for peak in find_peaks(plain)]
    [(0.0, 0.25)]
    """
    size = log_values.shape[0]
    above = log_values - median_filter(log_values, size=_AROUND, mode="wrap")
    noise = 1.4826 * np.median(np.abs(above))
    axis = frequencies(size)
    stands_out = (above >= max(np.log(_FACTOR), _DEVIATIONS * noise)) & (above == maximum_filter(above, size=3, mode="wrap"))
    stands_out &= np.hypot(axis[:, None], axis[None]) >= least_frequency
    found = {}
    for row, column in np.argwhere(stands_out):
        down, right = _upper_half(float(axis[row]), float(axis[column]))
        found[down, right] = Peak(down, right, float(np.exp(above[row, column])))
    return sorted(found.values(), key=lambda peak: (-peak.factor, peak.down, peak.right))[:most]


def upsampling_copies(frequency: float, factor: int) -> list[float]:
    """Where a frequency of a small image appears after upsampling by a whole factor, from 0 to 0.5 cycles a pixel, sorted.

    Sampling theory: zeros put between the pixels repeat the spectrum at every multiple of 1 / factor; what follows (nearest,
    bilinear, a learnt kernel) only weighs the copies.  frequency: cycles a pixel of the small image.

    >>> upsampling_copies(0.0, 4)
    [0.0, 0.25, 0.5]
    >>> upsampling_copies(0.25, 2)
    [0.125, 0.375]
    """
    copies = {round(abs(_wrap((sign * frequency + k) / factor)), 12) for k in range(factor) for sign in (1, -1)}
    return sorted(copies)


def upsampling_response(frequency: np.ndarray | float, factor: int, kind: str) -> np.ndarray:
    """Weight that upsampling gives a copy at this frequency (cycles a pixel of the large image), 1 at frequency 0.

    kind: "nearest" has |sin(pi N f) / (N sin(pi f))|, which is 0 on the whole lattice k / N but for 0; "bilinear" its square,
    times |cos(pi f)| where N is even, for then the tent is sampled half a pixel off its top (pixel centres as in torch and PIL);
    "transposed", zeros in between and no kernel, 1 everywhere: every copy stays, and so does that of the mean.

    >>> upsampling_response(np.array([0.0, 0.25, 0.5]), 2, "nearest").round(3).tolist()
    [1.0, 0.707, 0.0]
    """
    f = np.asarray(frequency, dtype=np.float64)
    sine = np.sin(np.pi * f)
    flat = np.isclose(sine, 0)
    box = np.where(flat, 1.0, np.abs(np.sin(np.pi * factor * f)) / np.where(flat, 1.0, factor * np.abs(sine)))
    half = np.abs(np.cos(np.pi * f)) if factor % 2 == 0 else np.ones_like(f)
    kinds = {"nearest": box, "bilinear": box**2 * half, "transposed": np.ones_like(f)}
    if kind not in kinds:
        raise ImageError(f"Got kind={kind!r}. Expected one of {', '.join(kinds)}.")
    return kinds[kind]


def _middle(plane: np.ndarray, size: int) -> np.ndarray:
    top, left = (plane.shape[0] - size) // 2, (plane.shape[1] - size) // 2
    return plane[top : top + size, left : left + size]


def _wrap(frequency: float) -> float:
    return (frequency + 0.5) % 1.0 - 0.5


def _upper_half(down: float, right: float) -> tuple[float, float]:
    """One of a frequency and its opposite: the one with down > 0, or right >= 0. At 0.5 both signs are the same frequency."""
    down, right = (0.5 if abs(value) == 0.5 else value for value in (down, right))
    if down < 0 or (down in (0.0, 0.5) and right < 0):
        down, right = (value if value == 0.5 else -value for value in (down, right))
    return down + 0.0, right + 0.0
