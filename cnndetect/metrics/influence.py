"""The influence of every image on average precision to first order: the infinitesimal jackknife (Jaeckel 1972) in one pass.

With many photographs, leaving each of them out gives the same error as these derivatives, at a cost that grows with their square.
"""

from __future__ import annotations

import numpy as np

from cnndetect.metrics.point import Ranking


def average_precision_influence(ranking: Ranking, owner: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Change of AP as an image leaves and the others of its kind share its weight, with the sign turned: [N], in the order of the scores.

    owner: [N] whole numbers; images of one kind keep their total weight, such as the reals of a set.  weights: [N], None for ones, equal
    inside a kind.  The sum over the images of a photograph is what AP loses without that photograph.

    >>> from cnndetect.metrics.point import rank
    >>> labels = np.array([1, 1, 0, 0])
    >>> average_precision_influence(rank(labels, [4.0, 2.0, 3.0, 1.0]), labels).round(3).tolist()
    [0.083, -0.083, -0.056, 0.056]
    """
    w = np.ones(len(ranking.fake)) if weights is None else weights[ranking.order]
    true, seen = np.cumsum(w * ranking.fake), np.cumsum(w)
    ends = np.arange(len(w)) if ranking.ends is None else ranking.ends
    true, seen = true[ends], np.maximum(seen[ends], 1e-300)
    precision, steps = true / seen, np.diff(true, prepend=0.0)
    # Every threshold at or below an image counts it: sums from the last threshold up.
    gained = np.cumsum((steps * (1 - precision) / seen)[::-1])[::-1]
    lost = np.cumsum((steps * precision / seen)[::-1])[::-1]
    tier = np.searchsorted(ends, np.arange(len(w)))
    slope = np.where(ranking.fake > 0, precision[tier] + gained[tier], -lost[tier]) / true[-1]
    found = np.empty(len(w))
    found[ranking.order] = slope * w
    kinds = np.unique(owner, return_inverse=True)[1]
    return found - (np.bincount(kinds, found) / np.bincount(kinds))[kinds]
