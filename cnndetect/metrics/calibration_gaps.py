"""The interval of the expected calibration error, a figure that is too high by nature.

It adds up the absolute gaps of the bins between fakeness and share of fakes. Chance alone makes gaps, so a detector whose fakeness is
perfectly calibrated shows an error as well, and every other one somewhat more than its own (Roelofs et al. 2022).
"""

from __future__ import annotations

import numpy as np

from cnndetect.metrics.bounds import spread
from cnndetect.metrics.point import Ranking

DRAWS = 4000
# Of the error that a calibrated detector shows by chance. Below this quantile the lower bound is 0.
CHANCE = 0.95
# Few photographs may hold none of the rare errors, and then their gaps vary less than those of a calibrated detector would. So much of
# what is missing is added; set on simulations, benchmarks/coverage measures the outcome on other ones.
_MISSING = 0.25


def photograph_gaps(ranking: Ranking, members: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What each of ``count`` photographs adds to the gap of each bin, [count, bins], and the variance of each gap if images were
    independent and fakeness calibrated, [bins]. Gaps are shares of all images.

    members: [N] the photograph of every image, in the order in which they were given.
    """
    total, bins = len(ranking.order), len(ranking.bins)
    places = np.repeat(np.arange(bins), np.diff(np.append(ranking.bins, total)))
    cells = members[ranking.order] * bins + places
    gaps = np.bincount(cells, ranking.residual, minlength=count * bins).reshape(count, bins) / total
    fakeness = ranking.residual + ranking.fake
    return gaps, np.bincount(places, fakeness * (1 - fakeness), minlength=bins) / total**2


def error_by_chance(gaps: np.ndarray, least: np.ndarray) -> float:
    """The calibration error that a calibrated detector stays below in most cases. gaps, least: of ``photograph_gaps``.

    Its gaps are normal around 0, with the covariance that the photographs' contributions have, and a part of what misses to ``least``.

    >>> round(error_by_chance(np.array([[0.01], [-0.01]] * 50), np.zeros(1)), 2)
    0.23
    """
    count = len(gaps)
    apart = gaps - gaps.mean(axis=0)
    covariance = apart.T @ apart * (count / max(count - 1, 1))
    covariance += np.diag(_MISSING * np.maximum(least - covariance.diagonal(), 0))
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(len(least)), covariance, DRAWS, method="eigh", check_valid="ignore")
    return float(np.quantile(np.abs(drawn).sum(axis=1), CHANCE))


def calibration_bounds(value: float, changes: np.ndarray, gaps: np.ndarray, least: np.ndarray) -> tuple[float, float]:
    """Bounds of a calibration error: the lower one for the error less its bias by the jackknife, or 0 if chance alone explains it.

    changes: [n], the figure minus what is left of it without each photograph.  gaps, least: of ``photograph_gaps``.
    NaN where no photograph changes it.

    >>> calibration_bounds(0.1, np.zeros(20), np.zeros((20, 3)), np.zeros(3))
    (nan, nan)
    """
    found = spread(changes)
    if not found.error:
        return float("nan"), float("nan")
    reach = found.error * found.quantile
    bias = max(float((1 - len(changes)) * changes.mean()), 0.0)
    low = 0.0 if value <= error_by_chance(gaps, least) else max(value - bias - reach, 0.0)
    return low, min(value + reach, 1.0)
