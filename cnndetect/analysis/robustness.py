"""Average precision under degradations, and how far the scores of each class shift, from stored scores.

AP alone does not say why it fell. A transform that moves the reals and leaves the fakes (or the other way about) makes
the two classes differ by the transform: a bias of the detector, even where AP rises. So the shifts of the two classes
stand beside AP, each with its interval (Ricker, Fischer and Quiring, 2026, ask for the same).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnndetect.bench.store import one_suite, read_runs
from cnndetect.bench.suites import family_rank
from cnndetect.errors import DataError
from cnndetect.metrics.intervals import Interval, jackknife
from cnndetect.metrics.shares import difference_interval, median_interval
from cnndetect.scoring.scores import Scores
from cnndetect.transforms.degrade import changes_size, in_order

# Fewer draws than for a table: a curve has dozens of points, and its intervals are for the eye.
DRAWS = 500

# A class has moved where its whole interval lies beyond this share of the clean logits' spread.
MOVED = 0.1

CLEAN = "none"

# degradation -> test set -> scores.
Runs = Mapping[str, Mapping[str, Scores]]


@dataclass(frozen=True)
class Point:
    """One detector under one degradation."""

    degradation: str
    ap: Interval  # mean over test sets
    real_shift: Interval  # real_shift, fake_shift: median change of the logit, image by image
    fake_shift: Interval
    gap: Interval  # fake_shift minus real_shift; below 0 the classes come closer
    reals_above: float  # reals_above, fakes_above: shares above the frozen threshold (0 where there is none)
    fakes_above: float
    n_failed: int
    resized: bool  # the detector saw another number of pixels
    reading: str  # which classes moved, in words


@dataclass(frozen=True)
class Robustness:
    """One detector under all its degradations."""

    detector: str
    suite: str
    protocol: str
    spread: float  # robust deviation of the clean logits (1.4826 median absolute deviation), the yardstick of the shifts
    overall: tuple[Point, ...]  # over all test sets
    by_set: dict[str, tuple[Point, ...]]  # the same for each alone

    def curve(self, names: Sequence[str], *, test_set: str | None = None) -> list[Point]:
        """The points of these degradations, in this order; those that were not run are left out."""
        known = {point.degradation: point for point in (self.overall if test_set is None else self.by_set[test_set])}
        return [known[name] for name in names if name in known]


def degraded_scores(
    results: str | Path, detector: str, *, suite: str | None = None, protocol: str = "nocrop"
) -> dict[str, dict[str, Scores]]:
    """Stored scores of one detector by degradation and test set, the images as they are first; trials are left out.

    results: the folder that the bench wrote to.  suite: such as "mini@1"; needed where several were run.
    Raises DataError where the scores of the images as they are ("none") are missing.
    """
    runs = read_runs([results], detectors=[detector], suite=suite, protocol=protocol)
    if runs:
        runs = one_suite(runs, results, detector)
    sets = {condition.degradation: rows[detector] for condition, rows in runs.items()}
    if CLEAN not in sets:
        raise DataError(f"{results} holds no scores of {detector} ({protocol}) on images as they are. Run the bench first.")
    return {name: {one: sets[name][one].scores for one in sorted(sets[name], key=family_rank)} for name in in_order(sets)}


def robustness(runs: Runs, *, draws: int = DRAWS, seed: int = 0) -> Robustness:
    """Curves of one detector. A degradation that not all test sets were run under is left out of ``overall`` alone.

    runs: what ``degraded_scores`` gives.  Raises DataError where degraded scores are of other images or weights than the clean.
    """
    clean = runs[CLEAN]
    for sets in runs.values():
        for name, scores in sets.items():
            _check(name, clean.get(name), scores)
    origin = next(iter(clean.values())).provenance
    spread = _spread(np.concatenate([scores.logits for scores in clean.values()]))
    whole = _Group(list(clean.values()), spread, draws > 0)
    single = {name: _Group([scores], spread, draws > 0) for name, scores in clean.items()}
    overall: list[Point] = []
    by_set: dict[str, list[Point]] = {name: [] for name in clean}
    for degradation, sets in runs.items():
        order = [name for name in clean if name in sets]
        aps = jackknife([sets[name].at_worst() for name in order], draws=draws, seed=seed)
        for column, name in enumerate(order):
            by_set[name].append(single[name].point(degradation, aps.only(column).macro, [sets[name]]))
        if len(order) == len(clean):
            overall.append(whole.point(degradation, aps.macro, [sets[name] for name in order]))
    points = {name: tuple(row) for name, row in by_set.items()}
    return Robustness(origin.detector, origin.suite or "", origin.protocol, spread, tuple(overall), points)


def as_rows(points: Sequence[Point]) -> list[dict[str, object]]:
    """One flat row a point, for CSV and JSON."""
    rows = []
    for point in points:
        row: dict[str, object] = {"degradation": point.degradation}
        for name in ("ap", "real_shift", "fake_shift", "gap"):
            interval = getattr(point, name)
            row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        names = ("reals_above", "fakes_above", "n_failed", "resized", "reading")
        rows.append(row | {name: getattr(point, name) for name in names})
    return rows


class _Group:
    """Some test sets' clean scores, to which those under a degradation are compared."""

    def __init__(self, clean: Sequence[Scores], spread: float, intervals: bool):
        self.before = np.concatenate([scores.logits for scores in clean])
        self.labels = np.concatenate([scores.labels for scores in clean])
        self.clusters = np.concatenate([scores.clusters for scores in clean])
        self.spread, self.intervals = spread, intervals

    def point(self, name: str, ap: Interval, degraded: Sequence[Scores]) -> Point:
        after = np.concatenate([scores.logits for scores in degraded])
        shift = after - self.before
        # An image that failed has not moved: it counts at its worst in AP, and not at all here.
        classes = [~np.isnan(shift) & (self.labels == label) for label in (0, 1)]
        moved = [median_interval(shift[chosen], self.clusters[chosen]) for chosen in classes]
        real, fake = moved if self.intervals else [Interval(one.value, float("nan"), float("nan")) for one in moved]
        gap = difference_interval(fake, real)
        frozen = degraded[0].provenance.threshold_logit
        above = [float("nan") if frozen is None else _share(after[chosen] > frozen) for chosen in classes]
        failed = sum(int(scores.failed.sum()) for scores in degraded)
        reading = _reading(real, fake, gap, self.spread)
        return Point(
            degradation=name,
            ap=ap,
            real_shift=real,
            fake_shift=fake,
            gap=gap,
            reals_above=above[0],
            fakes_above=above[1],
            n_failed=failed,
            resized=changes_size(name),
            reading=reading,
        )


def _reading(real: Interval, fake: Interval, gap: Interval, spread: float) -> str:
    if np.isnan(real.low) or np.isnan(fake.low):
        return "unknown without draws"
    moved = [_moved(interval, spread) for interval in (real, fake)]
    if moved == [False, False]:
        return "neither class moves"
    if moved == [True, False]:
        return "only reals move"
    if moved == [False, True]:
        return "only fakes move"
    apart = gap.low > 0 or gap.high < 0
    return "both move, apart" if apart and gap.value > 0 else "both move, closer" if apart else "both move alike"


def _moved(shift: Interval, spread: float) -> bool:
    return shift.low > MOVED * spread or shift.high < -MOVED * spread


def _share(truths: np.ndarray) -> float:
    return float(truths.mean()) if len(truths) else float("nan")


def _spread(logits: np.ndarray) -> float:
    known = logits[np.isfinite(logits)]
    return float(1.4826 * np.median(np.abs(known - np.median(known)))) if len(known) else float("nan")


def _check(name: str, clean: Scores | None, degraded: Scores) -> None:
    what = degraded.provenance.degradation
    if clean is None:
        raise DataError(f"{name} was scored under {what} and never as it is. Run the bench without --degradation first.")
    for key, meaning in (("fingerprint", "images"), ("identity", "weights")):
        if getattr(clean.provenance, key) != getattr(degraded.provenance, key):
            raise DataError(f"{name}: the scores under {what} are of other {meaning} than those of the images as they are. Run it again.")
    if not np.array_equal(clean.paths, degraded.paths):
        raise DataError(f"{name}: the scores under {what} list other images. Run it again.")
