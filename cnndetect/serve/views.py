"""Pictures behind a score: the image, its heat map, and its spectrum beside that of photographs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image

from cnndetect.analysis.explain import LOWERS, RAISES, Explanation, class_activation, occlusion
from cnndetect.analysis.spectra import Spectrum as MeanSpectrum
from cnndetect.analysis.spectra import mean_spectrum, radial_profile
from cnndetect.detectors.base import Detector
from cnndetect.errors import CnndetectError
from cnndetect.images import to_rgb_array
from cnndetect.serve.answers import ExamineAnswer, Heat, Profile, Spectrum
from cnndetect.serve.examples import suite_samples
from cnndetect.serve.limits import Limits
from cnndetect.serve.pictures import Picture, logits_of, middle, open_picture, scored
from cnndetect.serve.shelf import used
from cnndetect.serve.uploads import Upload

PREVIEW_PX = 800

# Occlusion asks the network once a square: 6 x 6 squares of a small picture, none of a large one.
OCCLUDED_PIXELS, OCCLUDED_SQUARES = 300_000, 6

# Spectra are means over half-overlapping squares of the middle, as Welch's method takes them.
SIDES_PX, SPECTRUM_PIXELS = (128, 64, 32), 512 * 512
PHOTOGRAPHS = 60


def examine(upload: Upload, detector: Detector, limits: Limits) -> ExamineAnswer:
    """Score, preview, heat map and spectrum of one picture. Raises Refusal where there is no score."""
    picture = open_picture(upload, limits)
    notes: list[str] = []
    found = class_activation(detector, picture.array)
    logit = found.logit if found is not None and np.isfinite(found.logit) else logits_of([picture.array], detector)[0]
    if found is None:
        found = _occluded(picture, detector, notes)
    preview = Image.fromarray(picture.array)
    preview.thumbnail((PREVIEW_PX, PREVIEW_PX), Image.Resampling.LANCZOS)
    heat = None if found is None else _heat(found, preview.size)
    return ExamineAnswer(used(detector), scored(picture, logit, detector), _uri(preview, "webp"), heat, _spectrum(picture, notes), notes)


def layer(explanation: Explanation, size: tuple[int, int]) -> Image.Image:
    """The map as a transparent layer in the colours of ``overlay``, full where it is strongest. size: width and height in pixels."""
    heat = np.asarray(Image.fromarray(explanation.heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    strength = np.clip(np.abs(heat) / (float(np.abs(explanation.heat).max()) or 1.0), 0, 1)
    colour = np.where(heat[:, :, None] > 0, np.array(RAISES), np.array(LOWERS))
    alpha = (strength * 255).round()[:, :, None]
    return Image.fromarray(np.concatenate([colour, alpha], axis=2).astype(np.uint8), "RGBA")


def squares(array: np.ndarray, side: int) -> Iterator[np.ndarray]:
    """Half-overlapping squares of an image's middle."""
    middle_part, _ = middle(array, SPECTRUM_PIXELS)
    height, width = middle_part.shape[:2]
    for top in range(0, height - side + 1, side // 2):
        for left in range(0, width - side + 1, side // 2):
            yield middle_part[top : top + side, left : left + side]


def _occluded(picture: Picture, detector: Detector, notes: list[str]) -> Explanation | None:
    height, width = picture.array.shape[:2]
    if height * width > OCCLUDED_PIXELS:
        notes.append(
            f"No heat map: {detector.name} has no exact one, and covering parts of {width}x{height} pixels in turn would take "
            f"too long. Up to {OCCLUDED_PIXELS:,} pixels it is made."
        )
        return None
    patch = max(8, -(-max(height, width) // OCCLUDED_SQUARES))
    try:
        return occlusion(detector, picture.array, patch_px=patch, stride_px=patch)
    except Exception as error:  # noqa: BLE001  a user's network may refuse a covered picture; the score stands without a map
        notes.append(f"No heat map: {detector.name} failed on covered pictures ({type(error).__name__}: {error}).")
        return None


def _heat(explanation: Explanation, size: tuple[int, int]) -> Heat:
    low, high = float(explanation.heat.min()), float(explanation.heat.max())
    row, column = np.unravel_index(int(np.argmax(explanation.heat)), explanation.heat.shape)
    rows, columns = explanation.heat.shape
    place = f"{('top', 'middle', 'bottom')[3 * int(row) // rows]} {('left', 'centre', 'right')[3 * int(column) // columns]}"
    what = (
        "Exact: the mean of the map is the logit."
        if explanation.method == "cam"
        else "By occlusion: how far the logit falls when a square is covered."
    )
    strongest = f"Most for fake: {place}." if high > 0 else "Nothing in it speaks for fake."
    return Heat(_uri(layer(explanation, size), "png"), explanation.method, low, high, f"{what} {strongest}")  # type: ignore[arg-type]


def _spectrum(picture: Picture, notes: list[str]) -> Spectrum | None:
    side = next((side for side in SIDES_PX if min(picture.array.shape[:2]) >= side), None)
    if side is None:
        notes.append(f"No spectrum: it needs {SIDES_PX[-1]}x{SIDES_PX[-1]} pixels, and nothing is enlarged for it.")
        return None
    mine = mean_spectrum(squares(picture.array, side), size_px=side)
    reals, count = photographs_spectrum(side)
    if reals is None:
        notes.append("No photographs to compare the spectrum with: the embedded suite is not installed.")
    planes = [_shown(one) for one in (mine, reals) if one is not None]
    low, high = np.percentile(planes[-1], 1), max(np.percentile(plane, 99.8) for plane in planes)
    images = [_uri(_grey(plane, float(low), float(high)), "png") for plane in planes]
    frequency, own = radial_profile(planes[0])
    profile = Profile(_rounded(frequency), _rounded(own), None if reals is None else _rounded(radial_profile(planes[1])[1]))
    return Spectrum(side, mine.count, images[0], images[1] if reals is not None else None, count, profile)


@lru_cache(maxsize=len(SIDES_PX))
def photographs_spectrum(side: int) -> tuple[MeanSpectrum | None, int]:
    """Mean spectrum of photographs of the embedded suite, and their number; (None, 0) where it is not installed."""
    arrays = []
    for sample in suite_samples(label=0, most=PHOTOGRAPHS):
        try:
            array = to_rgb_array(sample.path)
        except CnndetectError:
            continue
        if min(array.shape[:2]) >= side:
            arrays.append(array)
    if not arrays:
        return None, 0
    return mean_spectrum((square for array in arrays for square in squares(array, side)), size_px=side), len(arrays)


def _shown(spectrum: MeanSpectrum) -> np.ndarray:
    """Log magnitude under the Hann window: borders leave no cross."""
    assert spectrum.windowed is not None
    return np.log(spectrum.windowed + 1e-3)


def _grey(plane: np.ndarray, low: float, high: float) -> Image.Image:
    return Image.fromarray((np.clip((plane - low) / max(high - low, 1e-9), 0, 1) * 255).round().astype(np.uint8))


def _uri(image: Image.Image, kind: str) -> str:
    memory = io.BytesIO()
    image.save(memory, format=kind, **({"quality": 90} if kind == "webp" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(memory.getvalue()).decode()}"


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]
