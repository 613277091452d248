"""Images of any kind and size enter, one fakeness each leaves, in the given order and at bounded memory."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from scipy.special import expit

from cnndetect import paths
from cnndetect.detectors import calibration, registry
from cnndetect.detectors.base import Detector
from cnndetect.errors import ImageError, ProtocolError, lookup
from cnndetect.images import to_rgb_array
from cnndetect.transforms.preprocess import PROTOCOLS, Protocol, center_crop, to_tensor

if TYPE_CHECKING:
    from PIL import Image

BATCH_SIZE = 32
PROTOCOL = "nocrop"

# A batch also ends at this many pixels, and so does what is decoded ahead: memory does not grow with the images.
MAX_BATCH_PIXELS = 4_000_000
MAX_AHEAD_PIXELS = 24_000_000
_BATCHES_AHEAD = 8


@dataclass(frozen=True)
class Scored:
    """What became of one image: its logit, or NaN and the reason."""

    index: int
    logit: float
    error: str | None = None

    @property
    def fakeness(self) -> float:
        """sigmoid(logit), in [0, 1]."""
        return float(expit(self.logit))


@overload
def score(
    img: str | Path | bytes | Image.Image | np.ndarray | torch.Tensor,
    *,
    detector: Any = ...,
    return_logit: bool = ...,
    calibrated: bool = ...,
    device: str | None = ...,
    batch_size: int = ...,
) -> float: ...
@overload
def score(
    img: Sequence[Any],
    *,
    detector: Any = ...,
    return_logit: bool = ...,
    calibrated: bool = ...,
    device: str | None = ...,
    batch_size: int = ...,
) -> np.ndarray: ...
def score(
    img: Any,
    *,
    detector: Any = None,
    return_logit: bool = False,
    calibrated: bool = False,
    device: str | None = None,
    batch_size: int = BATCH_SIZE,
) -> float | np.ndarray:
    """Fakeness of an image, or of each image of a sequence: higher means more traces of a CNN generator.

    img: a path, a PIL image, a NumPy array ([H, W, 3], [H, W, 1] or [H, W]), a torch tensor [3, H, W], the arrays
    uint8 or float in [0, 1]; or a sequence of them, kinds and sizes mixed.
    Returns a float for one image, float64 [N] in the given order for a sequence.

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
    Raises ImageError, with the index and the file, at the first image that cannot be scored.

    >>> gray = np.full((8, 8, 3), 0.5)
    >>> score(gray, detector=lambda batch: batch.mean((1, 2, 3)) * 0)
    0.5
    """
    single = not _is_sequence(img)
    loaded = load_detector(detector, device=device)
    if calibrated:
        loaded = calibration.calibrated(loaded)
    logits = []
    for scored in score_stream([img] if single else img, detector=loaded, batch_size=batch_size):
        if scored.error is not None:
            raise ImageError(scored.error if single else f"Image {scored.index} of {len(img)}: {scored.error}")
        logits.append(scored.logit)
    values = np.array(logits, dtype=np.float64)
    values = values if return_logit else expit(values)
    return float(values[0]) if single else values


def score_stream(
    images: Iterable[Any], *, detector: Detector, batch_size: int = BATCH_SIZE, protocol: str | Protocol = PROTOCOL
) -> Iterator[Scored]:
    """Score image after image, decoding only a few batches ahead; a bad image is reported and passed over.

    images: anything ``score`` takes one of.  protocol: how they are cut.  Yields one Scored per image, in the given order.
    """
    if batch_size < 1:
        raise ProtocolError(f"Got batch_size={batch_size}. Expected a whole number >= 1.")
    crop_px = (lookup("protocol", PROTOCOLS, protocol) if isinstance(protocol, str) else protocol).crop_px
    groups: dict[tuple[int, ...], list[_Decoded]] = {}  # waiting, by size
    done: dict[int, Scored] = {}
    following = 0  # index of the next one to give out

    for index, image in enumerate(images):
        decoded = _decode(index, image, crop_px)
        if isinstance(decoded, Scored):
            done[index] = decoded
        else:
            # A group goes through when it fills a batch; when too much waits, everything goes.
            group = groups.setdefault(decoded.array.shape, [])
            group.append(decoded)
            if len(group) >= batch_size or (len(group) + 1) * decoded.pixels > MAX_BATCH_PIXELS:
                done |= _score_batch(detector, groups.pop(decoded.array.shape))
        waiting = sum(len(group) * group[0].pixels for group in groups.values())
        if waiting > MAX_AHEAD_PIXELS or index - following >= _BATCHES_AHEAD * batch_size:
            done |= _score_groups(detector, groups)
        while following in done:
            yield done.pop(following)
            following += 1

    done |= _score_groups(detector, groups)
    yield from (done[index] for index in sorted(done))


def load_detector(detector: Any, *, device: str | None) -> Detector:
    """The detector that ``score`` means; one that is named stays in memory for the next call."""
    if detector is None or isinstance(detector, (str, Path)):
        file = Path(detector) if detector is not None else None
        changed = file.stat().st_mtime_ns if file is not None and file.is_file() else None
        return _load_named(detector, device, changed, paths.weights_root())
    if isinstance(detector, Detector) and device is None:
        return detector  # stays where it is
    return registry.load(detector, device=device)


@dataclass(frozen=True)
class _Decoded:
    """An image that waits for its batch."""

    index: int
    name: str
    array: np.ndarray  # uint8 [H, W, 3]

    @property
    def pixels(self) -> int:
        return self.array.shape[0] * self.array.shape[1]


def _is_sequence(img: Any) -> bool:
    return isinstance(img, Sequence) and not isinstance(img, (str, bytes))


def _decode(index: int, image: Any, crop_px: int | None) -> _Decoded | Scored:
    try:
        array = to_rgb_array(image)
    except ImageError as error:
        return Scored(index, math.nan, str(error))
    name = str(image) if isinstance(image, (str, os.PathLike)) else f"The image of {array.shape[1]}x{array.shape[0]} px"
    # A copy, or the whole image would wait behind its crop.
    return _Decoded(index, name, array if crop_px is None else center_crop(array, crop_px).copy())


def _score_groups(detector: Detector, groups: dict[tuple[int, ...], list[_Decoded]]) -> dict[int, Scored]:
    done: dict[int, Scored] = {}
    while groups:
        done |= _score_batch(detector, groups.popitem()[1])
    return done


def _score_batch(detector: Detector, group: list[_Decoded]) -> dict[int, Scored]:
    try:
        logits = _logits(detector, group)
    except RuntimeError as error:  # torch's: out of memory, or too small for this network
        if len(group) == 1:
            reason = f"{group[0].name} made the detector fail: {error}. Expected an image that it can take; try the CPU."
            return {group[0].index: Scored(group[0].index, math.nan, reason)}
        return {index: scored for one in group for index, scored in _score_batch(detector, [one]).items()}
    return {one.index: _scored(one, logit) for one, logit in zip(group, logits, strict=True)}


def _logits(detector: Detector, group: list[_Decoded]) -> list[float]:
    batch = torch.stack([to_tensor(one.array) for one in group])  # [N, 3, H, W]
    return detector.logits(batch).double().tolist()  # [N]


def _scored(image: _Decoded, logit: float) -> Scored:
    if math.isfinite(logit):
        return Scored(image.index, logit)
    reason = f"{image.name} got the logit {logit} from the detector. Expected a finite number; check its weights."
    return Scored(image.index, math.nan, reason)


@functools.lru_cache(maxsize=1)
def _load_named(detector: str | Path | None, device: str | None, changed_ns: int | None, weights: Path) -> Detector:
    # The last two are only part of the key: another file, or another folder of weights, is another detector.
    return registry.load(detector, device=device)
