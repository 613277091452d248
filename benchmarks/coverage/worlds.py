"""Test sets drawn from a known distribution, and the figures of that distribution by quadrature.

A score is a photograph's part and an image's part, both normal; their shares of the variance are the correlation within a
photograph. Fakes are shifted by what the wanted average precision asks for. Paired sets make their fakes from the photographs of
the reals, free ones have fakes of their own. All sets of a suite share their reals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from cnndetect.metrics.intervals import SetScores
from cnndetect.metrics.point import ECE_BINS

CUTS = np.linspace(-9.0, 18.0, 40_001)

# What is alike between the score of a photograph and that of the fakes made from it, and between the fakes of two families.
ALIKE = 0.7

# Of the shape "mixed": so many photographs are hard, their reals this much more fake.
HARD, HARDER = 0.1, 1.5


@dataclass(frozen=True)
class World:
    """photographs: of the reals.  ap: of each set, the mean where several.  within: correlation in a photograph.

    shape: "normal", "wide" (fakes vary half as much again) or "mixed" (one photograph in ten is hard).
    """

    photographs: int
    ap: float
    within: float
    paired: int = 1
    free: int = 0
    shape: str = "normal"
    spread: float = 0.0

    @property
    def aps(self) -> np.ndarray:
        """AP of every set, spread evenly around the mean."""
        count = self.paired + self.free
        return self.ap + self.spread * (np.linspace(-1, 1, count) if count > 1 else np.zeros(1))


@dataclass(frozen=True)
class Truth:
    """Figures of the whole distribution. shifts: of the fakes of every set."""

    shifts: np.ndarray
    macro: float
    pooled: float
    auc: np.ndarray
    above_reals: float
    above_fakes: np.ndarray
    tpr: dict[float, np.ndarray]

    def calibrated(self, logits: np.ndarray, share: float, part: float) -> np.ndarray:
        """Scores of a normal world as logits that are a part of the way to calibrated ones: 0 as drawn, 1 calibrated."""
        shift = self.shifts[0]
        return logits + part * ((shift - 1) * logits - shift**2 / 2 + np.log(share / (1 - share)))

    def ece(self, share: float, part: float) -> float:
        """Calibration error of the first set of a normal world, of such logits."""
        cuts = np.linspace(-12.0, 20.0, 400_001)
        fakeness = expit(self.calibrated(cuts, share, part))
        reals, fakes = norm.pdf(cuts), norm.pdf(cuts - self.shifts[0])
        gaps = ((1 - share) * reals * fakeness - share * fakes * (1 - fakeness)) * (cuts[1] - cuts[0])
        places = np.minimum((fakeness * ECE_BINS).astype(int), ECE_BINS - 1)
        return float(np.abs(np.bincount(places, gaps, minlength=ECE_BINS)).sum())


class Draws:
    """One world: who belongs to whom is drawn once, the scores anew for every run."""

    def __init__(self, world: World, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.world = world
        self.real = np.repeat(np.arange(world.photographs), rng.integers(3, 7, world.photographs))
        self.fake = np.repeat(np.arange(world.photographs), rng.integers(3, 7, world.photographs))
        self.free = np.arange(min(len(self.fake), 1000 if world.photographs > 200 else len(self.fake)))
        self.truth = truth_of(world, [self._fakes(place) for place in range(world.paired + world.free)])

    def _fakes(self, place: int) -> float:
        count = len(self.fake) if place < self.world.paired else len(self.free)
        return count / (count + len(self.real))

    def sets(self, rng: np.random.Generator, *, like: tuple[np.ndarray, float] | None = None) -> list[SetScores]:
        """Scores of one run."""
        return self._scores(rng, np.zeros(self.world.photographs, dtype=bool) | (rng.random(self.world.photographs) < HARD))

    def twins(self, rng: np.random.Generator, second: Draws | None = None) -> tuple[list[SetScores], list[SetScores]]:
        """Two detectors that find the same photographs hard to a part, equally good, or the second as good as ``second`` says."""
        hard = rng.random(self.world.photographs) < HARD
        one, other = self._parts(rng), self._parts(rng)
        common = self._parts(rng)
        mixed = [[np.sqrt(0.5) * a + np.sqrt(0.5) * c for a, c in zip(parts, common, strict=True)] for parts in (one, other)]
        return self._assembled(mixed[0], hard), (second or self)._assembled(mixed[1], hard)

    def _scores(self, rng: np.random.Generator, hard: np.ndarray) -> list[SetScores]:
        return self._assembled(self._parts(rng), hard)

    def _parts(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Reals, then the fakes of every set, standard normal."""
        w, within = self.world, self.world.within
        photo = rng.normal(size=w.photographs)
        common = rng.normal(size=w.photographs)
        parts = [np.sqrt(within) * photo[self.real] + np.sqrt(1 - within) * rng.normal(size=len(self.real))]
        for _ in range(w.paired):
            own = np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * rng.normal(size=w.photographs)
            part = ALIKE * photo + np.sqrt(1 - ALIKE**2) * own
            parts.append(np.sqrt(within) * part[self.fake] + np.sqrt(1 - within) * rng.normal(size=len(self.fake)))
        return parts + [rng.normal(size=len(self.free)) for _ in range(w.free)]

    def _assembled(self, parts: list[np.ndarray], hard: np.ndarray) -> list[SetScores]:
        reals = parts[0] + (HARDER * hard[self.real] if self.world.shape == "mixed" else 0.0)
        found = []
        for place, part in enumerate(parts[1:]):
            fakes = part * (1.5 if self.world.shape == "wide" else 1.0) + self.truth.shifts[place]
            first = self.world.photographs + place * len(self.free)
            clusters = self.fake if place < self.world.paired else first + self.free
            labels = np.repeat([0, 1], [len(reals), len(fakes)])
            found.append(SetScores(labels, np.concatenate([reals, fakes]), np.concatenate([self.real, clusters])))
        return found


def truth_of(world: World, shares: list[float]) -> Truth:
    """shares: of fakes in every set."""
    shifts = np.array([_shift(world, ap, share) for ap, share in zip(world.aps, shares, strict=True)])
    above = np.mean([_fakes_above(world, CUTS, shift) for shift in shifts], axis=0)
    reals = _reals_above(world, CUTS)
    tpr = {}
    for rate in (0.01, 0.05):
        cut = brentq(lambda x, rate=rate: _reals_above(world, np.array([x]))[0] - rate, -9, 18)
        tpr[rate] = np.array([_fakes_above(world, np.array([cut]), shift)[0] for shift in shifts])
    half = np.array([0.0])
    return Truth(
        shifts=shifts,
        macro=float(world.aps.mean()),
        pooled=float(_mean_precision(above, reals, 0.5)),
        auc=np.array([-np.trapezoid(1 - reals, _fakes_above(world, CUTS, shift)) for shift in shifts]),
        above_reals=float(_reals_above(world, half)[0]),
        above_fakes=np.array([_fakes_above(world, half, shift)[0] for shift in shifts]),
        tpr=tpr,
    )


def _shift(world: World, ap: float, share: float) -> float:
    reals = _reals_above(world, CUTS)
    return brentq(lambda shift: _mean_precision(_fakes_above(world, CUTS, shift), reals, share) - ap, -3, 12)


def _mean_precision(fakes: np.ndarray, reals: np.ndarray, share: float) -> float:
    precision = share * fakes / np.maximum(share * fakes + (1 - share) * reals, 1e-300)
    return float(-np.trapezoid(precision, fakes))


def _fakes_above(world: World, cuts: np.ndarray, shift: float) -> np.ndarray:
    return norm.sf((cuts - shift) / (1.5 if world.shape == "wide" else 1.0))


def _reals_above(world: World, cuts: np.ndarray) -> np.ndarray:
    if world.shape == "mixed":
        return (1 - HARD) * norm.sf(cuts) + HARD * norm.sf(cuts - HARDER)
    return norm.sf(cuts)


def suite(photographs: int, ap: float, within: float, *, spread: float = 0.0, shape: str = "normal") -> World:
    """Eleven sets that share their reals: eight paired, three free, as the embedded suite has them."""
    return replace(World(photographs, ap, within, paired=8, free=3, shape=shape), spread=spread)
