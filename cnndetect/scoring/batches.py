"""Samples and a detector in, Scores out: streamed, grouped by size, resumable after a kill.

Every scored batch is one line of a journal, flushed: a killed run loses at most one batch. What was waiting for its
batch waits again when the run goes on, so the batches, and with them the logits, are those of an unbroken run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from cnndetect.data.folders import Sample
from cnndetect.detectors.base import Detector
from cnndetect.errors import CnndetectError, ProtocolError
from cnndetect.images import to_rgb_array
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores
from cnndetect.transforms.degrade import degrade
from cnndetect.transforms.preprocess import prepare

# Images wait for others of their size until this many pixels wait; memory stays constant whatever the suite's size.
WINDOW_PIXELS = 24_000_000
BATCH_PIXELS = 4_000_000

# Logits by file and by name inside its test set: the name seeds random degradations.
Known = Mapping[tuple[Path, str], float]

# An error message may be a page long, and a column of text is as wide as its longest entry.
REASON_LENGTH = 300


@dataclass(frozen=True)
class Conditions:
    """How images reach the detector. seed: of random degradations; each image's own stream is (seed, its name)."""

    protocol: str = "nocrop"
    degradation: str = "none"
    batch_size: int = 32
    seed: int = 0


def score_set(
    detector: Detector,
    samples: Sequence[Sample],
    conditions: Conditions,
    *,
    journal: Path,
    provenance: Provenance,
    advance: Callable[[int], None] = lambda count: None,
    known: Known = MappingProxyType({}),
) -> Scores:
    """Score every sample. An image that fails is NaN with its reason; it is never dropped.

    journal: file for finished batches; a rerun with equal provenance continues it.  advance: told how many were done.
    known: logits of other test sets under the same conditions.
    """
    done = {s.relative: (known[s.path, s.relative], "") for s in samples if (s.path, s.relative) in known}
    done.update(_read_journal(journal, provenance))
    advance(len(done))
    waiting = [sample for sample in samples if sample.relative not in done]
    with journal.open("a", encoding="utf-8") as file:
        for names, logits, reasons in _scored(detector, waiting, conditions):
            batch = [(name, float(logit), reason) for name, logit, reason in zip(names, logits, reasons, strict=True)]
            file.write(json.dumps(batch) + "\n")
            file.flush()
            done.update({name: (logit, reason) for name, logit, reason in batch})
            advance(len(names))
    return Scores(
        paths=np.array([s.relative for s in samples]),
        clusters=np.array([s.cluster for s in samples]),
        labels=np.array([s.label for s in samples], dtype=np.int8),
        logits=np.array([done[s.relative][0] for s in samples], dtype=np.float64),
        errors=np.array([done[s.relative][1] for s in samples]),
        provenance=provenance,
    )


def batches_of(items: Iterator[tuple[Any, torch.Tensor]], *, batch_size: int) -> Iterator[tuple[list[Any], torch.Tensor]]:
    """Group a stream of (key, tensor [3, H, W]) into batches of one size, holding few images at a time."""
    groups: dict[tuple[int, int], list[tuple[Any, torch.Tensor]]] = {}
    held = 0
    for key, tensor in items:
        size = (tensor.shape[1], tensor.shape[2])
        group = groups.setdefault(size, [])
        group.append((key, tensor))
        held += size[0] * size[1]
        if len(group) >= _room(size, batch_size):
            held -= len(group) * size[0] * size[1]
            yield _stack(groups.pop(size))
        while held > WINDOW_PIXELS:
            # Too much waits: the largest group goes, full or not.
            largest = max(groups, key=lambda s: len(groups[s]) * s[0] * s[1])
            held -= len(groups[largest]) * largest[0] * largest[1]
            yield _stack(groups.pop(largest))
    for size in sorted(groups):
        yield _stack(groups[size])


def _scored(detector: Detector, samples: Sequence[Sample], conditions: Conditions) -> Iterator[tuple[list[str], np.ndarray, list[str]]]:
    failures: list[tuple[str, str]] = []

    def prepared() -> Iterator[tuple[str, torch.Tensor]]:
        for sample in samples:
            try:
                array = to_rgb_array(sample.path)
                array = degrade(array, conditions.degradation, seed=_image_seed(sample, conditions))
                yield sample.relative, prepare(array, conditions.protocol)
            except (CnndetectError, MemoryError) as error:
                failures.append((sample.relative, _reason(error, sample)))

    def failed() -> Iterator[tuple[list[str], np.ndarray, list[str]]]:
        while failures:
            name, reason = failures.pop(0)
            yield [name], np.array([np.nan]), [reason]

    for names, images in batches_of(prepared(), batch_size=conditions.batch_size):
        yield names, *_try(detector, images)
        yield from failed()
    yield from failed()


def _try(detector: Detector, images: torch.Tensor) -> tuple[np.ndarray, list[str]]:
    """Logits of a batch; a detector that raises is asked image by image, and only what fails is failed."""
    try:
        logits = detector.logits(images).double().numpy()
    except ProtocolError:
        raise  # a detector of the wrong shape is wrong on every image
    except Exception as error:  # noqa: BLE001  a user's detector may raise anything; the reason is kept
        if len(images) == 1:
            return np.array([np.nan]), [f"detector failed: {type(error).__name__}: {error}"[:REASON_LENGTH]]
        parts = [_try(detector, image[None]) for image in images]
        return np.concatenate([logit for logit, _ in parts]), [reason for _, reasons in parts for reason in reasons]
    return logits, ["detector returned NaN" if np.isnan(logit) else "" for logit in logits]


def _image_seed(sample: Sample, conditions: Conditions) -> int:
    name = f"{conditions.seed}\t{sample.relative}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big")


def _reason(error: Exception, sample: Sample) -> str:
    """The message, with the image's name inside the set in place of where it lies on this machine."""
    text = str(error) or type(error).__name__
    return text.replace(str(sample.path), sample.relative)[:REASON_LENGTH]


def _room(size: tuple[int, int], batch_size: int) -> int:
    return max(1, min(batch_size, BATCH_PIXELS // max(size[0] * size[1], 1)))


def _stack(group: list[tuple[Any, torch.Tensor]]) -> tuple[list[Any], torch.Tensor]:
    return [key for key, _ in group], torch.stack([tensor for _, tensor in group])


def _read_journal(path: Path, provenance: Provenance) -> dict[str, tuple[float, str]]:
    """What an interrupted run has scored; a journal of other provenance starts afresh. A torn last line is cut off."""
    head = provenance.to_json().encode()
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    if lines[0] != head or len(lines) == 1:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(head + b"\n")
        return {}
    done: dict[str, tuple[float, str]] = {}
    whole = len(head) + 1
    for line in lines[1:-1]:
        try:
            done.update({name: (logit, reason) for name, logit, reason in json.loads(line)})
        except ValueError:
            break
        whole += len(line) + 1
    os.truncate(path, whole)
    return done
