"""The standing of every detector under one condition: means and ranks with intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import combinations
from typing import Protocol

import numpy as np
from scipy.stats import rankdata

from cnndetect.bench.store import Row, Run, families, lacking
from cnndetect.metrics import Figures
from cnndetect.metrics.intervals import Interval, Jackknife, jackknife, pooled_average_precision
from cnndetect.scoring.provenance import Provenance

FIGURES = tuple(field.name for field in fields(Figures))


@dataclass(frozen=True)
class Standing:
    """One detector over all families of a condition."""

    detector: str
    runs: tuple[Run, ...]
    """One per family, in the order of the families."""
    aps: Jackknife
    """APs without each photograph, for paired comparisons."""
    rank: float
    """1 is best; ties share the mean of their places."""
    rank_low: float
    rank_high: float
    """Its 95 % interval."""
    draws: int
    seed: int

    @property
    def macro(self) -> Interval:
        return self.aps.macro

    @cached_property
    def pooled(self) -> Interval:
        """AP of all families together; computed when it is asked for."""
        return pooled_average_precision([run.scores.at_worst() for run in self.runs], draws=self.draws, seed=self.seed)

    @property
    def means(self) -> dict[str, float]:
        """Figure -> mean over families, NaN where a family has none."""
        return {name: float(np.mean([getattr(run.result.metrics, name).value for run in self.runs])) for name in FIGURES}

    @property
    def failed(self) -> int:
        return sum(run.result.n_failed for run in self.runs)

    @property
    def provenance(self) -> Provenance:
        """Of the first family: detector and weights are the same in all."""
        return self.runs[0].result.provenance


@dataclass(frozen=True)
class Standings:
    """Detectors in order under one condition."""

    families: tuple[str, ...]
    complete: tuple[Standing, ...]  # best first
    incomplete: dict[str, tuple[str, ...]]  # detector -> families it lacks; it has no mean and no rank

    @property
    def detectors(self) -> tuple[str, ...]:
        """Every detector: the ranked ones, then the incomplete ones by name. This order gives the hues."""
        return (*(standing.detector for standing in self.complete), *sorted(self.incomplete))


def standings(rows: Mapping[str, Row], *, draws: int, seed: int) -> Standings:
    """Rank the detectors of one condition by macro mean AP; every detector loses the same photographs.

    draws, seed: of the ranks' interval; draws=0 gives no intervals.
    """
    names = families(rows)
    incomplete = lacking(rows)
    complete = [detector for detector in sorted(rows) if detector not in incomplete]
    aps = {d: jackknife([rows[d][n].scores.at_worst() for n in names], draws=draws, seed=seed) for d in complete}
    values = np.array([aps[d].macro.value for d in complete])
    ranks = rankdata(-values)
    low, high = _rank_interval([aps[d] for d in complete], ranks, draws, seed)

    complete_standings = [
        Standing(
            detector=detector,
            runs=tuple(rows[detector][name] for name in names),
            aps=aps[detector],
            rank=float(ranks[place]),
            rank_low=float(low[place]),
            rank_high=float(high[place]),
            draws=draws,
            seed=seed,
        )
        for place, detector in enumerate(complete)
    ]
    complete_standings.sort(key=lambda standing: (standing.rank, standing.detector))
    return Standings(families=tuple(names), complete=tuple(complete_standings), incomplete=incomplete)


def by_training(rows: Mapping[str, Row]) -> tuple[dict[str, Row], dict[str, Row]]:
    """Detectors trained on ProGAN alone, and all others: they have tables of their own and are never ranked together."""

    def strict(row: Row) -> bool:
        return all(run.result.progan_only is True for run in row.values())

    return {d: row for d, row in rows.items() if strict(row)}, {d: row for d, row in rows.items() if not strict(row)}


class Compared(Protocol):
    """A detector and its APs: a Standing, or a Benchmark that has just been run."""

    @property
    def detector(self) -> str: ...
    @property
    def aps(self) -> Jackknife: ...


def differences(ordered: Sequence[Compared]) -> dict[tuple[str, str], Interval]:
    """(a, b) -> macro mean AP of a minus that of b, paired: both without the same photographs. a stands above b."""
    return {(a.detector, b.detector): a.aps.minus(b.aps) for a, b in combinations(ordered, 2)}


def _rank_interval(aps: list[Jackknife], ranks: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle 95 % of the ranks that other photographs would have given, all detectors on the same ones."""
    if not draws or not all(np.isfinite(one.macro.low) for one in aps):
        return np.full(len(ranks), np.nan), np.full(len(ranks), np.nan)
    every = rankdata(-np.array([one.simulated(draws, seed) for one in aps]), axis=0)  # [detectors, draws]
    low, high = np.percentile(every, [2.5, 97.5], axis=1)
    return np.minimum(low, ranks), np.maximum(high, ranks)
