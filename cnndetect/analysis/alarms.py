"""False alarms: the share of real photographs that a detector calls fake at its frozen threshold, under each degradation.

Average precision does not see this: a detector may rank perfectly and still call every camera's JPEG a fake.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from tabulate import tabulate

from cnndetect.data.folders import PHOTO_MARK, Sample, evenly, fingerprint
from cnndetect.detectors.base import Detector
from cnndetect.errors import DataError, ProtocolError
from cnndetect.images import list_images
from cnndetect.paths import ALARMS
from cnndetect.progress import bar
from cnndetect.scoring.batches import Conditions, score_set
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores, read_scores


@dataclass(frozen=True)
class Alarms:
    """How many real photographs a detector calls fake under one degradation."""

    detector: str
    degradation: str
    images: int
    photographs: int
    failed: int
    threshold_logit: float
    called_fake: float  # share of the photographs; failed ones count
    low: float  # low and high: Wilson's 95 % interval over photographs
    high: float


def alarms_of(scores: Scores, *, threshold: float) -> Alarms:
    """Count stored scores of real photographs; an image that failed counts as a false alarm.

    Crops of one photograph are not independent: the interval counts photographs, not images.
    """
    fake = scores.at_worst().logits > threshold  # strictly above, as in metrics.accuracy_at
    share, photographs = float(fake.mean()), len(set(scores.clusters))
    # Wilson's interval takes whole counts; rounding outwards never makes it narrower than it is.
    low = binomtest(int(np.floor(share * photographs)), photographs).proportion_ci(method="wilson").low
    high = binomtest(int(np.ceil(share * photographs)), photographs).proportion_ci(method="wilson").high
    origin = scores.provenance
    return Alarms(
        detector=origin.detector,
        degradation=origin.degradation,
        images=len(fake),
        photographs=photographs,
        failed=int(scores.failed.sum()),
        threshold_logit=threshold,
        called_fake=share,
        low=float(low),
        high=float(high),
    )


def false_alarms(
    detector: Detector,
    photos: Sequence[str | Path],
    *,
    degradations: Sequence[str] = ("none", "jpeg_75"),
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    results: Path,
    progress: bool = False,
) -> list[Alarms]:
    """Score photographs with ``scores_of_photographs`` and count what is called fake. Raises ProtocolError for a detector without a threshold."""
    if detector.threshold_logit is None:
        raise ProtocolError(
            f"{detector.name} has no frozen threshold. Fit one on validation images: "
            "cnndetect detectors calibrate FILE --val DATA/val --write"
        )
    found = scores_of_photographs(
        detector, photos, degradations=degradations, split=split, limit=limit, seed=seed, results=results, progress=progress
    )
    return [alarms_of(scores, threshold=detector.threshold_logit) for scores in found]


def scores_of_photographs(
    detector: Detector,
    photos: Sequence[str | Path],
    *,
    degradations: Sequence[str],
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    results: Path,
    progress: bool = False,
) -> list[Scores]:
    """Scores of photographs at native size, once for each degradation.

    photos: folders of real photographs.  split: of numbered photographs (data/photos.py).  Scores are kept below
    ``results`` and used again; an interrupted run goes on.
    """
    samples = _samples(photos, split, limit)
    digest = fingerprint(samples)
    found = []
    for degradation in degradations:
        provenance = Provenance(
            detector=detector.name, identity=detector.identity, fingerprint=digest, protocol="nocrop", degradation=degradation, seed=seed
        )
        path = results / ALARMS / detector.name / f"{digest[:12]}.{degradation}.npz"
        scores = read_scores(path) if path.exists() and detector.identity is not None else None
        if scores is None or scores.provenance != provenance:
            with bar(total=len(samples), desc=degradation, shown=progress, leave=True) as shown:
                journal = path.with_suffix(".journal")
                conditions = Conditions(degradation=degradation, seed=seed)
                scores = score_set(detector, samples, conditions, journal=journal, provenance=provenance, advance=shown.update)
            scores.save(path)
            journal.unlink(missing_ok=True)
        for name, reason in zip(scores.paths[scores.failed], scores.errors[scores.failed], strict=True):
            print(f"{name}: {reason}", file=sys.stderr)
        found.append(scores)
    return found


def as_text(rows: Sequence[Alarms]) -> str:
    """A table, one row a detector and degradation."""
    head = ["detector", "degradation", "images", "photographs", "failed", "called fake"]
    cells = [
        [r.detector, r.degradation, r.images, r.photographs, r.failed, f"{r.called_fake:.1%} [{r.low:.1%}, {r.high:.1%}]"] for r in rows
    ]
    return tabulate(cells, head, tablefmt="github")


def _samples(photos: Sequence[str | Path], split: str | None, limit: int | None) -> tuple[Sample, ...]:
    from cnndetect.data.photos import split_files

    if limit is not None and limit < 1:
        raise ProtocolError(f"limit got {limit}. Expected a whole number from 1.")
    samples = []
    for folder in map(Path, photos):
        files = split_files(folder, split) if split else list_images(folder)
        if not files:
            raise DataError(f"{folder} holds no images. Expected a folder of real photographs.")
        if limit is not None and limit < len(files):
            files = evenly(files, limit, ends=True)
        for file in files:
            name = f"{folder.name}/{file.relative_to(folder).as_posix()}"
            samples.append(Sample(file, 0, name, name.rsplit(PHOTO_MARK, 1)[0]))
    names = [sample.relative for sample in samples]
    if len(set(names)) < len(names):
        raise DataError("Two folders of photographs have the same name and files. Give each folder once, under a name of its own.")
    return tuple(samples)
