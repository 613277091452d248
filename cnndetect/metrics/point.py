"""Figures of one set of scores: average precision, AUC, accuracies, TPR at a fixed FPR, and calibration error.

Label 0 is real, 1 is fake and positive; a higher logit means more fake. All figures are fractions in [0, 1].
Logits may be infinite (a failed image, imputed worst-case), never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cnndetect.errors import MetricError

ECE_BINS = 15


@dataclass(frozen=True)
class Ranking:
    """Scores sorted once, so that every resampling is a pass over integer weights."""

    order: np.ndarray  # [N] positions, logits descending
    logits: np.ndarray
    fake: np.ndarray  # [N] of 0/1, sorted
    ends: np.ndarray | None  # last position of every run of equal logits, None where all differ
    cuts: np.ndarray  # [T] those logits with the sign turned, ascending
    residual: np.ndarray  # [N] sigmoid minus label
    bins: np.ndarray  # first position of every calibration bin that is not empty


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


def rank(labels: ArrayLike, logits: ArrayLike) -> Ranking:
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
    fake = (y[order] == 1).astype(np.float64)
    last = np.append(x[1:] != x[:-1], True)
    ends = None if last.all() else np.flatnonzero(last)
    probability = sigmoid(x)
    bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    return Ranking(order, x, fake, ends, -x if ends is None else -x[ends], probability - fake, starts)


def figures(ranking: Ranking, *, weights: np.ndarray | None = None, threshold: float | None = None) -> Figures:
    """All figures of a ranking under integer or real weights [N] (in sorted order); None weighs every image once."""
    w = np.ones(len(ranking.fake)) if weights is None else weights
    true, seen = np.cumsum(w * ranking.fake), np.cumsum(w, dtype=np.float64)  # at or above each image
    if ranking.ends is not None:
        true, seen = true[ranking.ends], seen[ranking.ends]  # at or above each threshold
    false = seen - true
    fakes, reals = true[-1], false[-1]
    if fakes <= 0 or reals <= 0:
        raise MetricError(f"Got {reals:g} real and {fakes:g} fake images. Expected at least one of each.")

    def above(cut: float) -> tuple[float, float]:
        # Strictly above the cut: the first positions of the descending order.
        index = np.searchsorted(ranking.cuts, -cut, side="left")
        return (false[index - 1], true[index - 1]) if index else (0.0, 0.0)

    false_half, true_half = above(0.0)
    false_fit, true_fit = above(threshold) if threshold is not None else (np.nan, np.nan)
    values = {
        "ap": _average_precision(true, seen, fakes),
        "auc": _area(true, false) / (fakes * reals),
        "accuracy": (reals - false_half + true_half) / (reals + fakes),
        "accuracy_real": 1 - false_half / reals,
        "accuracy_fake": true_half / fakes,
        "accuracy_real_fitted": 1 - false_fit / reals,
        "accuracy_fake_fitted": true_fit / fakes,
        "tpr_at_fpr_1": _true_at(true, false, 0.01 * reals) / fakes,
        "tpr_at_fpr_5": _true_at(true, false, 0.05 * reals) / fakes,
        "ece": _ece(ranking, w),
    }
    return Figures(**{name: float(value) for name, value in values.items()})


def average_precision_of(ranking: Ranking, weights: np.ndarray) -> float:
    """Average precision alone, under weights [N] in sorted order: what ``figures`` gives, in a fraction of its time."""
    true, seen = np.cumsum(weights * ranking.fake), np.cumsum(weights)
    if ranking.ends is not None:
        true, seen = true[ranking.ends], seen[ranking.ends]
    return float(_average_precision(true, seen, true[-1]))


def roc_auc_of(ranking: Ranking, weights: np.ndarray) -> float:
    """AUC alone, under weights [N] in sorted order: what ``figures`` gives."""
    return figures(ranking, weights=weights).auc


def average_precision(labels: ArrayLike, logits: ArrayLike) -> float:
    """Area under the precision-recall curve in steps, fake as positive; equal logits count as one step.

    labels: [N] of 0/1.  logits: [N], any monotone scale.  Equal to scikit-learn's average_precision_score.

    >>> average_precision([0, 1], [-2.0, 3.0])
    1.0
    """
    return figures(rank(labels, logits)).ap


def roc_auc(labels: ArrayLike, logits: ArrayLike) -> float:
    """Probability that a fake outranks a real, ties counting half.

    >>> roc_auc([0, 1, 1], [0.0, 0.0, 1.0])
    0.75
    """
    return figures(rank(labels, logits)).auc


def accuracy_at(labels: ArrayLike, logits: ArrayLike, threshold: float = 0.0) -> tuple[float, float]:
    """Fractions of reals and of fakes that are classified correctly; fake means strictly above ``threshold`` (a logit).

    >>> accuracy_at([0, 0, 1], [-1.0, 1.0, 2.0])
    (0.5, 1.0)
    """
    found = figures(rank(labels, logits), threshold=threshold)
    return found.accuracy_real_fitted, found.accuracy_fake_fitted


def fit_threshold(labels: ArrayLike, logits: ArrayLike) -> float:
    """The logit that maximises balanced accuracy, midway between two neighbouring logits; of several, the middle one.

    For validation data only: a threshold fitted on a test set measures nothing.

    >>> fit_threshold([0, 1], [-1.0, 3.0])
    1.0
    """
    ranking = rank(labels, logits)
    fakes, reals = ranking.fake.sum(), (1 - ranking.fake).sum()
    if not fakes or not reals:
        raise MetricError(f"Got {reals:g} real and {fakes:g} fake images. Expected at least one of each.")
    ends = np.arange(len(ranking.fake)) if ranking.ends is None else ranking.ends
    true = np.cumsum(ranking.fake)[ends] / fakes
    false = np.cumsum(1 - ranking.fake)[ends] / reals
    gain = (true - false)[:-1]  # a cut between two runs of equal logits
    if not len(gain) or gain.max() <= 0:
        return float(ranking.logits[0])
    best = np.flatnonzero(gain == gain.max())
    cut = ends[best[(len(best) - 1) // 2]]
    above, below = ranking.logits[cut], ranking.logits[cut + 1]
    if np.isinf(above) and np.isinf(below):
        return 0.0  # a cut between -inf and +inf: any number is midway
    return float(above + (below - above) / 2)


def impute_failures(labels: ArrayLike, logits: ArrayLike, failed: ArrayLike) -> np.ndarray:
    """Logits with every failed image at its worst: a failed real +inf, a failed fake -inf. A crash can only lose.

    >>> impute_failures([0, 1], [0.5, 0.5], [True, False])
    array([inf, 0.5])
    """
    worst = np.where(np.asarray(labels) == 0, np.inf, -np.inf)
    return np.where(np.asarray(failed, dtype=bool), worst, np.asarray(logits, dtype=np.float64))


def sigmoid(logits: ArrayLike) -> np.ndarray:
    """1 / (1 + exp(-logits)) without overflow."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits, dtype=np.float64)))


def _average_precision(true: np.ndarray, seen: np.ndarray, fakes: float) -> float:
    # A threshold without weight above it has no precision, and adds no fakes.
    precision = true / np.maximum(seen, 1e-300)
    return (true[0] * precision[0] + np.dot(true[1:] - true[:-1], precision[1:])) / fakes


def _area(true: np.ndarray, false: np.ndarray) -> float:
    """Pairs of a real and a fake in the right order, ties counting half: the trapezia under the curve of counts."""
    return (false[0] * true[0] + np.dot(false[1:] - false[:-1], true[1:] + true[:-1])) / 2


def _true_at(true: np.ndarray, false: np.ndarray, allowed: float) -> float:
    """Fakes above the lowest threshold that lets at most ``allowed`` reals pass."""
    index = np.searchsorted(false, allowed * (1 + 1e-12), side="right")
    return true[index - 1] if index else 0.0


def _ece(ranking: Ranking, weights: np.ndarray) -> float:
    """Expected calibration error of sigmoid(logit) over equal-width bins: mean |fakeness - share of fakes|, by weight."""
    # The bins are runs of the sorted scores.
    gaps = np.add.reduceat(weights * ranking.residual, ranking.bins)
    return np.abs(gaps).sum() / weights.sum()
