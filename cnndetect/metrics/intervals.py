"""Figures of scores with 95 % intervals over photographs.

Every photograph is left out once, with all that was made of it, in all test sets (``deletion``); what the figure loses each time
gives its interval (``bounds``). Where a class rests on too few photographs there is none: the bounds are NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np

from cnndetect.errors import MetricError
from cnndetect.metrics.bounds import (
    LEAST_PHOTOGRAPHS,
    difference_bounds,
    fraction_bounds,
    perfect_bound,
    proportion_bounds,
    spread,
    unseen_share,
)
from cnndetect.metrics.calibration_gaps import calibration_bounds, photograph_gaps
from cnndetect.metrics.deletion import GROUPS, Deletions, SetScores, as_set, one_each, photograph_numbers, photographs
from cnndetect.metrics.influence import average_precision_influence
from cnndetect.metrics.operating import tpr_changes
from cnndetect.metrics.point import Ranking, average_precision_of, figures, rank, roc_auc_of

# Written into every result; another text means that the intervals are to be made again.
METHOD = "jackknife over photographs, logit scale, Student's t, corrected for skewness; ECE less its bias"
DRAWS = 2000
THREADS = 2

# More photographs than these are simulated in as many groups: the memory of the draws has a bound.
MOST_SIMULATED = 4000

# A threshold that lets a share p of the reals pass is known from so many photographs on: ln(0.025) / ln(1 - p).
LEAST_AT_FPR = {"tpr_at_fpr_1": 368, "tpr_at_fpr_5": 72}
RATES = {"tpr_at_fpr_1": 0.01, "tpr_at_fpr_5": 0.05}

_NAN = float("nan")


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval; NaN bounds where there is none.

    >>> -Interval(0.1, 0.05, 0.2), Interval(0.1, 0.05, 0.2).excludes_zero, Interval(0.1, 0.0, 0.2).excludes_zero
    (Interval(value=-0.1, low=-0.2, high=-0.05), True, False)
    """

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside; a bound that is 0 or NaN does not tell."""
        return bool(self.low > 0 or self.high < 0)

    def __neg__(self) -> Interval:  # 0.0 - x, as -0.0 would print as -0
        return Interval(0.0 - self.value, 0.0 - self.high, 0.0 - self.low)


@dataclass(frozen=True)
class SetMetrics:
    """The figures of one test set, each with its interval. The fields are those of ``metrics.Figures``, in its order."""

    ap: Interval
    auc: Interval
    accuracy: Interval
    accuracy_real: Interval
    accuracy_fake: Interval
    accuracy_real_fitted: Interval
    accuracy_fake_fitted: Interval
    tpr_at_fpr_1: Interval
    tpr_at_fpr_5: Interval
    ece: Interval


def set_metrics(labels, logits, *, clusters=None, threshold: float | None = None, draws: int = DRAWS, seed: int = 0) -> SetMetrics:
    """All figures of one test set with intervals. draws=0 gives values alone.

    seed: of the groups in which more than ``deletion.GROUPS`` photographs leave.

    >>> set_metrics([0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0]).ap
    Interval(value=1.0, low=nan, high=nan)
    """
    scores = as_set(labels, logits, clusters)
    ranking = rank(scores.labels, scores.logits)
    value = asdict(figures(ranking, threshold=threshold))
    if not draws:
        return SetMetrics(*(Interval(number, _NAN, _NAN) for number in value.values()))
    deletions = Deletions([scores], seed=seed)

    def one(part: tuple[int, np.ndarray]) -> tuple[int, list[float]]:
        return part[0], list(asdict(figures(ranking, weights=part[1][ranking.order], threshold=threshold)).values())

    with ThreadPoolExecutor(THREADS) as pool:
        left = dict(pool.map(one, deletions.weights(0)))
    groups = list(left)
    changes = np.array([*value.values()]) - np.array([*left.values()]).reshape(len(left), len(value))
    reached = {label: np.isin(groups, deletions.members[0][scores.labels == label]) for label in (0, 1)}
    counts = {label: photographs(scores.clusters[scores.labels == label]) for label in (0, 1)}
    gaps = photograph_gaps(ranking, deletions.members[0], deletions.count)
    found = {
        name: tpr_interval(scores, name, number)
        if name in RATES
        else _figure(name, number, changes[:, place], reached, counts, scores.labels, gaps)
        for place, (name, number) in enumerate(value.items())
    }
    (members,), photos = photograph_numbers([scores])
    if photos > GROUPS:
        every = {label: np.ones(photos, dtype=bool) for label in (0, 1)}
        found["ap"] = _figure("ap", value["ap"], _changes(members, photos, ranking, scores.labels), every, counts, scores.labels)
    return SetMetrics(**found)


@dataclass(frozen=True)
class Jackknife:
    """AP or AUC of several test sets, and what each loses without each group of photographs."""

    values: np.ndarray  # [S]
    changes: np.ndarray  # [K, S], NaN where a group does not reach into a set
    counts: np.ndarray  # [S] photographs of the smaller class
    fakes: np.ndarray  # [S] share of fakes. Rows of two detectors on the same images are of the same photographs
    figure: str = "ap"

    @property
    def macro(self) -> Interval:
        """Mean over the sets; of AP, what ``macro_average_precision`` gives."""
        value = float(self.values.mean())
        if not self.enough:
            return Interval(value, _NAN, _NAN)
        if value == 1:
            # Were the truth below the mean of the sets' bounds, one set at least would lie below its own.
            bounds = [perfect_bound(self.figure, *pair) for pair in zip(self.counts, self.fakes, strict=True)]
            return Interval(value, float(np.mean(bounds)), 1.0)
        return Interval(value, *fraction_bounds(value, self.mean_changes))

    def only(self, *columns: int) -> Jackknife:
        """Some of the sets, and the photographs that reach into them."""
        chosen = list(columns)
        changes = self.changes[:, chosen]
        reaching = ~np.isnan(changes).all(axis=1)
        return Jackknife(self.values[chosen], changes[reaching], self.counts[chosen], self.fakes[chosen], self.figure)

    def minus(self, other: Jackknife) -> Interval:
        """Paired difference of the two means: what ``paired_difference`` gives for one set.

        Raises MetricError where the two are not of the same photographs.
        """
        if self.changes.shape != other.changes.shape:
            raise MetricError(f"Got changes of shapes {self.changes.shape} and {other.changes.shape}. Take both from the same images.")
        value = float(self.values.mean() - other.values.mean())
        if not self.enough:
            return Interval(value, _NAN, _NAN)
        if self.values.min() == other.values.min() == 1:
            # Nothing went wrong with either: what may have gone unseen bounds the difference.
            return Interval(value, self.macro.low - 1, 1 - other.macro.low)
        means = float(self.values.mean()), float(other.values.mean())
        return Interval(value, *difference_bounds(*means, self.mean_changes, other.mean_changes))

    def simulated(self, draws: int, seed: int = 0) -> np.ndarray:
        """The mean as it might have come out on other photographs: [draws]. Equal seeds give equal photographs."""
        rng, changes = np.random.default_rng(seed), self.mean_changes
        found = spread(changes)
        wider = found.quantile / 1.96 if found.error else 1.0
        if len(changes) > MOST_SIMULATED:
            changes = np.bincount(rng.integers(MOST_SIMULATED, size=len(changes)), changes, minlength=MOST_SIMULATED)
        return float(self.values.mean()) + wider * (rng.normal(size=(draws, len(changes))) @ changes)

    @property
    def mean_changes(self) -> np.ndarray:
        """What the mean loses without each group: [K]."""
        return np.nansum(self.changes, axis=1) / len(self.values)

    @property
    def enough(self) -> bool:
        """Whether every class of every set rests on enough photographs for an interval."""
        return bool(len(self.changes)) and bool((self.counts >= LEAST_PHOTOGRAPHS).all())


def jackknife(sets: Sequence[SetScores], *, figure: str = "ap", draws: int = DRAWS, seed: int = 0) -> Jackknife:
    """The APs (or AUCs, ``figure="auc"``) that a mean over sets is made of: detectors can be compared in pairs. draws=0: values alone.

    >>> jackknife([SetScores(np.array([0, 1]), np.array([0.0, 1.0]), np.array(["a", "b"]))]).values
    array([1.])
    """
    rankings = _ranked(sets)
    values = np.array([getattr(figures(ranking), figure) for ranking in rankings])
    counts = np.array([min(photographs(np.asarray(s.clusters)[np.asarray(s.labels) == label]) for label in (0, 1)) for s in sets])
    fakes = np.array([float(np.mean(s.labels)) for s in sets])
    if not draws:
        return Jackknife(values, np.empty((0, len(sets))), counts, fakes, figure)
    members, photos = photograph_numbers(sets)
    if photos > GROUPS and figure == "ap":
        columns = [_changes(members[place], photos, ranking, np.asarray(sets[place].labels)) for place, ranking in enumerate(rankings)]
        return Jackknife(values, np.column_stack(columns), counts, fakes)
    reached = {"ap": average_precision_of, "auc": roc_auc_of}[figure]
    deletions = Deletions(sets, seed=seed)
    changes = np.full((deletions.count, len(sets)), np.nan)
    for column, ranking in enumerate(rankings):
        for group, weights in deletions.weights(column):
            changes[group, column] = values[column] - reached(ranking, weights[ranking.order])
    return Jackknife(values, changes, counts, fakes, figure)


def _changes(members: np.ndarray, count: int, ranking: Ranking, owner: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """What AP loses without each of ``count`` photographs, to first order: [count], NaN for those without an image here."""
    lost = np.bincount(members, average_precision_influence(ranking, owner, weights), minlength=count)
    return np.where(np.bincount(members, minlength=count) > 0, lost, np.nan)


def macro_average_precision(sets: Sequence[SetScores], *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Mean over sets of AP; a photograph leaves all sets at once."""
    return jackknife(sets, draws=draws, seed=seed).macro


def pooled_average_precision(sets: Sequence[SetScores], *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """One AP over all sets together; each set's reals, and its fakes, weigh the same in total."""
    _ranked(sets)
    labels, logits = np.concatenate([s.labels for s in sets]), np.concatenate([s.logits for s in sets])
    ranking = rank(labels, logits)
    clusters = np.concatenate([s.clusters for s in sets])
    everything = SetScores(labels, logits, clusters)
    owner = np.repeat(np.arange(len(sets)), [len(s.labels) for s in sets]) * 2 + labels

    def pooled(weights: np.ndarray) -> float:
        totals = np.bincount(owner, weights, minlength=2 * len(sets))
        return average_precision_of(ranking, (weights / np.maximum(totals, 1e-300)[owner])[ranking.order])

    value = pooled(np.ones(len(labels)))
    counts = [photographs(clusters[labels == label]) for label in (0, 1)]
    if not draws or min(counts) < LEAST_PHOTOGRAPHS:
        return Interval(value, _NAN, _NAN)
    if value >= 1 - 1e-12:
        return Interval(value, perfect_bound("ap", min(counts), 0.5), 1.0)
    (members,), photos = photograph_numbers([everything])
    if photos > GROUPS:
        alike = 1 / np.bincount(owner, minlength=2 * len(sets))[owner]
        return Interval(value, *fraction_bounds(value, _changes(members, photos, ranking, owner, alike)))
    left = [pooled(weights) for _, weights in Deletions([everything], seed=seed).weights(0)]
    return Interval(value, *fraction_bounds(value, value - np.array(left)))


def paired_difference(labels, logits_a, logits_b, *, clusters=None, draws: int = DRAWS, seed: int = 0) -> Interval:
    """AP of detector a minus AP of detector b on the same images, both without the same photographs.

    >>> labels, logits = [0, 1] * 10, np.arange(20) % 7
    >>> paired_difference(labels, logits, logits, clusters=np.arange(20))
    Interval(value=0.0, low=0.0, high=0.0)
    """
    if clusters is None:
        clusters = one_each(labels, logits_a, logits_b)
    a, b = (jackknife([as_set(labels, logits, clusters)], draws=draws, seed=seed) for logits in (logits_a, logits_b))
    return a.minus(b)


def tpr_interval(scores: SetScores, name: str, value: float) -> Interval:
    """TPR at a fixed FPR with its interval: of RATES by name, from what photographs contribute to it (``operating``)."""
    labels = np.asarray(scores.labels)
    counts = [photographs(scores.clusters[labels == label]) for label in (0, 1)]
    if np.isnan(value) or min(counts) < LEAST_PHOTOGRAPHS or counts[0] < LEAST_AT_FPR[name]:
        return Interval(value, _NAN, _NAN)
    if value in (0, 1):
        unseen = unseen_share(min(counts))
        return Interval(value, *((0.0, unseen) if value == 0 else (1 - unseen, 1.0)))
    changes = tpr_changes(labels, scores.logits, scores.clusters, RATES[name])
    return Interval(value, *proportion_bounds(value, changes, int((labels == 1).sum()), min(counts)))


def _figure(
    name: str, value: float, changes: np.ndarray, reached: dict[int, np.ndarray], counts: dict[int, float], labels: np.ndarray,
    gaps: tuple[np.ndarray, ...] = (),
) -> Interval:  # fmt: skip
    """The interval of one figure from the photographs of the classes that it is made of. gaps: of ``photograph_gaps``, for ECE."""
    of_real, of_fake = name.startswith("accuracy_real"), name.startswith("accuracy_fake")
    classes = [0] if of_real else [1] if of_fake else [0, 1]
    count = min(counts[label] for label in classes)
    if np.isnan(value) or count < LEAST_PHOTOGRAPHS or not len(changes):
        return Interval(value, _NAN, _NAN)
    if name == "ece":
        return Interval(value, *calibration_bounds(value, changes, *gaps))
    if value == 1:
        return Interval(value, perfect_bound(name, count, float(labels.mean())), 1.0)
    if value == 0:
        return Interval(value, 0.0, unseen_share(count))
    changes = changes[np.any([reached[label] for label in classes], axis=0)]
    if name in ("ap", "auc"):
        return Interval(value, *fraction_bounds(value, changes))
    return Interval(value, *proportion_bounds(value, changes, int(np.isin(labels, classes).sum()), count))


def _ranked(sets: Sequence[SetScores]) -> list[Ranking]:
    if not sets:
        raise MetricError("Got no test sets. Expected at least one.")
    return [rank(s.labels, s.logits) for s in sets]
