"""What makes two images alike in sharpness, noise and tone, or unlike by chance: used on the pairs that detectors learn from.

A decoder blurs or sharpens what it paints. A detector that learns this finds blurred photographs, not generators.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from cnndetect.errors import ImageError
from cnndetect.transforms.arrays import check_rgb
from cnndetect.transforms.augment import blur

# RGB -> luma and two colour differences (ITU-R BT.601), and back.
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_TO_RGB = np.linalg.inv(_TO_YCC)
_GAIN = 4.0  # largest change of an amplitude


def match_spectrum(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``image`` with the radial power spectrum of ``target``: each ring of frequencies is scaled, phases and shape stay.

    Works on luma and the two colour differences separately. The mean of each stays; a ring's gain is limited to 1/4 to 4. Peaks
    of an upsampler's grid stand out from their ring as before.

    image, target: uint8 [H, W, 3] of equal size.  Returns uint8 [H, W, 3].  Raises ImageError.

    >>> rng = np.random.default_rng(0)
    >>> sharp = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    >>> soft = blur(sharp, 1.0)
    >>> bool(abs(match_spectrum(soft, sharp).std() - sharp.std()) < abs(soft.std() - sharp.std()))
    True
    """
    import scipy.fft  # here, as every configuration of a training run imports this file

    check_rgb(image)
    check_rgb(target)
    if image.shape != target.shape:
        raise ImageError(f"Got images of {image.shape} and {target.shape}. Expected equal sizes.")
    rings = _rings(*image.shape[:2])
    spectra = [scipy.fft.rfft2((array @ _TO_YCC.T).transpose(2, 0, 1)) for array in (image.astype(np.float32), target.astype(np.float32))]
    for mine, theirs in zip(*spectra, strict=True):  # [H, W // 2 + 1], of one component
        powers = [np.bincount(rings, (part.real**2 + part.imag**2).ravel()) for part in (mine, theirs)]
        gain = np.sqrt((powers[1] + 1e-3) / (powers[0] + 1e-3)).clip(1 / _GAIN, _GAIN)
        gain[0] = 1.0
        mine *= gain[rings].reshape(mine.shape).astype(np.float32)
    pixels = scipy.fft.irfft2(spectra[0], s=image.shape[:2]).transpose(1, 2, 0) @ _TO_RGB.T
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def retouch(image: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """One edit as people make them, drawn from ``rng``: sharpen, soften, add noise, or change tone and colour.

    image: uint8 [H, W, 3].  Returns uint8 [H, W, 3].

    >>> grey = np.full((8, 8, 3), 128, np.uint8)
    >>> retouch(grey, rng=np.random.default_rng(0)).shape
    (8, 8, 3)
    """
    check_rgb(image)
    kind = rng.integers(4)
    if kind == 0:
        mask = ImageFilter.UnsharpMask(radius=rng.uniform(0.5, 2.0), percent=int(rng.uniform(20, 200)), threshold=0)
        return np.asarray(Image.fromarray(np.ascontiguousarray(image)).filter(mask))
    if kind == 1:
        return blur(image, rng.uniform(0.2, 0.9))
    if kind == 2:
        noise = rng.normal(0, rng.uniform(0.5, 5.0), image.shape)
        return np.rint(image + noise).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(image))
    for enhance, low, high in ((ImageEnhance.Brightness, 0.75, 1.3), (ImageEnhance.Contrast, 0.75, 1.3), (ImageEnhance.Color, 0.5, 1.5)):
        picture = enhance(picture).enhance(rng.uniform(low, high))
    return np.asarray(picture)


@lru_cache(maxsize=8)
def _rings(height: int, width: int) -> np.ndarray:
    """Ring number of each frequency of an rfft2 of ``height`` x ``width`` pixels, flat; ring 0 is the mean alone."""
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    radius = np.hypot(down, right) * max(height, width)
    return np.ceil(radius / 2).astype(np.int64).ravel()
