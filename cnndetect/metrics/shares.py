"""Shares of images, and medians and correlations of what was measured on them, with 95 % intervals over photographs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from cnndetect.metrics.bounds import LEAST_PHOTOGRAPHS, fraction_bounds, proportion_bounds, spread, unseen_share
from cnndetect.metrics.deletion import Deletions, SetScores, photographs
from cnndetect.metrics.intervals import DRAWS, Interval

_NAN = float("nan")


def share_interval(hits: ArrayLike, clusters: ArrayLike) -> Interval:
    """Share of images that are hit. hits: [N] bool.  clusters: [N] names of photographs; below ten there is no interval.

    After Wilson, with the number of independent images that the photographs tell; where none, or all, are hit, the bound is what may
    have gone unseen.

    >>> found = share_interval([True] * 10 + [False] * 30, np.arange(40))
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (0.25, 0.14, 0.41)
    """
    hit, names = np.asarray(hits, dtype=np.float64), np.asarray(clusters)
    if not len(hit):
        return Interval(_NAN, _NAN, _NAN)
    value, count = float(hit.mean()), photographs(names)
    if count < LEAST_PHOTOGRAPHS:
        return Interval(value, _NAN, _NAN)
    if value in (0, 1):
        unseen = unseen_share(count)
        return Interval(value, *((0.0, unseen) if value == 0 else (1 - unseen, 1.0)))
    inverse = np.unique(names, return_inverse=True)[1]
    sizes, sums = np.bincount(inverse), np.bincount(inverse, hit)
    changes = value - (hit.sum() - sums) / (len(hit) - sizes)
    return Interval(value, *proportion_bounds(value, changes, len(hit), count))


def median_interval(values: ArrayLike, clusters: ArrayLike) -> Interval:
    """Median of finite values, its bounds the quantiles between which one half may lie (Woodruff 1952). values: [N].  clusters: [N] names.

    The share of values below the median is one half; its standard error over photographs says how far from one half it may be.

    >>> found = median_interval(np.arange(101), np.arange(101))
    >>> found.value, found.low < 45 < 55 < found.high
    (50.0, True)
    """
    x, names = np.asarray(values, dtype=np.float64), np.asarray(clusters)
    if not len(x):
        return Interval(_NAN, _NAN, _NAN)
    middle = float(np.median(x))
    if photographs(names) < LEAST_PHOTOGRAPHS:
        return Interval(middle, _NAN, _NAN)
    # Half of the ties with the median lie below it.
    below = ((x < middle) + 0.5 * (x == middle)) - 0.5
    sums = np.bincount(np.unique(names, return_inverse=True)[1], below)
    found = spread(sums / len(x))
    if not found.error:
        return Interval(middle, middle, middle)
    half = min(found.error * found.quantile, 0.5)
    low, high = np.quantile(x, 0.5 - half, method="lower"), np.quantile(x, 0.5 + half, method="higher")
    return Interval(middle, float(min(low, middle)), float(max(high, middle)))


def difference_interval(a: Interval, b: Interval) -> Interval:
    """a minus b from their intervals (Zou and Donner 2008): as if they were independent, so too wide where photographs are shared.

    >>> difference_interval(Interval(3.0, 2.0, 4.0), Interval(1.0, 1.0, 1.0))
    Interval(value=2.0, low=1.0, high=3.0)
    """
    value = a.value - b.value
    low = value - np.hypot(a.value - a.low, b.high - b.value)
    high = value + np.hypot(a.high - a.value, b.value - b.low)
    return Interval(float(value), float(low), float(high))


def correlation_interval(statistic: Callable[[np.ndarray], float], clusters, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """A correlation with its interval, on Fisher's scale. statistic: of whole numbers [N], how often each image counts.

    clusters: [N] names of photographs.  draws=0 gives the value alone.

    >>> correlation_interval(lambda times: 0.5, ["a", "b", "c"]).value
    0.5
    """
    names = np.asarray(clusters)
    value = float(statistic(np.ones(len(names), dtype=np.int64)))
    if not draws or photographs(names) < LEAST_PHOTOGRAPHS:
        return Interval(value, _NAN, _NAN)
    members = Deletions([SetScores(np.zeros(len(names)), np.zeros(len(names)), names)], seed=seed).members[0]
    left = [float(statistic((members != group).astype(np.int64))) for group in np.unique(members)]
    low, high = fraction_bounds((1 + value) / 2, (value - np.array(left)) / 2)
    return Interval(value, 2 * low - 1, 2 * high - 1)
