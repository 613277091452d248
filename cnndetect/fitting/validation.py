"""Logits of a detector on a validation folder. They are stored, so that a fit can be repeated without the network."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from tqdm import tqdm

from cnndetect.data.folders import Sample, fingerprint, scan, spread
from cnndetect.data.test_only import refuse_test_images, refuse_test_samples
from cnndetect.detectors.base import Detector
from cnndetect.errors import DataError
from cnndetect.files import write_whole
from cnndetect.images import to_rgb_array
from cnndetect.progress import bar as progress_bar
from cnndetect.scoring.engine import score_batches
from cnndetect.scoring.loader import Load
from cnndetect.transforms.degrade import degrade
from cnndetect.transforms.preprocess import cut

BATCH_SIZE = 16


@dataclass(frozen=True)
class ValidationLogits:
    """What a detector says of a validation set."""

    labels: np.ndarray  # [N] of 0/1
    logits: np.ndarray  # [N]
    origin: dict[str, Any]  # of what and by whom

    def save(self, path: Path) -> None:
        """Write whole or not at all."""
        content = io.BytesIO()
        np.savez_compressed(content, labels=self.labels, logits=self.logits, origin=np.array(json.dumps(self.origin, sort_keys=True)))
        write_whole(path, content.getvalue())


def read_validation(path: str | Path) -> ValidationLogits:
    """Logits of a file that ``ValidationLogits.save`` wrote. Raises DataError."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            return ValidationLogits(content["labels"], content["logits"], json.loads(str(content["origin"])))
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} holds no validation logits ({error}). Delete it; the next run makes it again.") from error


def validation_logits(
    detector: Detector,
    root: str | Path,
    *,
    protocol: str = "nocrop",
    degradations: Sequence[str] = ("none",),
    max_images: int | None = None,
    store: Path | None = None,
    progress: bool = False,
) -> ValidationLogits:
    """Logits of every image of a folder in the official layout, once under each degradation.

    degradations: names of transforms/degrade.py; the results are joined.  max_images: equal shares of every class and label.
    store: a folder; what it holds of the same detector, images and conditions is read instead of computed.
    Raises ProtocolError for a test suite (data/test_only.py), LayoutError, and DataError for an image without a finite logit: a
    validation set has no bad images.
    """
    refuse_test_images(root, purpose="fitting or choosing")
    samples = spread(tuple(scan(root)), max_images)
    refuse_test_samples(samples, purpose="fitting or choosing")
    origin = {
        "detector": detector.name, "identity": detector.identity, "data": Path(root).resolve().name,
        "fingerprint": fingerprint(samples), "protocol": protocol,
    }  # fmt: skip
    with progress_bar(total=len(samples) * len(degradations), desc=detector.name, shown=progress) as bar:
        parts = []
        for name in degradations:
            path = None if store is None else store / f"{detector.name}.{protocol}.{name}.npz"
            parts.append(_stored(detector, samples, {**origin, "degradations": [name]}, path, bar))
    labels, logits = (np.concatenate([getattr(part, column) for part in parts]) for column in ("labels", "logits"))
    return ValidationLogits(labels, logits, {**origin, "degradations": list(degradations)})


def _stored(detector: Detector, samples: Sequence[Sample], origin: dict[str, Any], path: Path | None, bar: tqdm) -> ValidationLogits:
    """Logits under one degradation: read where the file is of the same origin, else computed and stored."""
    if path is not None and detector.identity is not None and path.is_file():
        kept = read_validation(path)
        if {**kept.origin, "data": origin["data"]} == origin:  # the fingerprint tells the images, whatever their folder is called
            bar.update(len(samples))
            return kept

    logits = np.full(len(samples), np.nan)
    for outcomes in score_batches(detector, _images(samples, origin["protocol"], origin["degradations"][0]), batch_size=BATCH_SIZE):
        for outcome in outcomes:
            if outcome.error is not None:
                raise DataError(f"{samples[outcome.key].path} has no logit of {detector.name}: {outcome.error}")
            logits[outcome.key] = outcome.logit
        bar.update(len(outcomes))
    found = ValidationLogits(np.array([sample.label for sample in samples], dtype=np.int8), logits, origin)
    if path is not None:
        found.save(path)
    return found


def _images(samples: Sequence[Sample], protocol: str, degradation: str) -> Iterator[tuple[int, Load]]:
    for index, sample in enumerate(samples):
        yield index, partial(_prepared, sample, protocol, degradation, index)


def _prepared(sample: Sample, protocol: str, degradation: str, seed: int) -> np.ndarray:
    return cut(degrade(to_rgb_array(sample.path), degradation, seed=seed), protocol)
