"""Labels, logits and clusters in, figures with 95 % intervals out.

Percentile bootstrap over *clusters*: images of one photograph, real or fake, are drawn together. Clusters are drawn
within strata, one per combination of test sets and classes that a cluster reaches into, so singletons give the plain
stratified bootstrap and no test set ever loses a class. Draw k of seed s uses its own stream (s, k): threads never
change a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np

from cnndetect.errors import MetricError
from cnndetect.metrics import Ranking, figures, rank

DRAWS = 2000
THREADS = 2


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


@dataclass(frozen=True)
class SetScores:
    """Scores of one test set. clusters: [N] names; equal names in several sets are drawn together."""

    labels: np.ndarray
    logits: np.ndarray
    clusters: np.ndarray


def set_metrics(labels, logits, *, clusters=None, threshold: float | None = None, draws: int = DRAWS, seed: int = 0) -> SetMetrics:
    """All figures of one test set with intervals. draws=0 gives values alone.

    >>> set_metrics([0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0], draws=100).ap.value
    1.0
    """
    scores = _as_set(labels, logits, clusters)
    ranking, plan = rank(scores.labels, scores.logits), _Plan([scores])
    members = plan.members[0][ranking.order]

    def one(draw: int) -> list[float]:
        return list(asdict(figures(ranking, weights=plan.weights(seed, draw)[members], threshold=threshold)).values())

    value = list(asdict(figures(ranking, threshold=threshold)).values())
    drawn = _draw(one, draws)
    return SetMetrics(*(percentile_interval(v, drawn[:, k] if draws else drawn) for k, v in enumerate(value)))


def macro_average_precision(sets: Sequence[SetScores], *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Mean over sets of AP; shared clusters are drawn once for all sets."""
    return _over_sets(
        sets, lambda rankings, weights: np.mean([figures(r, weights=w).ap for r, w in zip(rankings, weights, strict=True)]), draws, seed
    )


@dataclass(frozen=True)
class Drawn:
    """AP of several test sets, and of every bootstrap draw of them. values: [S].  draws: [D, S], draw k on the k-th stream.

    Of two detectors on the same images, with equal seeds, row k of both comes from the same images.
    """

    values: np.ndarray
    draws: np.ndarray

    @property
    def macro(self) -> Interval:
        """Mean AP over the sets: what ``macro_average_precision`` gives."""
        return percentile_interval(float(self.values.mean()), self.draws.mean(axis=1))

    def minus(self, other: Drawn) -> Interval:
        """Paired difference of the two means: what ``paired_difference`` gives for one set.

        Raises MetricError where the two were not drawn alike.
        """
        if self.draws.shape != other.draws.shape:
            raise MetricError(f"Got draws of shapes {self.draws.shape} and {other.draws.shape}. Draw both with equal options.")
        drawn = self.draws.mean(axis=1) - other.draws.mean(axis=1)
        return percentile_interval(float(self.values.mean() - other.values.mean()), drawn)


def draw_average_precisions(sets: Sequence[SetScores], *, draws: int = DRAWS, seed: int = 0) -> Drawn:
    """The APs that the mean over sets is made of, draw by draw, so that detectors can be compared and ranked in pairs.

    >>> draw_average_precisions([SetScores(np.array([0, 1]), np.array([0.0, 1.0]), np.array(["a", "b"]))], draws=3).draws.shape
    (3, 1)
    """
    plan, rankings, members = _prepared(sets)

    def one(draw: int) -> list[float]:
        weights = plan.weights(seed, draw)
        return [figures(r, weights=weights[m]).ap for r, m in zip(rankings, members, strict=True)]

    values = np.array([figures(ranking).ap for ranking in rankings])
    drawn = _draw(one, draws)
    return Drawn(values, drawn if draws else np.empty((0, len(sets))))


def pooled_average_precision(sets: Sequence[SetScores], *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """One AP over all sets together; each set's reals, and its fakes, weigh the same in total."""
    labels, logits = np.concatenate([s.labels for s in sets]), np.concatenate([s.logits for s in sets])
    ranking = rank(labels, logits)

    def pooled(rankings, weights) -> float:
        parts = []
        for r, w, s in zip(rankings, weights, sets, strict=True):
            unsorted = np.empty(len(w))
            unsorted[r.order] = w
            for label in (0, 1):
                chosen = s.labels == label
                unsorted[chosen] /= max(unsorted[chosen].sum(), 1e-300)
            parts.append(unsorted)
        return figures(ranking, weights=np.concatenate(parts)[ranking.order]).ap

    return _over_sets(sets, pooled, draws, seed)


def paired_difference(labels, logits_a, logits_b, *, clusters=None, draws: int = DRAWS, seed: int = 0) -> Interval:
    """AP of detector a minus AP of detector b on the same images, both under the same draws.

    >>> paired_difference([0, 1], [0.0, 1.0], [0.0, 1.0], draws=10)
    Interval(value=0.0, low=0.0, high=0.0)
    """
    if clusters is None:
        clusters = _one_each(labels, logits_a, logits_b)
    pair = [_as_set(labels, logits_a, clusters), _as_set(labels, logits_b, clusters)]
    return _over_sets(
        pair,
        lambda rankings, weights: figures(rankings[0], weights=weights[0]).ap - figures(rankings[1], weights=weights[1]).ap,
        draws,
        seed,
    )


def interval_of(statistic: Callable[[np.ndarray], float], clusters, *, labels=None, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Any statistic with its interval. statistic: of how often each image is drawn, integers [N]; all ones give the value.

    clusters, labels: see ``draw_weights``.

    >>> interval_of(lambda times: float(times.sum()), ["a", "b", "c"], draws=10)
    Interval(value=3.0, low=3.0, high=3.0)
    """
    drawn = np.array([statistic(times) for times in draw_weights(clusters, labels=labels, draws=draws, seed=seed)])
    return percentile_interval(float(statistic(np.ones(len(clusters), dtype=np.int64))), drawn)


def draw_weights(clusters, *, labels=None, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """How often each image is in each bootstrap draw: [draws, N] of whole numbers.

    clusters: [N] names that are drawn together.  labels: [N] of 0/1 where the two classes are to keep their sizes.

    >>> draw_weights(["a", "a", "b"], draws=2).sum(axis=1).shape
    (2,)
    """
    names = np.asarray(clusters)
    y = np.zeros(len(names), dtype=np.int64) if labels is None else np.asarray(labels)
    plan = _Plan([SetScores(y, np.zeros(len(names)), names)])
    found = np.empty((draws, len(names)), dtype=np.int32)
    for draw in range(draws):
        found[draw] = plan.weights(seed, draw)[plan.members[0]]
    return found


def weighted_medians(values, weights: np.ndarray) -> np.ndarray:
    """Median of the values repeated as each row of weights says: [draws]. values: [N].  weights: whole numbers [draws, N].

    >>> weighted_medians([1.0, 2.0, 10.0], np.array([[1, 1, 1], [1, 1, 2], [0, 0, 0]])).tolist()
    [2.0, 6.0, nan]
    """
    order = np.argsort(values)
    ordered = np.append(np.asarray(values, dtype=np.float64)[order], np.nan)
    medians = np.empty(len(weights))
    for row, times in enumerate(weights):
        upto = np.cumsum(times[order])
        total = upto[-1] if len(upto) else 0
        lower, upper = np.searchsorted(upto, [(total - 1) // 2, total // 2], side="right")
        medians[row] = (ordered[lower] + ordered[upper]) / 2
    return medians


def _over_sets(sets: Sequence[SetScores], figure: Callable, draws: int, seed: int) -> Interval:
    plan, rankings, members = _prepared(sets)

    def one(draw: int) -> list[float]:
        weights = plan.weights(seed, draw)
        return [float(figure(rankings, [weights[m] for m in members]))]

    value = float(figure(rankings, [np.ones(len(m)) for m in members]))
    drawn = _draw(one, draws)
    return percentile_interval(value, drawn[:, 0] if draws else drawn)


def _prepared(sets: Sequence[SetScores]) -> tuple[_Plan, list[Ranking], list[np.ndarray]]:
    if not sets:
        raise MetricError("Got no test sets. Expected at least one.")
    plan, rankings = _Plan(sets), [rank(s.labels, s.logits) for s in sets]
    return plan, rankings, [m[r.order] for m, r in zip(plan.members, rankings, strict=True)]


class _Plan:
    """Which clusters exist, in which stratum each is, and which cluster every image belongs to."""

    def __init__(self, sets: Sequence[SetScores]):
        names = np.concatenate([np.asarray(s.clusters) for s in sets])
        # Sorted names: the order of the images does not matter.
        unique, inverse = np.unique(names, return_inverse=True)
        self.count = len(unique)
        self.members = np.split(inverse, np.cumsum([len(s.labels) for s in sets])[:-1])

        # One kind per combination of (set, class) that a cluster reaches into.
        kind = np.zeros(self.count, dtype=np.int64)
        for scores, members in zip(sets, self.members, strict=True):
            for label in (0, 1):
                inside = np.bincount(members[scores.labels == label], minlength=self.count) > 0
                kind = np.unique(2 * kind + inside, return_inverse=True)[1]
        self.strata = [np.flatnonzero(kind == k) for k in range(kind.max() + 1)]

    def weights(self, seed: int, draw: int) -> np.ndarray:
        """How often each cluster is drawn: [clusters]."""
        rng = np.random.Generator(np.random.SFC64((seed, draw)))
        drawn = np.zeros(self.count, dtype=np.float64)
        for stratum in self.strata:
            size = len(stratum)
            drawn[stratum] = np.bincount(rng.integers(size, size=size, dtype=np.uint32), minlength=size)
        return drawn


def _draw(one: Callable[[int], list[float]], draws: int) -> np.ndarray:
    if not draws:
        return np.empty((0, 0))
    with ThreadPoolExecutor(THREADS) as pool:
        return np.array(list(pool.map(one, range(draws))))


def percentile_interval(value: float, drawn: np.ndarray) -> Interval:
    """A figure with the 95 % interval of its draws; NaN bounds where nothing was drawn.

    >>> percentile_interval(1.0, np.array([0.0, 1.0, 2.0])).low
    0.05
    """
    if not drawn.size or np.isnan(value):
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.percentile(drawn, [2.5, 97.5])
    # A percentile interval may miss its own estimate by rounding, or on very small sets.
    return Interval(float(value), float(min(low, value)), float(max(high, value)))


def _as_set(labels, logits, clusters) -> SetScores:
    y, x = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    if clusters is None:
        clusters = _one_each(y, x)
    if len(clusters) != len(y):
        raise MetricError(f"Got {len(clusters)} clusters for {len(y)} images. Expected one each.")
    return SetScores(y, x, np.asarray(clusters))


def _one_each(*columns) -> np.ndarray:
    """Every image its own cluster, named by its place in the sorted columns: the order of the inputs does not matter."""
    clusters = np.empty(len(columns[0]), dtype=np.int64)
    clusters[np.lexsort(columns)] = np.arange(len(clusters))
    return clusters
