"""One view of a photograph's crop and of its resynthesis: the same place, flip, rotation, blur and compression for both.

What is done to both cannot tell them apart: neither content nor size nor compression differs inside a pair, only what the
generator left behind. The fake may be mixed with its photograph, so that weak traces are learned as well (a pixel mix as
in DDA, Chen et al. 2025). Crops are never resized.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cnndetect.errors import ImageError, ProtocolError, lookup
from cnndetect.transforms.arrays import check_rgb
from cnndetect.transforms.augment import AugmentConfig, Draw, blur, draw, jpeg
from cnndetect.transforms.retouch import match_spectrum, retouch


@dataclass(frozen=True)
class PairConfig:
    """What a pair goes through beside AugmentConfig's blur, compression, crop and flip."""

    mix_probability: float = 0.2  # share of the fakes that are mixed with their photograph, whose weight is U[0, mix_weight]
    mix_weight: float = 0.5
    rotate: bool = True  # by 0, 90, 180 or 270 degrees
    # one is drawn where AugmentConfig's ``jpeg_probability`` asks for compression; its quality is AugmentConfig's
    codecs: tuple[str, ...] = ("jpeg",)
    # share of the fakes that get their photograph's radial power spectrum, so that sharpness and noise level do not tell the two apart
    spectrum_probability: float = 0.0
    # share of the images, drawn for each one alone, that are sharpened, softened, made noisy or changed in tone, so that none of these
    # belongs to one label
    retouch_probability: float = 0.0
    # share of the pairs whose images are both resized, by one factor of ``scales`` and one filter, before the crop; an image is never
    # made smaller than the crop
    scale_probability: float = 0.0
    scales: tuple[float, float] = (0.5, 1.5)

    def __post_init__(self) -> None:
        for name in ("mix_probability", "spectrum_probability", "retouch_probability", "scale_probability"):
            _expect(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a fraction in [0, 1]")
        _expect(0 <= self.mix_weight < 1, "mix_weight", self.mix_weight, "a fraction in [0, 1)")
        _expect(0 < self.scales[0] <= self.scales[1], "scales", self.scales, "two factors, the smaller first")
        _expect(len(self.codecs) > 0, "codecs", self.codecs, f"at least one of {', '.join(CODECS)}")
        for codec in self.codecs:
            lookup("codec", CODECS, codec)


@dataclass(frozen=True)
class PairDraw:
    """The choices made for one pair."""

    shared: Draw
    weight: float  # of the photograph in its fake, 0 for none
    turns: int  # of 90 degrees
    codec: str
    shift: tuple[int, int]  # of the second grid of double compression, in pixels
    match: bool = False  # give the fake its photograph's spectrum
    retouches: tuple[int | None, int | None] = (None, None)  # seeds of the photograph's and the fake's own retouch, None for none


def draw_pair(config: AugmentConfig, pairs: PairConfig, height: int, width: int, *, rng: np.random.Generator) -> PairDraw:
    """Choose what happens to one pair of images of ``height`` x ``width`` pixels. Raises ImageError where the crop is larger."""
    shared = draw(config, height, width, rng=rng)
    chance_mix, weight, turns, codec, down, right = rng.random(6)
    return PairDraw(
        shared=shared,
        weight=weight * pairs.mix_weight if chance_mix < pairs.mix_probability else 0.0,
        turns=int(turns * 4) if pairs.rotate else 0,
        codec=pairs.codecs[int(codec * len(pairs.codecs))],
        shift=(int(down * 8), int(right * 8)),
        match=bool(rng.random() < pairs.spectrum_probability),
        retouches=(_retouch_seed(pairs, rng), _retouch_seed(pairs, rng)),
    )


def _retouch_seed(pairs: PairConfig, rng: np.random.Generator) -> int | None:
    chance, seed = rng.random(), int(rng.integers(2**32))
    return seed if chance < pairs.retouch_probability else None


def augment_pair(
    real: np.ndarray, fake: np.ndarray, config: AugmentConfig, pairs: PairConfig, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One view of a pair; both images go through exactly the same scaling, blur, compression, crop, flip and turns.

    Where PairConfig asks for it, the fake is first mixed with its photograph or given its spectrum; after the scaling each image
    is retouched by a draw of its own.

    real, fake: uint8 [H, W, 3], of equal size.  Returns two uint8 [crop_px, crop_px, 3].  Raises ImageError.

    >>> image = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    >>> views = augment_pair(image, image, AugmentConfig(None, 8, 0.5, (0, 3), 0.5), PairConfig(), rng=np.random.default_rng(0))
    >>> bool((views[0] == views[1]).all())
    True
    """
    if real.shape != fake.shape:
        raise ImageError(f"Got a photograph of {real.shape} and a fake of {fake.shape}. Expected a pair of equal size.")
    sides = real.shape[:2]
    if pairs.scale_probability:
        size, scaling = draw_scale(pairs, sides, config.crop_px, rng=rng.spawn(1)[0])
        sides = size[::-1]
    choice = draw_pair(config, pairs, *sides, rng=rng)
    if choice.weight:
        fake = mix(fake, real, choice.weight)
    if choice.match:
        fake = match_spectrum(fake, real)
    if sides != real.shape[:2]:
        real, fake = (np.asarray(Image.fromarray(image).resize(size, scaling)) for image in (real, fake))
    real, fake = (
        image if seed is None else retouch(image, rng=np.random.default_rng(seed))
        for image, seed in zip((real, fake), choice.retouches, strict=True)
    )
    return apply_pair(real, choice, crop_px=config.crop_px), apply_pair(fake, choice, crop_px=config.crop_px)


def draw_scale(
    pairs: PairConfig, sides: tuple[int, int], crop_px: int, *, rng: np.random.Generator
) -> tuple[tuple[int, int], Image.Resampling]:
    """(width, height) that both images of a pair of ``sides`` (height, width) are resized to, and the filter."""
    scaling = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)[int(rng.integers(3))]
    scale = rng.uniform(*pairs.scales) if rng.random() < pairs.scale_probability else 1.0
    height, width = (max(round(side * scale), min(side, crop_px)) for side in sides)
    return (width, height), scaling


def apply_pair(array: np.ndarray, choice: PairDraw, *, crop_px: int) -> np.ndarray:
    """Blur, compress, crop, flip, turn: what the choice of a pair does to either of its images.

    array: uint8 [H, W, 3].  Returns uint8 [crop_px, crop_px, 3].
    """
    shared = choice.shared
    if shared.sigma_px is not None:
        array = blur(array, shared.sigma_px)
    if shared.quality is not None:
        array = CODECS[choice.codec](array, shared.quality, choice.shift)
    array = array[shared.top : shared.top + crop_px, shared.left : shared.left + crop_px]
    array = array[:, ::-1] if shared.flip else array
    return np.rot90(array, choice.turns)


def mix(fake: np.ndarray, real: np.ndarray, weight: float) -> np.ndarray:
    """``weight`` of the photograph in the fake, rounded: uint8 [H, W, 3].

    >>> mix(np.full((1, 1, 3), 200, np.uint8), np.full((1, 1, 3), 100, np.uint8), 0.25)[0, 0, 0]
    np.uint8(175)
    """
    return np.rint(fake * (1 - weight) + real * weight).astype(np.uint8)


Codec = Callable[[np.ndarray, int, tuple[int, int]], np.ndarray]


def _jpeg(array: np.ndarray, quality: int, shift: tuple[int, int]) -> np.ndarray:
    return jpeg(array, quality)


def _jpeg_444(array: np.ndarray, quality: int, shift: tuple[int, int]) -> np.ndarray:
    return _through(array, format="jpeg", quality=quality, subsampling=0)


def _jpeg_twice(array: np.ndarray, quality: int, shift: tuple[int, int]) -> np.ndarray:
    """At a quality of 90, then at the one given, on a grid that is shifted."""
    down, right = shift
    moved = np.pad(jpeg(array, 90), ((down, 0), (right, 0), (0, 0)), mode="edge")
    return jpeg(moved, quality)[down:, right:]


def _webp(array: np.ndarray, quality: int, shift: tuple[int, int]) -> np.ndarray:
    return _through(array, format="webp", quality=quality, method=2)


def _through(array: np.ndarray, **options: object) -> np.ndarray:
    check_rgb(array)
    memory = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(memory, **options)  # type: ignore[arg-type]
    return np.asarray(Image.open(memory).convert("RGB"))


CODECS: dict[str, Codec] = {"jpeg": _jpeg, "jpeg444": _jpeg_444, "jpeg-twice": _jpeg_twice, "webp": _webp}


def _expect(holds: bool, field: str, given: object, expected: str) -> None:
    if not holds:
        raise ProtocolError(f"PairConfig got {field}={given!r}. Expected {expected}.")
