"""The percentile bootstrap over photographs that the jackknife took the place of, kept to show how often it misses."""

from __future__ import annotations

import numpy as np

from cnndetect.metrics.intervals import Interval


def draw_weights(clusters, *, labels=None, draws: int, seed: int = 0) -> np.ndarray:
    """How often each image is in each bootstrap draw: [draws, N] of whole numbers.

    clusters: [N] names that are drawn together.  labels: [N] of 0/1 where the two classes are to keep their sizes.

    >>> draw_weights(["a", "a", "b"], draws=2).sum(axis=1).shape
    (2,)
    """
    names = np.asarray(clusters)
    y = np.zeros(len(names), dtype=np.int64) if labels is None else np.asarray(labels)
    unique, inverse = np.unique(names, return_inverse=True)
    # Clusters are drawn within strata, one per combination of classes that a cluster reaches into.
    kind = sum((label + 1) * (np.bincount(inverse[y == label], minlength=len(unique)) > 0) for label in (0, 1))
    strata = [np.flatnonzero(kind == one) for one in np.unique(kind)]
    weights = np.empty((draws, len(names)), dtype=np.int32)
    for draw in range(draws):
        rng = np.random.Generator(np.random.SFC64((seed, draw)))
        times = np.zeros(len(unique), dtype=np.int32)
        for stratum in strata:
            size = len(stratum)
            times[stratum] = np.bincount(rng.integers(size, size=size, dtype=np.uint32), minlength=size)
        weights[draw] = times[inverse]
    return weights


def percentile_interval(value: float, drawn: np.ndarray) -> Interval:
    """A figure with the middle 95 % of its draws; NaN bounds where nothing was drawn.

    >>> percentile_interval(1.0, np.array([0.0, 1.0, 2.0])).low
    0.05
    """
    if not drawn.size or np.isnan(value):
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(value), float(min(low, value)), float(max(high, value)))
