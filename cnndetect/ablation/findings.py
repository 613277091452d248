"""Which findings of Wang et al. 2020 an ablation grid confirms. Every verdict is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnndetect.ablation.cells import ALL, Condition
from cnndetect.ablation.rows import Grid, Row
from cnndetect.bench.tables import points
from cnndetect.metrics.bounds import spread, two_sided
from cnndetect.metrics.intervals import Interval

HOLDS, FAILS, UNTOLD = "holds", "does not hold", "cannot be told"

BLURRED = ("san", "deepfake")


@dataclass(frozen=True)
class Claim:
    """A sign of a weighted sum of mean APs."""

    words: str
    weights: Mapping[Condition, float]  # condition -> factor
    sign: int
    sets: tuple[str, ...] = ()  # test sets, none for all but ``without``
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A claim, and what the numbers say."""

    claim: Claim
    difference: Interval | None  # None where something is missing, which ``missing`` names
    seeds: tuple[int, ...]
    missing: str = ""

    @property
    def verdict(self) -> str:
        """One of three; only an interval that excludes 0 decides, and only where every condition has several seeds."""
        if self.difference is None or min(self.seeds) < 2 or not self.difference.excludes_zero:
            return UNTOLD
        return HOLDS if (self.difference.low > 0) == (self.claim.sign > 0) else FAILS

    @property
    def sentence(self) -> str:
        """The claim, the verdict and the numbers."""
        if self.difference is None:
            return f"{self.claim.words}: **{UNTOLD}** ({self.missing})."
        seeds = " and ".join(map(str, self.seeds))
        return f"{self.claim.words}: **{self.verdict}** (difference {points(self.difference)} points; {seeds} seeds)."


def augmentation_claims(trunk: str) -> list[Claim]:
    """What section 4.2 of the paper says of blur and JPEG in training, against no augmentation, all classes."""

    def against_none(name: str) -> dict[Condition, float]:
        return {Condition(trunk, name, ALL): 1.0, Condition(trunk, "none", ALL): -1.0}

    mixed = {"blur-jpeg-0.1": "Blur+JPEG (0.1)", "blur-jpeg-0.5": "Blur+JPEG (0.5)"}
    claims = [Claim(f"{words} raises the mean AP over all families", against_none(name), 1) for name, words in mixed.items()]
    claims += [
        Claim(f"{words} raises the mean AP over the families other than SAN and Deepfake", against_none(name), 1, without=BLURRED)
        for name, words in mixed.items()
    ]
    claims += [Claim(f"{words} lowers AP on SAN", against_none(name), -1, sets=("san",)) for name, words in mixed.items()]
    claims += [Claim(f"{words} lowers AP on Deepfake", against_none(name), -1, sets=("deepfake",)) for name, words in mixed.items()]
    claims.append(Claim("JPEG alone raises the mean AP over all families", against_none("jpeg"), 1))
    claims.append(Claim("Blur alone lowers the mean AP over all families", against_none("blur"), -1))
    return claims


def diversity_claims(rows: Sequence[Row], class_count: int) -> list[Claim]:
    """What section 4.3 says of the number of classes: more help, and in the end hardly.

    rows: of growing class counts.  class_count: how many "all" are.
    """
    found = []
    for fewer, more in zip(rows, rows[1:], strict=False):
        words = f"{_count(more, class_count)} classes instead of {_count(fewer, class_count)} raise the mean AP over all families"
        found.append(Claim(words, {more.condition: 1.0, fewer.condition: -1.0}, 1))
    if len(rows) > 2:
        first, last = rows[0], rows[-1]
        words = f"{_count(last, class_count)} classes instead of {_count(first, class_count)} raise the mean AP over all families"
        found.append(Claim(words, {last.condition: 1.0, first.condition: -1.0}, 1))
        found.append(_saturation(rows, class_count))
    return found


def judge(claim: Claim, grid: Grid) -> Finding:
    """The weighted sum, with an interval over photographs and training seeds together.

    The variance over photographs is that of the paired difference; each condition adds its variance between seeds, s^2 / n,
    with the degrees of freedom of Welch (1947). One seed says nothing of that variance, and such a sum never decides.
    """
    absent = [f"{c.augmentation} with {c.classes} classes" for c in claim.weights if c not in grid.rows]
    absent += [name for name in claim.sets if name not in grid.test_sets]
    columns = [place for place, name in enumerate(grid.test_sets) if name not in claim.without and (not claim.sets or name in claim.sets)]
    if absent or not columns:
        return Finding(claim, None, (), f"no results of {', '.join(absent) or 'such families'}")
    rows = [(grid.rows[condition], factor) for condition, factor in claim.weights.items()]
    seeds = tuple(len(row.seeds) for row, _ in rows)
    by_seed = [factor * row.values[:, columns].mean(axis=1) for row, factor in rows]
    value = float(sum(one.mean() for one in by_seed))
    if not rows[0][0].enough(columns):
        return Finding(claim, Interval(value, float("nan"), float("nan")), seeds)
    images = spread(np.sum([factor * row.changes(columns) for row, factor in rows], axis=0))
    parts = [(images.error**2, images.freedom)] if images.error else []
    parts += [(one.var(ddof=1) / len(one), len(one) - 1) for one in by_seed if len(one) > 1 and one.var(ddof=1) > 0]
    variance = sum(part for part, _ in parts)
    if not variance:
        return Finding(claim, Interval(value, value, value), seeds)
    freedom = variance**2 / sum(part**2 / freedom for part, freedom in parts)
    half = two_sided(freedom) * float(np.sqrt(variance))
    return Finding(claim, Interval(value, value - half, value + half), seeds)


def findings(grid: Grid, trunk: str) -> list[Finding]:
    """Every claim of the paper that the grid's two ablations speak of, for one trunk."""
    rows = grid.diversity(trunk)
    class_count = max((len(one.class_names) for row in grid.augmentations(trunk) + rows for one in grid.of(row)), default=0)
    claims = augmentation_claims(trunk) + diversity_claims(rows, class_count)
    return [judge(claim, grid) for claim in claims]


def _saturation(rows: Sequence[Row], class_count: int) -> Claim:
    """The last doubling gains less than the first: a second difference over the logarithm of the count."""
    logs = np.log2([_count(row, class_count) for row in rows])
    first, last = 1 / (logs[1] - logs[0]), 1 / (logs[-1] - logs[-2])
    weights: dict[Condition, float] = {}
    for row, factor in ((rows[-1], last), (rows[-2], -last), (rows[1], -first), (rows[0], first)):
        weights[row.condition] = weights.get(row.condition, 0.0) + factor
    a, b, y, z = (_count(row, class_count) for row in (rows[0], rows[1], rows[-2], rows[-1]))
    words = f"Diversity saturates: from {y} to {z} classes AP gains less per doubling than from {a} to {b}"
    return Claim(words, weights, -1)


def _count(row: Row, class_count: int) -> int:
    return class_count if row.condition.classes == ALL else int(row.condition.classes)
