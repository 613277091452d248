"""Named changes of a test image, before the protocol's crop: degradations, and equalisers of format and size.

A name says everything: kind and strength. What draws at random (noise, crop, double JPEG, "web" and "hard") draws from the
image's own seed, so that a rerun gives the same pixels. An equaliser is applied to real and fake alike, so that a detector
cannot tell them apart by how their files were stored (Grommelt et al. 2024, Fake or JPEG?). Equalisers may be followed by a
degradation: "size-256+jpeg-96+blur_1".
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image

from cnndetect.errors import ProtocolError, lookup
from cnndetect.transforms.arrays import check_rgb
from cnndetect.transforms.augment import blur, jpeg

Degradation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

# The two curves of the paper (its figure 5): the identity is the first point of each.
PAPER_BLUR = ("none", "blur_0.5", "blur_1", "blur_1.5", "blur_2", "blur_2.5", "blur_3", "blur_3.5", "blur_4")
PAPER_JPEG = ("none", "jpeg_100", "jpeg_95", "jpeg_90", "jpeg_80", "jpeg_75", "jpeg_70", "jpeg_60", "jpeg_50", "jpeg_40", "jpeg_30")


# Share of the shorter side that an equaliser of size keeps, about the centre. Below 1, images that have the size already are
# resampled like all others: otherwise resampling itself would tell the classes apart.
KEPT_SIDE = 0.875


def degrade(array: np.ndarray, name: str, *, seed: int) -> np.ndarray:
    """Apply the degradation, or the equalisers and the degradation, that a name stands for.

    array: uint8 [H, W, 3].  seed: of this image; the fixed degradations do not use it.  Raises UnknownNameError, ProtocolError.

    >>> degrade(np.zeros((8, 8, 3), np.uint8), "resize_0.5", seed=0).shape
    (4, 4, 3)
    >>> degrade(np.zeros((300, 200, 3), np.uint8), "size-256+jpeg-96", seed=0).shape
    (256, 256, 3)
    """
    check_rgb(array)
    rng = np.random.default_rng(seed)
    for step in steps(name):
        array = step(array, rng)
    return array


def steps(name: str) -> list[Degradation]:
    """What a name stands for, in order. Raises UnknownNameError, and ProtocolError for a name in another form than ``equalised`` gives.

    >>> len(steps("none")), len(steps("size-256+jpeg-96+blur_1"))
    (1, 3)
    """
    parts = name.split("+")
    found = [lookup("degradation", {**DEGRADATIONS, **EQUALISERS}, part) for part in parts]
    rest = [part for part in parts if part not in EQUALISERS]
    if len(rest) > 1 or name != equalised(*rest, equalisers=[part for part in parts if part in EQUALISERS]):
        raise ProtocolError(f"Got the degradation {name!r}. Expected at most one of its kind after {'+'.join(EQUALISERS)}, in this order.")
    return found


def equalised(degradation: str = "none", *, equalisers: Sequence[str] = ()) -> str:
    """The name of a degradation after equalisers. Raises UnknownNameError.

    >>> equalised("none", equalisers=["jpeg-96", "size-256"]), equalised("web", equalisers=["jpeg-96"]), equalised("web")
    ('size-256+jpeg-96', 'jpeg-96+web', 'web')
    """
    for name in equalisers:
        lookup("equaliser", EQUALISERS, name)
    # A fixed order, size first: one condition has one name, and the JPEG grid is that of the pixels a detector sees.
    names = [name for name in EQUALISERS if name in equalisers]
    return "+".join(names + [degradation] * (degradation != "none" or not names))


def split_equalisers(name: str) -> tuple[str, str]:
    """The equalisers of a name, "" where there are none, and the degradation without them.

    >>> split_equalisers("size-256+jpeg-96"), split_equalisers("jpeg-96+web"), split_equalisers("web")
    (('size-256+jpeg-96', 'none'), ('jpeg-96', 'web'), ('', 'web'))
    """
    parts = name.split("+")
    rest = [part for part in parts if part not in EQUALISERS]
    return "+".join(part for part in parts if part in EQUALISERS), "+".join(rest) or "none"


def in_order(names: Iterable[str]) -> list[str]:
    """Names of degradations in the order of DEGRADATIONS, equalised ones after them.

    >>> in_order(["jpeg-96", "web", "none"])
    ['none', 'web', 'jpeg-96']
    """
    known = list(DEGRADATIONS)
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def changes_size(name: str) -> bool:
    """Whether a degradation gives another size than it gets: the detector then sees fewer, or more, pixels.

    >>> changes_size("resize_0.5"), changes_size("resize_back_0.5")
    (True, False)
    """
    probe = np.zeros((64, 64, 3), np.uint8)
    return degrade(probe, name, seed=0).shape != probe.shape


def _jpeg(quality: int) -> Degradation:
    return lambda array, rng: jpeg(array, quality)


def _double_jpeg(first: tuple[int, int], second: int) -> Degradation:
    """JPEG at a drawn quality, then again on a grid that is shifted by a drawn 0 to 7 pixels; rows and columns stay."""

    def apply(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        once = jpeg(array, int(rng.integers(first[0], first[1] + 1)))
        down, right = (int(shift) for shift in rng.integers(0, 8, 2))
        moved = np.pad(once, ((down, 0), (right, 0), (0, 0)), mode="edge")
        return jpeg(moved, second)[down:, right:]

    return apply


def _blur(sigma_px: float) -> Degradation:
    return lambda array, rng: blur(array, sigma_px)


def _resize(factor: float) -> Degradation:
    def apply(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = array.shape[:2]
        return _to_size(array, max(1, round(height * factor)), max(1, round(width * factor)))

    return apply


def _resize_back(factor: float) -> Degradation:
    def apply(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return _to_size(_resize(factor)(array, rng), *array.shape[:2])

    return apply


def _equal_size(side: int) -> Degradation:
    """The centre square, KEPT_SIDE of the shorter side, resampled to ``side`` pixels."""

    def apply(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = array.shape[:2]
        half = KEPT_SIDE * min(height, width) / 2
        box = (width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)
        return np.asarray(Image.fromarray(array).resize((side, side), Image.Resampling.BICUBIC, box=box))

    return apply


def _crop(share: float) -> Degradation:
    """A drawn piece with this share of each side."""

    def apply(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = (max(1, round(side * share)) for side in array.shape[:2])
        top, left = int(rng.integers(array.shape[0] - height + 1)), int(rng.integers(array.shape[1] - width + 1))
        return array[top : top + height, left : left + width].copy()

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


def _web(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a picture goes through on a site: cut, reduced to between 0.6 and 1, JPEG at 65 to 90, at times WebP after."""
    cut = _crop(float(rng.uniform(0.85, 1.0)))(array, rng)
    reduced = _resize(float(rng.uniform(0.6, 1.0)))(cut, rng)
    once = jpeg(reduced, int(rng.integers(65, 91)))
    return _webp(int(rng.integers(70, 91)))(once, rng) if rng.random() < 0.3 else once


def _hard(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a picture of a picture goes through: blurred, reduced and enlarged again, noise, JPEG at 30 to 60, twice."""
    soft = blur(array, float(rng.uniform(0.5, 1.5)))
    small = _resize_back(float(rng.uniform(0.4, 0.7)))(soft, rng)
    noisy = _noise(float(rng.uniform(2.0, 6.0)))(small, rng)
    return _double_jpeg((30, 60), int(rng.integers(30, 61)))(noisy, rng)


def _to_size(array: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC))


def _named(strength: float) -> str:
    return f"{strength:g}"


DEGRADATIONS: dict[str, Degradation] = {
    "none": lambda array, rng: array,
    **{f"jpeg_{quality}": _jpeg(quality) for quality in (100, 95, 90, 80, 75, 70, 60, 50, 40, 30)},
    "double_jpeg": _double_jpeg((70, 90), 80),
    "webp_80": _webp(80),
    "webp_50": _webp(50),
    **{f"blur_{_named(sigma)}": _blur(sigma) for sigma in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)},
    **{f"resize_{_named(factor)}": _resize(factor) for factor in (0.5, 0.75, 1.5)},
    **{f"resize_back_{_named(factor)}": _resize_back(factor) for factor in (0.5, 0.75, 1.5)},
    "noise_5": _noise(5.0),
    "noise_10": _noise(10.0),
    "crop_0.75": _crop(0.75),
    "crop_0.5": _crop(0.5),
    "web": _web,
    "hard": _hard,
}

EQUALISERS: dict[str, Degradation] = {"size-256": _equal_size(256), "jpeg-96": _jpeg(96)}
"""What makes the formats of real and fake alike: one size, and one JPEG compression at the quality that ImageNet mostly has."""
