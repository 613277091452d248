"""Photographs left out one after the other: what the jackknife of ``intervals`` needs to know of clusters.

All images of one photograph, real or fake, in every test set, leave together. The two classes keep their total weight, so
the share of fakes stays what it is in the set: average precision depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# Beyond so many clusters they leave in so many groups (the delete-a-group jackknife); the groups are dealt at random.
GROUPS = 500


@dataclass(frozen=True)
class SetScores:
    """Scores of one test set. clusters: [N] names; images of equal names, in one set or several, are one photograph."""

    labels: np.ndarray
    logits: np.ndarray
    clusters: np.ndarray


class Deletions:
    """Groups of clusters over some test sets. members: of each set, the group of every image: [N].  count: of groups."""

    def __init__(self, sets: Sequence[SetScores], *, seed: int = 0):
        names = np.concatenate([np.asarray(s.clusters) for s in sets])
        # Sorted names: the order of the images does not matter.
        unique, inverse = np.unique(names, return_inverse=True)
        place = self._deal(sets, inverse, len(unique), seed)
        self.labels = [np.asarray(s.labels) for s in sets]
        self.members = np.split(place[inverse], np.cumsum([len(s.labels) for s in sets])[:-1])
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


def photographs(clusters: np.ndarray) -> float:
    """How many photographs a class rests on, each by its share of the images: 1 / sum of squared shares.

    >>> photographs(np.array(["a", "b", "c", "c"])).__round__(2)
    2.67
    """
    counts = np.unique(clusters, return_counts=True)[1]
    return float(len(clusters) ** 2 / np.sum(counts**2)) if len(counts) else 0.0
