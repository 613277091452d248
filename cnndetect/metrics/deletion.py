"""Leave-one-photograph-out bookkeeping for the jackknife of ``intervals``.

All images of one photograph, real or fake, in every test set, leave together. The two classes keep their total weight, so
the share of fakes stays what it is in the set: average precision depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cnndetect.counting import counted
from cnndetect.errors import MetricError

# Beyond so many clusters they leave in so many groups (the delete-a-group jackknife), dealt at random; average precision then takes
# its changes from ``influence``, where every photograph counts for itself.
GROUPS = 500


@dataclass(frozen=True)
class SetScores:
    """Scores of one test set."""

    labels: np.ndarray
    logits: np.ndarray
    clusters: np.ndarray  # [N] names; images of equal names, in one set or several, are one photograph


class Deletions:
    """Groups of clusters over some test sets. members: of each set, the group of every image: [N].  count: of groups."""

    def __init__(self, sets: Sequence[SetScores], *, seed: int = 0):
        members, count = photograph_numbers(sets)
        place = self._deal(sets, np.concatenate(members), count, seed)
        self.labels = [np.asarray(s.labels) for s in sets]
        self.members = [place[one] for one in members]
        self.count = int(place.max()) + 1

    def weights(self, column: int) -> Iterator[tuple[int, np.ndarray]]:
        """Every group that reaches into a set, with the weight of the set's images when that group has left: [N].

        A group that holds a whole class cannot leave, and is passed over.
        """
        members, labels = self.members[column], self.labels[column]
        for group in np.unique(members):
            stays = members != group
            weights = np.zeros(len(members))
            for label in (0, 1):
                inside = labels == label
                left = np.count_nonzero(inside & stays)
                if not left:
                    break
                weights[inside & stays] = np.count_nonzero(inside) / left
            else:
                yield int(group), weights

    @staticmethod
    def _deal(sets: Sequence[SetScores], inverse: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Group of every cluster: its own, or one of GROUPS, clusters of one kind spread evenly over all of them."""
        if count <= GROUPS:
            return np.arange(count)
        # A kind is a combination of (set, class) that a cluster reaches into.
        kind, start = np.zeros(count, dtype=np.int64), 0
        for scores in sets:
            members = inverse[start : start + len(scores.labels)]
            start += len(scores.labels)
            for label in (0, 1):
                inside = np.bincount(members[np.asarray(scores.labels) == label], minlength=count) > 0
                kind = np.unique(2 * kind + inside, return_inverse=True)[1]
        shuffled = np.random.default_rng(seed).permutation(count)
        order = shuffled[np.argsort(-kind[shuffled], kind="stable")]
        place = np.empty(count, dtype=np.int64)
        place[order] = np.arange(count) % GROUPS
        return place


def photograph_numbers(sets: Sequence[SetScores]) -> tuple[list[np.ndarray], int]:
    """The number of every image's photograph, [N] for each set, and how many photographs there are over all sets."""
    # Sorted names: the order of the images does not matter.
    unique, inverse = np.unique(np.concatenate([np.asarray(s.clusters) for s in sets]), return_inverse=True)
    return np.split(inverse, np.cumsum([len(s.labels) for s in sets])[:-1]), len(unique)


def photographs(clusters: np.ndarray) -> float:
    """How many photographs a class rests on, each by its share of the images: 1 / sum of squared shares.

    >>> photographs(np.array(["a", "b", "c", "c"])).__round__(2)
    2.67
    """
    counts = np.unique(clusters, return_counts=True)[1]
    return float(len(clusters) ** 2 / np.sum(counts**2)) if len(counts) else 0.0


def as_set(labels, logits, clusters) -> SetScores:
    """Scores of one test set; None for clusters makes every image its own. Raises MetricError for unequal lengths."""
    y, x = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    if clusters is None:
        clusters = one_each(y, x)
    if len(clusters) != len(y):
        raise MetricError(f"Got {counted(len(clusters), 'cluster')} for {counted(len(y), 'image')}. Expected one each.")
    return SetScores(y, x, np.asarray(clusters))


def one_each(*columns) -> np.ndarray:
    """Every image its own cluster, named by its place in the sorted columns: the order of the inputs does not matter."""
    clusters = np.empty(len(columns[0]), dtype=np.int64)
    clusters[np.lexsort(columns)] = np.arange(len(clusters))
    return clusters
