"""Stability of verdicts: the share of images whose verdict changes after recompression, resizing or cropping, from stored scores.

A picture that is sent on is compressed, resized and cropped. A verdict that turns with it is of no use to whoever received the picture,
however well the ranking of AP holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnndetect.bench.store import Condition, Row, Run, Runs, check_same_images, read_runs
from cnndetect.bench.tables import markdown, percent
from cnndetect.errors import DataError
from cnndetect.files import plain
from cnndetect.metrics.intervals import Interval
from cnndetect.metrics.shares import share_interval

if TYPE_CHECKING:
    from cnndetect.bench.run import Options
    from cnndetect.bench.suites import Suite
    from cnndetect.detectors.base import Detector

CLEAN = "none"

# Ways in which a picture is delivered again; names of transforms/degrade.py.
DELIVERIES = (
    "jpeg_95", "jpeg_90", "jpeg_80", "jpeg_70", "jpeg_60", "jpeg_50", "webp_80", "webp_50",
    "resize_0.5", "resize_0.75", "resize_1.5", "crop_0.75",
)  # fmt: skip

HEAD = "verdicts that turn, real / fake"
NOTE = (
    f"{HEAD}: share of images whose verdict at the frozen threshold (0 where there is none) changes under at least one of "
    f"{', '.join(DELIVERIES)}."
)


@dataclass(frozen=True)
class Turned:
    """Shares of the reals, and of the fakes, whose verdict is another than on the image as it is."""

    real: Interval
    fake: Interval

    def __str__(self) -> str:
        return f"{percent(self.real)} / {percent(self.fake)}"


@dataclass(frozen=True)
class Stability:
    """One detector on one suite."""

    detector: str
    condition: Condition
    by_delivery: Mapping[str, Turned]
    """Delivery -> shares; those with stored scores of every test set."""
    any: Turned | None
    """Under at least one delivery; None where not all of DELIVERIES are stored."""


def stability(runs: Runs, condition: Condition, detector: str) -> Stability | None:
    """Stability under the deliveries of a condition without a degradation; None where none of them is stored.

    Images of all test sets count alike. An image that fails when it is delivered has turned; one that failed as it is has no verdict.
    Raises DataError where a delivery was scored on other images or by other weights.
    """
    clean = runs.get(condition, {}).get(detector, {})
    names = list(clean)
    rows = {name: runs.get(replace(condition, degradation=name), {}).get(detector, {}) for name in DELIVERIES}
    rows = {name: row for name, row in rows.items() if clean and all(one in row for one in names)}
    if condition.degradation != CLEAN or not rows:
        return None
    labels, clusters, before = (np.concatenate(columns) for columns in zip(*(_columns(clean[one]) for one in names), strict=True))
    judged = ~np.isnan(before)
    turned = {name: _verdicts(row, names, clean) != np.where(judged, before, -1) for name, row in rows.items()}

    def shares(changed: np.ndarray) -> Turned:
        chosen = [judged & (labels == label) for label in (0, 1)]
        return Turned(*(share_interval(changed[one], clusters[one]) for one in chosen))

    whole = len(rows) == len(DELIVERIES)
    every = shares(np.any(list(turned.values()), axis=0)) if whole else None
    return Stability(detector, condition, {name: shares(changed) for name, changed in turned.items()}, every)


def measured(detector: Detector, suite: Suite, options: Options, *, results: Path) -> Stability:
    """Score what is missing of a suite as it is and under every delivery, then measure."""
    from cnndetect.bench.run import score_suite
    from cnndetect.progress import bar

    for name in bar((CLEAN, *DELIVERIES), desc=f"{detector.name} {suite.title}", unit="delivery"):
        score_suite(detector, suite, replace(options, degradation=name), results=results)
    runs = read_runs([results], detectors=[detector.name], suite=suite.title, protocol=options.protocol)
    found = stability(runs, Condition(suite.title, options.protocol), detector.name)
    if found is None:
        raise DataError(f"{results} holds no whole results of {detector.name} on {suite.title}. Run the bench on the suite first.")
    return found


def stability_table(found: Sequence[Stability]) -> str:
    """A row per detector and delivery, in percent; the last row of a detector is over all deliveries."""
    rows = []
    for one in found:
        every = {**one.by_delivery, **({"any of them": one.any} if one.any else {})}
        rows += [[one.detector, one.condition.title, name, percent(turned.real), percent(turned.fake)] for name, turned in every.items()]
    head = ["detector", "condition", "delivered as", "reals that turn", "fakes that turn"]
    return "\n\n".join([markdown(head, rows), NOTE])


def as_plain(found: Stability) -> dict[str, Any]:
    """JSON values: fractions, NaN as None."""
    return {
        "detector": found.detector,
        "suite": found.condition.suite,
        "protocol": found.condition.protocol,
        "any": plain(found.any),
        "by_delivery": plain(found.by_delivery),
    }


def _columns(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, clusters and verdicts of stored scores: 1 for fake, NaN where the image failed."""
    scores = run.scores
    threshold = run.result.threshold_logit or 0.0
    return scores.labels, scores.clusters, np.where(scores.failed, np.nan, (scores.logits > threshold).astype(float))


def _verdicts(row: Row, names: Sequence[str], clean: Row) -> np.ndarray:
    for name in names:
        check_same_images(row[name], clean[name])
        if row[name].result.provenance.identity != clean[name].result.provenance.identity:
            raise DataError(f"{row[name].path} and {clean[name].path} are of different weights. Run the older one again.")
        if not np.array_equal(row[name].scores.paths, clean[name].scores.paths):
            raise DataError(f"{row[name].path} and {clean[name].path} list other images. Run the older one again.")
    return np.concatenate([_columns(row[name])[2] for name in names])
