"""Labels and logits in, figures out: numpy only, no files, no networks.

Label 0 is real, 1 is fake and positive; a higher logit means more fake. All figures are fractions in [0, 1].
Logits may be infinite (a failed image, imputed worst-case), never NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnndetect.errors import MetricError

ECE_BINS = 15


@dataclass(frozen=True)
class Ranking:
    """Scores sorted once, so that every resampling is a pass over integer weights.

    order: [N] positions, logits descending.  fake: [N] bool, sorted.  ends: last position of every run of equal logits.
    """

    order: np.ndarray
    logits: np.ndarray
    fake: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Figures:
    """The point values of one test set; ``*_fitted`` are at a threshold chosen on validation, NaN without one."""

    ap: float
    auc: float
    accuracy: float
    accuracy_real: float
    accuracy_fake: float
    accuracy_real_fitted: float
    accuracy_fake_fitted: float
    tpr_at_fpr_1: float
    tpr_at_fpr_5: float
    ece: float


def rank(labels: Sequence[int] | np.ndarray, logits: Sequence[float] | np.ndarray) -> Ranking:
    """Check and sort. labels: [N] of 0/1.  logits: [N].  Raises MetricError on NaN, other labels, unequal lengths."""
    y, x = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    if y.shape != x.shape or y.ndim != 1 or not len(y):
        raise MetricError(f"Got labels of shape {y.shape} and logits of shape {x.shape}. Expected two equal lists that are not empty.")
    if not np.isin(y, (0, 1)).all():
        raise MetricError(f"Got labels {np.unique(y)[:5].tolist()}. Expected 0 (real) and 1 (fake) only.")
    if np.isnan(x).any():
        raise MetricError(f"{int(np.isnan(x).sum())} of {len(x)} logits are NaN. Give failed images to impute_failures first.")
    # Ties are broken by label, so that equal inputs in another order give the same sorted arrays.
    order = np.lexsort((y, -x))
    x = x[order]
    ends = np.flatnonzero(np.append(x[1:] != x[:-1], True))
    return Ranking(order, x, y[order] == 1, ends)


def figures(ranking: Ranking, *, weights: np.ndarray | None = None, threshold: float | None = None) -> Figures:
    """All figures of a ranking under integer or real weights [N] (in sorted order); None weighs every image once."""
    w = np.ones(len(ranking.fake)) if weights is None else weights
    fake_weight = np.where(ranking.fake, w, 0)
    true = np.cumsum(fake_weight, dtype=np.float64)[ranking.ends]              # fakes at or above each threshold
    seen = np.cumsum(w, dtype=np.float64)[ranking.ends]
    false = seen - true
    fakes, reals = true[-1], false[-1]
    if fakes <= 0 or reals <= 0:
        raise MetricError(f"Got {reals:g} real and {fakes:g} fake images. Expected at least one of each.")

    def above(cut: float) -> tuple[float, float]:
        # Strictly above the cut: the first positions of the descending order.
        index = np.searchsorted(-ranking.logits[ranking.ends], -cut, side="left")
        return (false[index - 1], true[index - 1]) if index else (0.0, 0.0)

    false_half, true_half = above(0.0)
    false_fit, true_fit = above(threshold) if threshold is not None else (np.nan, np.nan)
    values = {
        "ap": _average_precision(true, seen, fakes),
        "auc": _area(true / fakes, false / reals),
        "accuracy": (reals - false_half + true_half) / (reals + fakes),
        "accuracy_real": 1 - false_half / reals,
        "accuracy_fake": true_half / fakes,
        "accuracy_real_fitted": 1 - false_fit / reals,
        "accuracy_fake_fitted": true_fit / fakes,
        "tpr_at_fpr_1": _tpr_at(true / fakes, false / reals, 0.01),
        "tpr_at_fpr_5": _tpr_at(true / fakes, false / reals, 0.05),
        "ece": _ece(ranking, w),
    }
    return Figures(**{name: float(value) for name, value in values.items()})


def average_precision(labels, logits) -> float:
    """Area under the precision-recall curve in steps, fake as positive; equal logits count as one step.

    labels: [N] of 0/1.  logits: [N], any monotone scale.  Equal to scikit-learn's average_precision_score.

    >>> average_precision([0, 1], [-2.0, 3.0])
    1.0
    """
    return figures(rank(labels, logits)).ap


def roc_auc(labels, logits) -> float:
    """Probability that a fake outranks a real, ties counting half.

    >>> roc_auc([0, 1, 1], [0.0, 0.0, 1.0])
    0.75
    """
    return figures(rank(labels, logits)).auc


def accuracy_at(labels, logits, threshold: float = 0.0) -> tuple[float, float]:
    """Fractions of reals and of fakes judged rightly; fake means strictly above ``threshold`` (a logit).

    >>> accuracy_at([0, 0, 1], [-1.0, 1.0, 2.0])
    (0.5, 1.0)
    """
    found = figures(rank(labels, logits), threshold=threshold)
    return found.accuracy_real_fitted, found.accuracy_fake_fitted


def fit_threshold(labels, logits) -> float:
    """The logit that maximises balanced accuracy, midway between two neighbouring logits; of several, the middle one.

    For validation data only: a threshold fitted on a test set measures nothing.

    >>> fit_threshold([0, 1], [-1.0, 3.0])
    1.0
    """
    ranking = rank(labels, logits)
    fakes, reals = ranking.fake.sum(), (~ranking.fake).sum()
    if not fakes or not reals:
        raise MetricError(f"Got {reals} real and {fakes} fake images. Expected at least one of each.")
    true = np.cumsum(ranking.fake)[ranking.ends] / fakes
    false = np.cumsum(~ranking.fake)[ranking.ends] / reals
    gain = (true - false)[:-1]                                                 # a cut between two runs of equal logits
    if not len(gain) or gain.max() <= 0:
        return float(ranking.logits[0])
    best = np.flatnonzero(gain == gain.max())
    cut = ranking.ends[best[(len(best) - 1) // 2]]
    above, below = ranking.logits[cut], ranking.logits[cut + 1]
    return float(above + (below - above) / 2)


def impute_failures(labels, logits, failed) -> np.ndarray:
    """Logits with every failed image at its worst: a failed real +inf, a failed fake -inf. A crash can only lose.

    >>> impute_failures([0, 1], [0.5, 0.5], [True, False])
    array([inf, 0.5])
    """
    worst = np.where(np.asarray(labels) == 0, np.inf, -np.inf)
    return np.where(np.asarray(failed, dtype=bool), worst, np.asarray(logits, dtype=np.float64))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logits)) without overflow."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits, dtype=np.float64)))


def _average_precision(true: np.ndarray, seen: np.ndarray, fakes: float) -> float:
    precision = np.divide(true, seen, out=np.zeros_like(true), where=seen > 0)
    return float(np.dot(np.diff(true, prepend=0.0), precision) / fakes)


def _area(tpr: np.ndarray, fpr: np.ndarray) -> float:
    return float(np.dot(np.diff(fpr, prepend=0.0), (tpr + np.concatenate(([0.0], tpr[:-1]))) / 2))


def _tpr_at(tpr: np.ndarray, fpr: np.ndarray, target: float) -> float:
    index = np.searchsorted(fpr, target + 1e-12, side="right")
    return float(tpr[index - 1]) if index else 0.0


def _ece(ranking: Ranking, weights: np.ndarray) -> float:
    """Expected calibration error of sigmoid(logit) over equal-width bins: mean |fakeness - share of fakes|, by weight."""
    probability = sigmoid(ranking.logits)
    bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
    gap = np.bincount(bins, weights=weights * (probability - ranking.fake), minlength=ECE_BINS)
    return float(np.abs(gap).sum() / weights.sum())
