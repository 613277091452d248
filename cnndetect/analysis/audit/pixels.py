"""Global image statistics that need no network, and a perceptual hash."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import laplace

# Luma weights of ITU-R BT.601, as PIL's "L".
_LUMA = np.array([0.299, 0.587, 0.114])

STATISTICS = ("red", "green", "blue", "contrast", "saturation", "sharpness", "noise", "jpeg grid")

HASH_SIDE = 8
_FLAT = 2.0
_AT_ONCE = 1_000_000  # pixels


def global_statistics(array: np.ndarray) -> np.ndarray:
    """What can be said of an image on the whole, in the order of STATISTICS. array: uint8 [H, W, 3].  Returns float64 [8].

    Channel means; deviation of luma; mean saturation (HSV, 0 to 1); log of the Laplacian's variance (the usual measure of
    blur); log of the noise level, by the median absolute value of the finest diagonal Haar detail (Donoho and Johnstone,
    1994); log ratio of the steps over 8-pixel borders to all other steps, above 0 where the image was JPEG.

    >>> global_statistics(np.full((16, 16, 3), 80, np.uint8)).round(2).tolist()
    [80.0, 80.0, 80.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    # Whole photographs are large: no copy of all channels in float64.
    luma = sum(array[:, :, channel] * weight for channel, weight in enumerate(_LUMA))
    high, low = array.max(axis=2), array.min(axis=2)
    saturation = ((high - low) / np.maximum(high, 1)).mean()
    return np.array(
        [
            *array.mean(axis=(0, 1), dtype=np.float64),
            luma.std(),
            saturation,
            np.log1p(laplace(luma).var()),
            np.log1p(noise_level(luma)),
            jpeg_grid(luma),
        ]
    )


def noise_level(luma: np.ndarray) -> float:
    """Deviation of white noise in grey levels: median |diagonal Haar detail| / 0.6745. luma: [H, W].

    >>> noise = np.random.default_rng(0).normal(128, 5, (200, 200))
    >>> round(noise_level(noise), 1)
    5.0
    """
    height, width = luma.shape[0] // 2 * 2, luma.shape[1] // 2 * 2
    if not height or not width:
        return 0.0
    a, b = luma[0:height:2, 0:width:2], luma[0:height:2, 1:width:2]
    c, d = luma[1:height:2, 0:width:2], luma[1:height:2, 1:width:2]
    return float(np.median(np.abs(a - b - c + d)) / 2 / 0.6745)


def jpeg_grid(luma: np.ndarray) -> float:
    """Log ratio of the mean step across the borders of 8x8 blocks to the mean step elsewhere; 0 for images below 16 px."""
    total, count = np.zeros(2), np.zeros(2)  # of steps elsewhere, and of those across borders
    for plane in (luma, luma.T):
        if plane.shape[1] < 16:
            return 0.0
        steps = np.zeros(plane.shape[1] - 1)
        # Some rows at once: all steps of a whole photograph together are as large as itself.
        rows = max(_AT_ONCE // plane.shape[1], 1)
        for top in range(0, len(plane), rows):
            steps += np.abs(np.diff(plane[top : top + rows], axis=1)).sum(axis=0)
        at_border = (np.arange(1, plane.shape[1]) % 8 == 0).astype(int)
        total += np.bincount(at_border, weights=steps)
        count += np.bincount(at_border) * len(plane)
    elsewhere, across = total / count
    return float(np.log((across + 0.1) / (elsewhere + 0.1)))


def difference_hash(array: np.ndarray) -> np.ndarray | None:
    """Difference hash of 128 bits: is each of 8x8 areas brighter than its right, and than its lower, neighbour?

    array: uint8 [H, W, 3].  Returns bool [128]; None for a flat image, whose hash would only be noise.
    Equal pictures stay within a few bits of each other through re-encoding, resizing and brightening.

    >>> difference_hash(np.zeros((20, 20, 3), np.uint8)) is None
    True
    """
    grey = Image.fromarray(array).convert("L")
    side = HASH_SIDE
    right = np.asarray(grey.resize((side + 1, side), Image.Resampling.BOX)).astype(int)
    down = np.asarray(grey.resize((side, side + 1), Image.Resampling.BOX)).astype(int)
    if right.std() < _FLAT:
        return None
    return np.concatenate([np.diff(right, axis=1).ravel() > 0, np.diff(down, axis=0).ravel() > 0])
