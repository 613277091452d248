"""The true positive rate at a fixed false positive rate, and the influence of each photograph on it."""

from __future__ import annotations

import numpy as np

# The slope of the curve is taken over so many standard errors of the false positive rate to both sides.
_WINDOW = 2.0


def tpr_changes(labels: np.ndarray, logits: np.ndarray, clusters: np.ndarray, rate: float) -> np.ndarray:
    """What every photograph contributes to TPR at FPR ``rate``, to first order: [K]; their squares sum to its variance.

    labels: [N] of 0/1.  logits: [N].  clusters: [N] names of photographs.

    The threshold is itself an estimate, and leaving single photographs out does not tell how far it may be off: the jackknife of a
    quantile is inconsistent (Miller 1974). So the error of the false positive rate at the threshold, times the slope of the curve there,
    is taken from the error of the true positive rate, photograph by photograph (Francisco and Fuller 1991, for quantiles).

    >>> labels, logits = np.repeat([0, 1], 100), np.concatenate([np.arange(100), np.arange(100) + 50.5])
    >>> found = tpr_changes(labels, logits, np.arange(200), 0.05)
    >>> found.shape, bool(abs(found.sum()) < 1e-12)
    ((200,), True)
    """
    fake = labels == 1
    reals, fakes = np.sort(logits[~fake])[::-1], np.sort(logits[fake])[::-1]

    def above(cut: float) -> tuple[float, float]:
        """FPR and TPR of all images at or above a cut."""
        return float(np.mean(reals >= cut)), float(np.mean(fakes >= cut))

    def cut_at(share: float) -> float:
        """The lowest logit that lets at most this share of the reals pass."""
        first_too_many = reals[min(int(share * len(reals) * (1 + 1e-12)), len(reals) - 1)]
        higher = logits[logits > first_too_many]
        return float(higher.min()) if len(higher) else float("inf")

    cut = cut_at(rate)
    false, true = above(cut)
    inverse = np.unique(clusters, return_inverse=True)[1]
    passed = logits >= cut
    of_real = np.bincount(inverse, ~fake * (passed - false)) / len(reals)
    of_fake = np.bincount(inverse, fake * (passed - true)) / len(fakes)
    half = _WINDOW * float(np.sqrt(np.square(of_real).sum()))
    (low_false, low_true), (high_false, high_true) = above(cut_at(max(rate - half, 0.0))), above(cut_at(min(rate + half, 1.0)))
    slope = (high_true - low_true) / (high_false - low_false) if high_false > low_false else 0.0
    return of_fake - slope * of_real
