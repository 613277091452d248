"""Traces of earlier JPEG compression and earlier resizing. They lie in the pixels, so that saving as PNG does not remove them.

A set whose reals were JPEG and whose fakes were not, or whose reals were resized, can be told apart without any trace of a generator,
although all its files are PNG (Grommelt et al. 2024, Fake or JPEG? Revealing common biases in generated image detection datasets).
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn

# Luma weights of ITU-R BT.601, as PIL's "L".
_LUMA = np.array([0.299, 0.587, 0.114])

# So much of an image is looked at, from its upper left corner, where the grid of a JPEG begins.
SIDE_PX = 512

# Frequencies (row, column) of the 8x8 cosine transform whose quantisation step is estimated: low ones, which most pictures have.
FREQUENCIES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1))
STEPS = np.arange(2, 41)

# A step is believed where the coefficients lie this close to its multiples: mean cosine, 1 on a multiple. Rounding of pixels to whole
# numbers moves coefficients by 0.3 on average; smaller ones than five times that tell nothing.
_ROUNDING = 1.5
_CLOSE, _LEAST_COEFFICIENTS = 0.5, 24

# A peak of the second difference is believed from here on: of 1,119 pictures that were not resized 5 had a higher one; enlarging by
# 1.3 gives 2.1 at the median, by 1.7 2.6 (log ratio, pictures of 128 px; larger ones give more).
_PEAK = 2.4

# Generators enlarge by powers of two, and JPEG has a grid of 8: periods that are no history of the file.
_OWN_PERIODS = 16

NAMES = (*(f"JPEG step {row}{column}" for row, column in FREQUENCIES), "resampling of rows", "resampling of columns")


def pixel_history(array: np.ndarray) -> np.ndarray:
    """Estimated JPEG quantisation steps and strength of resampling, in the order of NAMES.

    array: uint8 [H, W, 3].  Returns float64 [9]: steps, 1 where there is none and NaN where too few coefficients are left to tell;
    strengths, 0 where there is none.

    >>> pixel_history(np.full((64, 64, 3), 80, np.uint8)).tolist()
    [nan, nan, nan, nan, nan, nan, nan, 0.0, 0.0]
    """
    luma = array[:SIDE_PX, :SIDE_PX].astype(np.float64) @ _LUMA
    return np.array([*jpeg_steps(luma), resampling(luma), resampling(luma.T)])


def jpeg_steps(luma: np.ndarray) -> np.ndarray:
    """Quantisation steps of an earlier JPEG on the same grid: [7]; 1 for none, NaN for a picture too flat to tell. luma: [H, W].

    Coefficients that were quantised lie near multiples of the step (Fan and de Queiroz 2003, Identification of bitmap compression
    history); the largest step that they lie near is taken.
    """
    height, width = luma.shape[0] // 8 * 8, luma.shape[1] // 8 * 8
    blocks = luma[:height, :width].reshape(height // 8, 8, width // 8, 8)
    coefficients = dctn(blocks, axes=(1, 3), norm="ortho") if height and width else np.zeros((0, 8, 0, 8))
    found = np.ones(len(FREQUENCIES))
    for place, (row, column) in enumerate(FREQUENCIES):
        values = np.abs(coefficients[:, row, :, column].ravel())
        values = values[values > _ROUNDING]
        nearness = np.cos(2 * np.pi * values[:, None] / STEPS)  # [N, steps]
        beyond = values[:, None] > STEPS / 2
        counts = beyond.sum(axis=0)
        # Of all, or a multiple of the step would pass; of those beyond half of it, or a step beyond all coefficients would.
        near = np.minimum(nearness.sum(axis=0) / max(len(values), 1), np.where(beyond, nearness, 0).sum(axis=0) / np.maximum(counts, 1))
        near = np.where(counts >= _LEAST_COEFFICIENTS, near, -1)
        # Divisors of the step come as close as the step itself; larger neighbours do not.
        believed = np.flatnonzero((near > _CLOSE) & (near > near.max() - 0.1))
        if len(believed):
            found[place] = STEPS[believed[-1]]
        elif counts[0] < _LEAST_COEFFICIENTS:
            found[place] = np.nan
    return found


def resampling(luma: np.ndarray) -> float:
    """Log ratio of the strongest period of the second difference's size to the median one, 0 where it does not stand out. luma: [H, W].

    Interpolated pixels make it periodic (Gallagher 2005, Detection of interpolation). Periods of 1/16 pixel and their multiples are left
    out: generators enlarge by powers of two, which is their trace and no fault of the files.
    """
    width = luma.shape[1]
    if width < 32 or not luma.shape[0]:
        return 0.0
    size = np.abs(luma[:, 2:] - 2 * luma[:, 1:-1] + luma[:, :-2]).mean(axis=0)
    spectrum = np.abs(np.fft.rfft((size - size.mean()) * np.hanning(len(size))))
    frequency = np.fft.rfftfreq(len(size))
    own = np.abs(frequency * _OWN_PERIODS - np.round(frequency * _OWN_PERIODS)) / _OWN_PERIODS < 1.5 / len(size)
    chosen = spectrum[~own & (frequency > 1 / _OWN_PERIODS)]
    if not len(chosen):
        return 0.0
    peak = float(np.log((chosen.max() + 1e-9) / (np.median(chosen) + 1e-9)))
    return peak if peak > _PEAK else 0.0
