"""Named degradations of a test image: uint8 [H, W, 3] in, the same out, seeded per image.

They come before the crop, as the reference's test options do. A name says everything: kind and strength.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from cnndetect.errors import lookup
from cnndetect.transforms.augment import blur, jpeg
from cnndetect.transforms.preprocess import check_rgb

Degradation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def degrade(array: np.ndarray, name: str, *, seed: int) -> np.ndarray:
    """Apply one degradation.

    array: uint8 [H, W, 3].  seed: of this image; the fixed degradations do not use it.  Raises UnknownNameError.

    >>> degrade(np.zeros((8, 8, 3), np.uint8), "resize_0.5", seed=0).shape
    (4, 4, 3)
    """
    check_rgb(array)
    return lookup("degradation", DEGRADATIONS, name)(array, np.random.default_rng(seed))


def _jpeg(quality: int) -> Degradation:
    return lambda array, rng: jpeg(array, quality)


def _blur(sigma_px: float) -> Degradation:
    return lambda array, rng: blur(array, sigma_px)


def _resize(factor: float) -> Degradation:
    def apply(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = array.shape[:2]
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        return np.asarray(Image.fromarray(array).resize(size, Image.Resampling.BICUBIC))

    return apply


def _webp(quality: int) -> Degradation:
    def apply(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        memory = io.BytesIO()
        Image.fromarray(array).save(memory, format="webp", quality=quality)
        return np.asarray(Image.open(memory).convert("RGB"))

    return apply


def _noise(deviation: float) -> Degradation:
    def apply(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return (array + rng.normal(0, deviation, array.shape)).round().clip(0, 255).astype(np.uint8)

    return apply


DEGRADATIONS: dict[str, Degradation] = {
    "none": lambda array, rng: array,
    "jpeg_95": _jpeg(95),
    "jpeg_90": _jpeg(90),
    "jpeg_75": _jpeg(75),
    "jpeg_50": _jpeg(50),
    "jpeg_30": _jpeg(30),
    "webp_80": _webp(80),
    "blur_1": _blur(1.0),
    "blur_2": _blur(2.0),
    "blur_3": _blur(3.0),
    "resize_0.5": _resize(0.5),
    "resize_0.75": _resize(0.75),
    "resize_1.5": _resize(1.5),
    "noise_5": _noise(5.0),
}
