"""Training augmentation: one seeded view of an image, resized, blurred, JPEG-compressed, cropped and flipped.

The order and every detail are the reference's (Wang et al. 2020, data/datasets.py): blur and JPEG are
independent of each other and come before the crop; the blur truncates to uint8 after each of its two passes.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from cnndetect.errors import ImageError, ProtocolError
from cnndetect.transforms.arrays import center_crop, check_rgb


@dataclass(frozen=True)
class AugmentConfig:
    """What may happen to a training image; ``resize_px=None`` keeps the image's own size."""

    resize_px: int | None = 256
    crop_px: int = 224
    blur_probability: float = 0.0
    blur_sigma_px: tuple[float, float] = (0.0, 3.0)
    jpeg_probability: float = 0.0
    jpeg_quality: tuple[int, int] = (30, 100)
    flip: bool = True
    jitter: float = 0.0  # brightness, contrast and saturation, each times U[1 - jitter, 1 + jitter]

    def __post_init__(self) -> None:
        _expect(0 <= self.blur_probability <= 1, "blur_probability", self.blur_probability, "a fraction in [0, 1]")
        _expect(0 <= self.jpeg_probability <= 1, "jpeg_probability", self.jpeg_probability, "a fraction in [0, 1]")
        low, high = self.blur_sigma_px
        _expect(0 <= low <= high < math.inf, "blur_sigma_px", self.blur_sigma_px, "0 <= low <= high")
        worst, best = self.jpeg_quality
        _expect(1 <= worst <= best <= 100, "jpeg_quality", self.jpeg_quality, "1 <= low <= high <= 100")
        _expect(self.crop_px >= 1, "crop_px", self.crop_px, "a whole number >= 1")
        _expect(0 <= self.jitter <= 1, "jitter", self.jitter, "a fraction in [0, 1]")
        fits = self.resize_px is None or self.resize_px >= self.crop_px
        _expect(fits, "resize_px", self.resize_px, f"none, or at least crop_px ({self.crop_px})")


@dataclass(frozen=True)
class Draw:
    """The choices made for one image: None means that the step is left out."""

    sigma_px: float | None
    quality: int | None
    top: int
    left: int
    flip: bool
    colour: tuple[float, float, float] | None = None  # factors of brightness, contrast, saturation


def augment(image: np.ndarray | Image.Image, config: AugmentConfig, *, rng: np.random.Generator) -> np.ndarray:
    """One training view: resize, perhaps blur, perhaps JPEG, random crop, perhaps flip.

    image: uint8 [H, W, 3] or PIL.  Returns uint8 [crop_px, crop_px, 3].
    >>> config = AugmentConfig(resize_px=None, crop_px=8, blur_probability=0.5)
    >>> augment(np.zeros((16, 16, 3), np.uint8), config, rng=np.random.default_rng(0)).shape
    (8, 8, 3)
    """
    array = resize(image, config.resize_px)
    return apply(array, draw(config, array.shape[0], array.shape[1], rng=rng), crop_px=config.crop_px)


def augment_validation(image: np.ndarray | Image.Image, config: AugmentConfig, *, rng: np.random.Generator) -> np.ndarray:
    """One validation view: the same probabilities, but the middle of each range, the centre crop and no flip.

    The reference draws anew in every epoch, so that its validation accuracy is noisy; our trainer gives every
    image its own seeded ``rng``, so that two epochs are compared on the same pixels.
    image: uint8 [H, W, 3] or PIL.  Returns uint8 [crop_px, crop_px, 3].
    """
    array = resize(image, config.resize_px)
    chance_blur, chance_jpeg = rng.random(2)
    if chance_blur < config.blur_probability:
        array = blur(array, sum(config.blur_sigma_px) / 2)
    if chance_jpeg < config.jpeg_probability:
        array = jpeg(array, int(sum(config.jpeg_quality) / 2))
    return center_crop(array, config.crop_px)


def draw(config: AugmentConfig, height: int, width: int, *, rng: np.random.Generator) -> Draw:
    """Choose what happens to one image of ``height`` x ``width`` pixels.

    Every draw takes the same seven numbers, so switching one step on leaves the other choices as they were; colour
    jitter, which the reference does not have, takes three more after them.
    """
    if min(height, width) < config.crop_px:
        raise ImageError(
            f"Got an image of {height}x{width} px (after resize_px={config.resize_px}) for a random crop of "
            f"{config.crop_px} px. Choose a smaller crop_px, or a resize_px of at least {config.crop_px}."
        )
    chance_blur, sigma, chance_jpeg, quality, top, left, chance_flip = rng.random(7)

    low, high = config.blur_sigma_px
    worst, best = config.jpeg_quality
    colour = tuple(1 + config.jitter * (2 * rng.random(3) - 1)) if config.jitter > 0 else None
    return Draw(
        sigma_px=low + sigma * (high - low) if chance_blur < config.blur_probability else None,
        quality=worst + int(quality * (best - worst + 1)) if chance_jpeg < config.jpeg_probability else None,
        top=int(top * (height - config.crop_px + 1)),
        left=int(left * (width - config.crop_px + 1)),
        flip=config.flip and chance_flip < 0.5,
        colour=colour,
    )


def apply(array: np.ndarray, choice: Draw, *, crop_px: int) -> np.ndarray:
    """Carry out the choices of ``draw`` on an image that is resized already.

    array: uint8 [H, W, 3].  Returns uint8 [crop_px, crop_px, 3].
    """
    if choice.sigma_px is not None:
        array = blur(array, choice.sigma_px)
    if choice.quality is not None:
        array = jpeg(array, choice.quality)

    array = array[choice.top : choice.top + crop_px, choice.left : choice.left + crop_px]
    if choice.colour is not None:
        array = jitter(array, choice.colour)
    return array[:, ::-1] if choice.flip else array


def jitter(array: np.ndarray, factors: tuple[float, float, float]) -> np.ndarray:
    """Brightness, contrast and saturation times ``factors``, one after the other, by Pillow: 1 changes nothing.

    array: uint8 [H, W, 3].  Returns uint8 [H, W, 3].
    """
    picture = Image.fromarray(np.ascontiguousarray(array))
    for kind, factor in zip((ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), factors, strict=True):
        picture = kind(picture).enhance(factor)
    return np.asarray(picture)


def resize(image: np.ndarray | Image.Image, size_px: int | None) -> np.ndarray:
    """Bring the shorter side to ``size_px``, bilinear, as torchvision does it; None changes nothing.

    image: uint8 [H, W, 3] or PIL.  Returns uint8 [H', W', 3].
    >>> resize(np.zeros((10, 20, 3), np.uint8), 5).shape
    (5, 10, 3)
    """
    if size_px is None or size_px == min(_size(image)):
        return np.asarray(image)
    width, height = _size(image)
    if width <= height:
        target = (size_px, int(size_px * height / width))
    else:
        target = (int(size_px * width / height), size_px)
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return np.asarray(picture.resize(target, Image.Resampling.BILINEAR))


def blur(array: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur per channel that truncates to uint8 after each pass, as the reference does.

    array: uint8 [H, W, 3].  Returns uint8 [H, W, 3], about one grey level darker than a rounded blur.
    """
    from scipy.ndimage import gaussian_filter  # slow to import, and a command line only needs the configuration

    check_rgb(array)
    blurred = np.empty_like(array)
    for channel in range(3):
        gaussian_filter(array[:, :, channel], sigma=sigma_px, output=blurred[:, :, channel])
    return blurred


def jpeg(array: np.ndarray, quality: int) -> np.ndarray:
    """Compress and open again with Pillow's defaults (4:2:0); OpenCV gives the same bytes.

    array: uint8 [H, W, 3].  Returns uint8 [H, W, 3].
    """
    check_rgb(array)
    memory = io.BytesIO()
    Image.fromarray(array).save(memory, format="jpeg", quality=quality)
    return np.asarray(Image.open(memory))


def _size(image: np.ndarray | Image.Image) -> tuple[int, int]:
    return image.size if isinstance(image, Image.Image) else (image.shape[1], image.shape[0])


def _expect(holds: bool, field: str, given: object, expected: str) -> None:
    if not holds:
        raise ProtocolError(f"AugmentConfig got {field}={given!r}. Expected {expected}.")
