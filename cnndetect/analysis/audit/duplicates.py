"""Find pairs of equal or nearly equal pictures: within a class, between classes, against a training folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndetect.analysis.audit.files import FileFacts

# Of 128 bits. Pictures of different photographs differ in about half of them; see docs/audit.md for what was measured.
NEAR_BITS = 10

# So many pairs are compared at once: 32 MB of distances.
_BLOCK = 8_000_000


@dataclass(frozen=True)
class Pair:
    """Two files that hold the same picture.

    same_photograph: their names say that they come from one photograph, so that likeness was to be expected.
    """

    first: FileFacts
    second: FileFacts
    exact: bool
    bits: int  # by which their hashes differ; 0 for equal bytes as well

    @property
    def same_photograph(self) -> bool:
        return _named(self.first) and self.first.sample.cluster == self.second.sample.cluster

    @property
    def between_classes(self) -> bool:
        return self.first.sample.label != self.second.sample.label

    def __str__(self) -> str:
        return f"{self.first.sample.relative} = {self.second.sample.relative}" + ("" if self.exact else f" ({self.bits} bits)")

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "first": self.first.sample.relative,
            "second": self.second.sample.relative,
            "exact": self.exact,
            "bits": self.bits,
            "between_classes": self.between_classes,
            "same_photograph": self.same_photograph,
        }


def duplicates(facts: Sequence[FileFacts], *, bits: int = NEAR_BITS) -> list[Pair]:
    """Pairs inside one test set, exact ones first. A file of n equal copies gives n - 1 exact pairs.

    bits: of the 128 of difference_hash, up to which two pictures count as one.
    """
    readable = [fact for fact in facts if not fact.error]
    exact = _equal(readable)
    # Equal files are one picture, and are compared once.
    single = list({(fact.sha256, fact.sample.label): fact for fact in reversed(readable)}.values())[::-1]
    near = [(i, j, d) for i, j, d in _near(single, single, bits) if i < j and single[i].sha256 != single[j].sha256]
    return exact + [Pair(single[i], single[j], False, distance) for i, j, distance in near]


def overlap(facts: Sequence[FileFacts], others: Sequence[FileFacts], *, bits: int = NEAR_BITS) -> list[Pair]:
    """Pairs of a file of a test set (first) and one of another folder (second); at most one for each file of the test set."""
    readable, known = [fact for fact in facts if not fact.error], [fact for fact in others if not fact.error]
    by_content = {fact.sha256: fact for fact in reversed(known)}
    exact = [Pair(fact, by_content[fact.sha256], True, 0) for fact in readable if fact.sha256 in by_content]
    rest = [fact for fact in readable if fact.sha256 not in by_content]
    nearest: dict[int, tuple[int, int]] = {}
    for i, j, distance in _near(rest, known, bits):
        if i not in nearest or distance < nearest[i][1]:
            nearest[i] = (j, distance)
    return exact + [Pair(rest[i], known[j], False, distance) for i, (j, distance) in sorted(nearest.items())]


def _equal(facts: Sequence[FileFacts]) -> list[Pair]:
    groups: dict[str, list[FileFacts]] = defaultdict(list)
    for fact in facts:
        groups[fact.sha256].append(fact)
    # Samples come reals first, so a pair that crosses the classes is the first real with a fake.
    return [Pair(group[0], other, True, 0) for group in groups.values() for other in group[1:]]


def _near(facts: Sequence[FileFacts], others: Sequence[FileFacts], bits: int) -> list[tuple[int, int, int]]:
    """(position, position in others, distance) of all pairs up to ``bits`` apart; flat pictures have no hash and no pair."""
    rows, columns = ([k for k, fact in enumerate(some) if fact.bits is not None] for some in (facts, others))
    if not rows or not columns:
        return []
    # With bits as -1 and 1, length minus scalar product is twice the Hamming distance.
    left, right = (_signs([some[k] for k in chosen]) for some, chosen in ((facts, rows), (others, columns)))
    length, step, found = left.shape[1], max(1, _BLOCK // len(columns)), []
    for start in range(0, len(rows), step):
        distances = (length - left[start : start + step] @ right.T) / 2  # [step, len(columns)]
        for i, j in np.argwhere(distances <= bits):
            found.append((rows[start + i], columns[j], int(distances[i, j])))
    return found


def _signs(facts: Sequence[FileFacts]) -> np.ndarray:
    return np.stack([fact.bits for fact in facts if fact.bits is not None]).astype(np.float32) * 2 - 1


def _named(fact: FileFacts) -> bool:
    return fact.sample.cluster != fact.sample.relative
