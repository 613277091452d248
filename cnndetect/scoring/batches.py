"""Score a whole test set; a run that was killed continues.

What was waiting for its batch waits again when the run goes on, so the batches, and with them the logits, are those of
an unbroken run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from cnndetect.data.folders import Sample
from cnndetect.detectors.base import Detector
from cnndetect.images import to_rgb_array
from cnndetect.scoring.engine import REASON_LENGTH, score_batches
from cnndetect.scoring.journal import read_journal, write_batch
from cnndetect.scoring.loader import Load
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores
from cnndetect.transforms.degrade import degrade
from cnndetect.transforms.preprocess import cut

# Logits by file and by name inside its test set: the name seeds random degradations.
Known = Mapping[tuple[Path, str], float]


@dataclass(frozen=True)
class Conditions:
    """How images reach the detector."""

    protocol: str = "nocrop"
    degradation: str = "none"
    batch_size: int = 32
    seed: int = 0  # of random degradations; each image's own stream is (seed, its name)


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
    done.update(read_journal(journal, provenance))
    advance(len(done))
    waiting = [sample for sample in samples if sample.relative not in done]
    with journal.open("a", encoding="utf-8") as file:
        for outcomes in score_batches(detector, _images(waiting, conditions), batch_size=conditions.batch_size):
            batch = [(one.key.relative, one.logit, _reason(one.error, one.key)) for one in outcomes]
            write_batch(file, batch)
            done.update({name: (logit, reason) for name, logit, reason in batch})
            advance(len(batch))
    return Scores(
        paths=np.array([s.relative for s in samples]),
        clusters=np.array([s.cluster for s in samples]),
        labels=np.array([s.label for s in samples], dtype=np.int8),
        logits=np.array([done[s.relative][0] for s in samples], dtype=np.float64),
        errors=np.array([done[s.relative][1] for s in samples]),
        provenance=provenance,
    )


def _images(samples: Sequence[Sample], conditions: Conditions) -> Iterator[tuple[Sample, Load]]:
    for sample in samples:
        yield sample, partial(_prepared, sample, conditions)


def _prepared(sample: Sample, conditions: Conditions) -> np.ndarray:
    array = degrade(to_rgb_array(sample.path), conditions.degradation, seed=_image_seed(sample, conditions))
    return cut(array, conditions.protocol)


def _image_seed(sample: Sample, conditions: Conditions) -> int:
    name = f"{conditions.seed}\t{sample.relative}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big")


def _reason(error: str | None, sample: Sample) -> str:
    """The message, with the image's name inside the set in place of where it lies on this machine."""
    return (error or "").replace(str(sample.path), sample.relative)[:REASON_LENGTH]
