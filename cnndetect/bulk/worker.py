"""One task of bulk scoring: what is missing of a unit goes through the scoring engine, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from scipy.special import expit

from cnndetect.bulk.parts import Parts, Row, Run
from cnndetect.bulk.sources import Unit, images_of
from cnndetect.detectors.base import Detector
from cnndetect.errors import DataError
from cnndetect.scoring import load_detector
from cnndetect.scoring.engine import score_batches
from cnndetect.scoring.loader import Load
from cnndetect.transforms.preprocess import PROTOCOLS


@dataclass(frozen=True)
class Task:
    """What every worker is told. It is pickled."""

    parts: Parts
    run: Run
    detector: Any
    """A name, a file, a factory, or the detector itself."""
    device: str | None = None
    column: str | None = None
    """Of Parquet files; None for the usual names."""

    def __call__(self, unit: Unit) -> None:
        """Score what is missing of a unit.

        Raises DataError where this machine's detector is not the one the run began with.
        """
        listed = self.parts.listed(unit.source)
        if not any(part.is_end for part in listed):
            self._score(unit, done=len(listed))

    def _score(self, unit: Unit, *, done: int) -> None:
        detector = loaded(self.detector, self.device, self.run.backend, self.run.precision)
        if (detector.name, detector.identity) != (self.run.detector, self.run.identity):
            raise DataError(
                f"A worker has the detector {detector.name} ({detector.identity}), the run {self.run.detector} ({self.run.identity}). "
                "Install the same version and the same weights on every machine."
            )
        size = self.run.images_per_part
        images = images_of(unit, PROTOCOLS[self.run.protocol], start=done * size, column=self.column)
        following = next(images, None)
        is_end = False
        while not is_end:
            piece = chain([] if following is None else [following], islice(images, size - 1))
            rows = self._rows(detector, piece)
            following = next(images, None)
            is_end = following is None
            self.parts.write(unit, done, rows, self.run, is_end=is_end)
            done += 1

    def _rows(self, detector: Detector, images: Iterator[tuple[str, Load]]) -> list[Row]:
        numbered = (((place, name), load) for place, (name, load) in enumerate(images))
        found: dict[int, Row] = {}
        for outcomes in score_batches(detector, numbered, batch_size=self.run.batch_size):
            for one in outcomes:
                place, name = one.key
                found[place] = Row(name, one.logit, float(expit(one.logit)), one.error)
        return [found[place] for place in sorted(found)]


def loaded(detector: Any, device: str | None, backend: str, precision: str) -> Detector:
    """The detector of a run. What is named stays in memory for the next task."""
    return load_detector(detector, device=device, backend=backend, precision=precision)
