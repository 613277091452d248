"""Bounds of a 95 % interval from a figure and its jackknife values.

The change with each photograph (the jackknife) gives the standard error, how reliable that error is (degrees of freedom
from the fourth moment, after Satterthwaite 1946) and how lopsided the figure is (third moment, after Hall 1992). Fractions are treated
on the logit scale, where the error of an average precision near 1 is closer to symmetric. ``docs/numbers.md`` shows how often
such intervals hold the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

LEVEL = 0.95

# With fewer photographs of a class nothing honest can be said of a figure's uncertainty.
LEAST_PHOTOGRAPHS = 10

# Degrees of freedom are this over (sum of 4th powers / square of the sum of 2nd powers - 1 / n): 2 by Satterthwaite, less because
# few photographs seldom hold the worst one. The share of Hall's correction for skewness that the logit scale leaves to do.
# Both were set on simulations; benchmarks/coverage measures the outcome on other ones.
_FREEDOM, _SKEW = 1.5, 0.65

# The fourth moment of few photographs may be that of one; fewer degrees of freedom are not believed, nor is the correction for
# skewness beyond this quantile.
_LEAST_FREEDOM, _FAR = 3.0, 2.5

# Rounding, when no photograph changes anything.
_NOTHING = 1e-24

_NONE = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Spread:
    """How far a figure spreads over photographs."""

    error: float  # standard error
    freedom: float  # its degrees of freedom
    quantile: float  # of Student's t
    shift: float  # of both bounds for skewness, in standard errors


def spread(changes: np.ndarray) -> Spread:
    """Error, quantile and skewness of a figure. changes: [n], the figure minus what is left of it without each photograph.

    >>> found = spread(np.array([1.0, -1.0] * 50))
    >>> found.error, round(found.quantile, 1), found.shift
    (10.0, 2.0, 0.0)
    """
    squares = np.square(changes)
    total = squares.sum()
    if total < _NOTHING:
        return Spread(0.0, float("nan"), float("nan"), 0.0)
    concentration = np.square(squares).sum() / total**2 - 1 / len(changes)
    freedom = max(_FREEDOM / max(concentration, 1e-6), _LEAST_FREEDOM)
    quantile = two_sided(freedom)
    skewness = (squares * changes).sum() / total**1.5
    shift = _SKEW * skewness * (1 + 2 * min(quantile, _FAR) ** 2) / 6
    return Spread(float(np.sqrt(total)), freedom, quantile, float(shift))


def two_sided(freedom: float) -> float:
    """Quantile of Student's t for an interval of this module's level.

    >>> round(two_sided(1e9), 2)
    1.96
    """
    return float(student.ppf((1 + LEVEL) / 2, freedom))


def plain_bounds(value: float, changes: np.ndarray) -> tuple[float, float]:
    """Bounds of a figure without limits, such as a difference; (value, value) where no photograph changes it.

    >>> plain_bounds(0.0, np.zeros(20))
    (0.0, 0.0)
    """
    found = spread(changes)
    if not found.error:
        return value, value
    return value - found.error * found.quantile, value + found.error * found.quantile


def difference_bounds(first: float, second: float, lost_first: np.ndarray, lost_second: np.ndarray) -> tuple[float, float]:
    """Bounds of first - second, two fractions on the same photographs. lost_first, lost_second: [n], their changes, see ``spread``.

    On each side the further one of two bounds. One is symmetric. The other moves both fractions on their logit scales, each as far as
    it goes with the difference: an AP near 1 has more room below than above, and so has its difference from another one.

    >>> [round(bound, 2) for bound in difference_bounds(0.95, 0.95, np.zeros(100), np.array([0.004, -0.004] * 50))]
    [-0.08, 0.17]
    """
    found = spread(lost_first - lost_second)
    if not found.error:
        return first - second, first - second

    def moved(value: float, lost: np.ndarray, errors: float) -> float:
        step, slope = errors * float(lost @ (lost_first - lost_second)) / found.error, value * (1 - value)
        return value + step if slope <= 0 else _logistic(float(np.log(value / (1 - value))) + step / slope)

    low, high = plain_bounds(first - second, lost_first - lost_second)
    curved = [moved(first, lost_first, errors) - moved(second, lost_second, errors) for errors in (-found.quantile, found.quantile)]
    return min(low, curved[0]), max(high, curved[1])


def fraction_bounds(value: float, changes: np.ndarray) -> tuple[float, float]:
    """Bounds of a figure between 0 and 1, from its logit; NaN where no photograph changes it, or it is 0 or 1.

    >>> [round(bound, 2) for bound in fraction_bounds(0.9, np.array([0.01, -0.01] * 50))]
    [0.5, 0.99]
    """
    found = spread(changes)
    slope = value * (1 - value)
    if not found.error or slope <= 0:
        return _NONE
    error, middle = found.error / slope, float(np.log(value / (1 - value)))
    # The figure itself stays inside, and no bound is further away than the least degrees of freedom put it.
    furthest = two_sided(_LEAST_FREEDOM)
    low = middle + np.clip(found.shift - found.quantile, -furthest, -0.5) * error
    high = middle + np.clip(found.shift + found.quantile, 0.5, furthest) * error
    return _logistic(low), _logistic(high)


def proportion_bounds(value: float, changes: np.ndarray, images: int, count: float) -> tuple[float, float]:
    """Bounds of a share of images, after Wilson (1927), with the number of independent images that the changes tell.

    changes: see ``spread``.  images: how many there are, and the most that may be independent.  count: of photographs.

    >>> [round(bound, 2) for bound in proportion_bounds(0.5, np.full(25, 0.02), 100, 25)]
    [0.31, 0.69]
    """
    error = spread(changes).error
    if not error:
        return _NONE
    independent = min(value * (1 - value) / error**2, images)
    quantile = two_sided(max(count - 1, 1))
    middle = (value + quantile**2 / (2 * independent)) / (1 + quantile**2 / independent)
    half = quantile * np.sqrt(value * (1 - value) / independent + (quantile / (2 * independent)) ** 2) / (1 + quantile**2 / independent)
    return float(middle - half), float(middle + half)


def unseen_share(count: float) -> float:
    """The largest share of photographs that may fail although none of ``count`` did, at 95 %: about 3 / count.

    >>> round(unseen_share(34), 3)
    0.084
    """
    return float(1 - (1 - LEVEL) ** (1 / count)) if count else 1.0


def perfect_bound(figure: str, count: float, fakes: float) -> float:
    """Lower bound of an AP or AUC of 1 on ``count`` photographs. fakes: their share of the images.

    >>> perfect_bound("auc", 34, 0.5) == 1 - unseen_share(34)
    True
    """
    return perfect_average_precision(count, fakes) if figure == "ap" else 1 - unseen_share(count)


def perfect_average_precision(count: float, fakes: float) -> float:
    """Lower bound of AP where every fake outranks every real on ``count`` photographs. fakes: their share of the images.

    That share of photographs which may fail unseen is taken to fail wholly: its reals rank like fakes, its fakes like reals.

    >>> round(perfect_average_precision(34, 0.5), 2)
    0.89
    """
    share = unseen_share(count)
    fake = np.linspace(0, 1, 1001)
    seen, missed = (1 - share) * fake, 1 - share + share * fake  # fakes above a fake that is seen, or missed
    below = [share * fake, share + (1 - share) * fake]  # reals above it
    precision = [
        fakes * found / np.maximum(fakes * found + (1 - fakes) * reals, 1e-300) for found, reals in zip((seen, missed), below, strict=True)
    ]
    precision[0][0] = precision[0][1]
    return float((1 - share) * precision[0].mean() + share * precision[1].mean())


def _logistic(x: float) -> float:
    return float(np.exp(-np.logaddexp(0.0, -x)))
