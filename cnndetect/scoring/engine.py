"""The scoring engine: images are decoded ahead in threads, grouped by size, and sent through the detector in batches.

``score``, the bench and the fits on validation images all call ``score_batches``. An image fails when it cannot be
decoded, when the detector raises for it alone, or when its logit is not finite. A failure is an outcome with a reason,
never an exception and never a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from cnndetect.backends.memory import PIXELS_BETWEEN_TRIMS, give_back, keep_few_kernels
from cnndetect.detectors.base import Detector
from cnndetect.errors import ProtocolError
from cnndetect.scoring.loader import Load, Loaded, loaded_ahead
from cnndetect.scoring.staging import staged

# A batch holds no more pixels than this; what waits for its batch holds no more than the window.
BATCH_PIXELS = 4_000_000
WINDOW_PIXELS = 24_000_000

# An error message may be a page long, and a column of text is as wide as its longest entry.
REASON_LENGTH = 300


@dataclass(frozen=True)
class Outcome:
    """What became of one image."""

    key: Any
    """What the caller calls it."""
    logit: float
    """NaN where it failed."""
    error: str | None = None
    """Why it failed, None where it did not."""
    size: tuple[int, int] | None = None
    """Height and width as the detector saw it, None where the image could not be loaded."""


def score_batches(
    detector: Detector,
    images: Iterable[tuple[Any, Load]],
    *,
    batch_size: int,
    ahead: int | None = None,
    threads: int | None = None,
) -> Iterator[list[Outcome]]:
    """Score images of any size; yield the outcomes batch by batch, in the order in which batches fill.

    images: (key, function that returns uint8 [H, W, 3] or raises CnndetectError).  ahead: no image waits for more than
    this many later ones; None for no such limit.  threads: that decode; None for one per core, at most four.
    Raises ProtocolError where the detector returns another shape: it is wrong for every image.
    """
    if batch_size < 1:
        raise ProtocolError(f"Got batch_size={batch_size}. Expected a whole number >= 1.")
    keep_few_kernels()
    since_trim = 0
    batches = grouped(loaded_ahead(images, threads=threads), batch_size=batch_size, ahead=ahead)
    for batch, pixels in staged(batches, detector.device):
        since_trim += sum(image.pixels for image in batch)
        if since_trim > PIXELS_BETWEEN_TRIMS:
            give_back()
            since_trim = 0
        yield [Outcome(batch[0].key, math.nan, batch[0].error)] if pixels is None else _scored(detector, batch, pixels)


def grouped(stream: Iterable[Loaded], *, batch_size: int, ahead: int | None = None) -> Iterator[list[Loaded]]:
    """Batches of images of equal size; an image that could not be loaded is a batch of its own.

    A group is sent when it fills a batch. When more than WINDOW_PIXELS wait, the largest group is sent, full or not.
    """
    waiting = _Waiting()
    for position, one in enumerate(stream):
        if one.error is not None:
            yield [one]
        else:
            waiting.add(one, position)
            room = max(1, min(batch_size, BATCH_PIXELS // one.pixels))
            if len(waiting.groups[one.array.shape]) >= room:
                yield waiting.take(one.array.shape)
        while waiting.pixels > WINDOW_PIXELS:
            yield waiting.take(waiting.largest())
        while ahead is not None and waiting.groups and position - waiting.since[waiting.oldest()] >= ahead:
            yield waiting.take(waiting.oldest())
    for size in sorted(waiting.groups):
        yield waiting.take(size)


class _Waiting:
    """Images that wait for others of their size."""

    def __init__(self) -> None:
        self.groups: dict[tuple[int, ...], list[Loaded]] = {}
        self.since: dict[tuple[int, ...], int] = {}  # position of the first image of each group
        self.pixels = 0

    def add(self, image: Loaded, position: int) -> None:
        self.groups.setdefault(image.array.shape, []).append(image)
        self.since.setdefault(image.array.shape, position)
        self.pixels += image.pixels

    def take(self, size: tuple[int, ...]) -> list[Loaded]:
        del self.since[size]
        group = self.groups.pop(size)
        self.pixels -= sum(image.pixels for image in group)
        return group

    def largest(self) -> tuple[int, ...]:
        return max(self.groups, key=lambda size: sum(image.pixels for image in self.groups[size]))

    def oldest(self) -> tuple[int, ...]:
        return min(self.since, key=self.since.__getitem__)


def _scored(detector: Detector, batch: list[Loaded], images: torch.Tensor) -> list[Outcome]:
    """Outcomes of a batch. A detector that raises is asked image by image, and only what fails is failed."""
    try:
        logits = detector.logits(images).double().tolist()
    except ProtocolError:
        raise
    except Exception as error:  # noqa: BLE001  a user's detector may raise anything; the reason is kept
        if len(batch) > 1:
            return [outcome for place, one in enumerate(batch) for outcome in _scored(detector, [one], images[place : place + 1])]
        reason = f"detector failed: {type(error).__name__}: {error}"[:REASON_LENGTH]
        return [Outcome(batch[0].key, math.nan, reason, batch[0].size)]
    return [_outcome(one, logit) for one, logit in zip(batch, logits, strict=True)]


def _outcome(image: Loaded, logit: float) -> Outcome:
    if math.isfinite(logit):
        return Outcome(image.key, logit, None, image.size)
    return Outcome(image.key, math.nan, f"detector returned the logit {logit}, not a finite number", image.size)
