"""Score images of any kind and size in the given order and in bounded memory."""

from __future__ import annotations

import functools
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from cnndetect import paths
from cnndetect.backends import accelerated
from cnndetect.counting import counted
from cnndetect.detectors import calibration, registry
from cnndetect.detectors.base import Detector
from cnndetect.errors import ImageError, ProtocolError, lookup
from cnndetect.images import to_rgb_array
from cnndetect.progress import bar
from cnndetect.scoring.engine import Outcome, score_batches
from cnndetect.scoring.inputs import given
from cnndetect.scoring.loader import Load
from cnndetect.scoring.shown import ScoreArray
from cnndetect.transforms.preprocess import PROTOCOLS, Protocol, cut

BATCH_SIZE = 32
PROTOCOL = "nocrop"

# No image waits for more batches than this, so that scores come in the given order and few are kept back.
_BATCHES_AHEAD = 8


@dataclass(frozen=True)
class Scored:
    """What became of one image."""

    index: int
    """Its place in what was given."""
    logit: float
    """NaN where it failed."""
    error: str | None = None
    """Why it failed, None where it did not."""
    size: tuple[int, int] | None = None
    """Height and width as the detector saw it, None where the image could not be loaded."""
    path: str | None = None
    """Of an image that was given as one."""

    @property
    def fakeness(self) -> float:
        """sigmoid(logit), in [0, 1]."""
        return float(expit(self.logit))


def score(
    img: Any,
    *,
    detector: Any = None,
    return_logit: bool = False,
    calibrated: bool = False,
    device: str | None = None,
    batch_size: int = BATCH_SIZE,
    on_error: Literal["raise", "nan"] = "raise",
    progress: bool = False,
    verdict: bool = False,
    backend: str | None = None,
    precision: str = "float32",
) -> Any:
    """Fakeness of an image, or of each image of a collection: higher means more traces of a CNN generator.

    img: one image: a path, the bytes of a file, an open file, a PIL image, a NumPy array ([H, W, 3], [H, W, 1] or [H, W]) or
    a torch tensor [3, H, W], both uint8 or float in [0, 1]. Or a collection, kinds and sizes mixed: a list, a generator, a
    folder, a pattern such as "photos/*.jpg", an array [N, H, W, 3], a tensor [N, 3, H, W], a pandas Series, a torch Dataset.
    Returns a float for one image, for a collection float64 [N] in the given order, which a notebook shows as a table
    (``ScoreArray``, with ``frame()`` and ``plot()``).

    Fakeness is sigmoid(logit), in [0, 1]. It orders images. It is NOT the probability that an image from the wild is
    fake: the detector is not calibrated there, and knows only traces like those it was trained on. To rank, ask for
    ``return_logit=True``, for strong fakes may tie near 1. An image is taken at its native size (protocol ``nocrop``),
    neither resized nor cut: resizing removes the very traces, and a cut sees fewer of them.

    calibrated: sigmoid((logit - threshold) / temperature) instead, both fitted on validation images and frozen with the
    weights: 0.5 is the threshold, and on images like those of validation, half of them fake, it is a probability.
    ProtocolError for a detector without them; the order of images is the same.

    detector: a name of ``list_detectors()``, a weights file, ``package.module:factory``, what ``load`` returned, or any
    callable [N, 3, H, W] -> [N]; the bundled one if None.  device: such as "cuda:0"; if None, CUDA where there is one.
    batch_size: images of equal size that go through at once; it changes the speed, not the result.
    on_error: "raise" ImageError, with the index and the file, at the first image that cannot be scored; or "nan": its
    score is NaN, and one warning at the end counts the failures.  progress: a bar on stderr.
    verdict: "real", "fake" or "unsure" instead of a number, by the thresholds frozen with the detector; "" where it failed.
    backend, precision: names of ``cnndetect.backends``; by default the fastest that is installed and gives torch's logits within
    1e-4, for a Detector that was loaded too. ``backend="torch"`` runs the network itself, with any hooks that it has.

    >>> gray = np.full((8, 8, 3), 0.5)
    >>> score(gray, detector=lambda batch: batch.mean((1, 2, 3)) * 0)
    0.5
    """
    if on_error not in ("raise", "nan"):
        raise ProtocolError(f"Got on_error={on_error!r}. Expected 'raise' or 'nan'.")
    images = given(img)
    loaded = load_detector(detector, device=device, backend=backend, precision=precision)
    if calibrated:
        loaded = calibration.calibrated(loaded)
    logits, failures, names = [], [], []
    stream = score_stream(images.images, detector=loaded, batch_size=batch_size)
    for scored in bar(stream, total=images.count, desc="score", shown=progress):
        if scored.error is not None:
            place = f"Image {scored.index}" + (f" of {images.count}" if images.count is not None else "")
            failures.append(scored.error if images.single else f"{place}: {scored.error}")
            if on_error == "raise":
                raise ImageError(failures[0])
        logits.append(scored.logit)
        names.append(scored.path or f"image {scored.index}")
    if failures:
        warnings.warn(f"{len(failures)} of {counted(len(logits), 'image')} failed, scored as NaN. First: {failures[0]}", stacklevel=2)
    words = ["" if math.isnan(logit) else loaded.verdict(logit) for logit in logits] if verdict or loaded.band else []
    if verdict:
        return words[0] if images.single else np.array(words, dtype=str)
    values = np.array(logits, dtype=np.float64)
    values = values if return_logit else expit(values)
    return float(values[0]) if images.single else ScoreArray.of(values, names, words, "logit" if return_logit else "fakeness")


def score_stream(
    images: Iterable[Any], *, detector: Detector, batch_size: int = BATCH_SIZE, protocol: str | Protocol = PROTOCOL
) -> Iterator[Scored]:
    """Score image after image, decoding only a few batches ahead; a bad image is reported and passed over.

    images: anything ``score`` takes one of.  protocol: how they are cut.  Yields one Scored per image, in the given order.
    """
    chosen = lookup("protocol", PROTOCOLS, protocol) if isinstance(protocol, str) else protocol
    done: dict[int, Scored] = {}
    following = 0  # index of the next one to give out
    for outcomes in score_batches(detector, _loads(images, chosen), batch_size=batch_size, ahead=_BATCHES_AHEAD * batch_size):
        done |= {outcome.key.index: _scored(outcome) for outcome in outcomes}
        while following in done:
            yield done.pop(following)
            following += 1


def load_detector(detector: Any, *, device: str | None, backend: str | None = None, precision: str = "float32") -> Detector:
    """The detector that ``score`` means; one that is named stays in memory for the next call.

    backend: None is "auto". A Detector that has an engine keeps it.
    """
    if detector is None or isinstance(detector, (str, Path)):
        file = Path(detector) if detector is not None else None
        changed = file.stat().st_mtime_ns if file is not None and file.is_file() else None
        return _load_named(detector, device, backend or "auto", precision, changed, paths.weights_root())
    loaded = detector if isinstance(detector, Detector) and device is None else registry.load(detector, device=device)
    return accelerated(loaded, backend or "auto", precision)


@dataclass(frozen=True)
class _Key:
    """An image's place, and its path where it has one."""

    index: int
    path: str | None


def _scored(outcome: Outcome) -> Scored:
    reason = outcome.error
    if reason is not None and outcome.size is not None:  # what cannot be decoded is named in its reason
        height, width = outcome.size
        reason = f"{outcome.key.path or f'The image of {width}x{height} px'}: {reason}"
    return Scored(outcome.key.index, outcome.logit, reason, outcome.size, outcome.key.path)


def _loads(images: Iterable[Any], protocol: Protocol) -> Iterator[tuple[_Key, Load]]:
    for index, image in enumerate(images):
        yield _Key(index, str(image) if isinstance(image, (str, os.PathLike)) else None), partial(_load, image, protocol)


def _load(image: Any, protocol: Protocol) -> np.ndarray:
    return cut(to_rgb_array(image), protocol)


@functools.lru_cache(maxsize=1)
def _load_named(
    detector: str | Path | None, device: str | None, backend: str, precision: str, changed_ns: int | None, weights: Path
) -> Detector:
    # The last two are only part of the key: another file, or another folder of weights, is another detector.
    return accelerated(registry.load(detector, device=device), backend, precision)
