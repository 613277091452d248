"""The standing of every detector under one condition: means and ranks with intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from scipy.stats import rankdata

from cnndetect.bench.store import Row, families, lacking
from cnndetect.metrics import Figures
from cnndetect.metrics.intervals import Drawn, Interval, draw_average_precisions, pooled_average_precision

FIGURES = tuple(field.name for field in fields(Figures))


@dataclass(frozen=True)
class Standing:
    """One detector over all families of a condition.

    rank: 1 is best, ties share the mean of their places; rank_low, rank_high: its 95 % bootstrap interval.
    means: figure -> mean over families, NaN where a family has none.  drawn: APs draw by draw, for paired comparisons.
    """

    detector: str
    macro: Interval
    pooled: Interval
    rank: float
    rank_low: float
    rank_high: float
    means: dict[str, float]
    failed: int
    progan_only: bool | None
    threshold_logit: float | None
    drawn: Drawn


@dataclass(frozen=True)
class Standings:
    """complete: best first.  incomplete: detector -> families it lacks; it has no mean and no rank."""

    families: tuple[str, ...]
    complete: tuple[Standing, ...]
    incomplete: dict[str, tuple[str, ...]]

    @property
    def detectors(self) -> tuple[str, ...]:
        """Every detector: the ranked ones, then the incomplete ones by name. This order gives the hues."""
        return (*(standing.detector for standing in self.complete), *sorted(self.incomplete))


def standings(rows: Mapping[str, Row], *, draws: int, seed: int) -> Standings:
    """Rank the detectors of one condition by macro mean AP; every detector sees the same bootstrap draws."""
    names = families(rows)
    incomplete = lacking(rows)
    complete = [detector for detector in sorted(rows) if detector not in incomplete]
    drawn = {d: draw_average_precisions([rows[d][n].scores.at_worst() for n in names], draws=draws, seed=seed) for d in complete}
    values = np.array([drawn[d].macro.value for d in complete])
    ranks = rankdata(-values)
    low, high = _rank_interval([drawn[d] for d in complete], ranks)

    found = []
    for place, detector in enumerate(complete):
        row = [rows[detector][name] for name in names]
        first = row[0].result
        pooled = pooled_average_precision([run.scores.at_worst() for run in row], draws=draws, seed=seed)
        means = {f: float(np.mean([getattr(run.result.metrics, f).value for run in row])) for f in FIGURES}
        found.append(
            Standing(
                detector=detector,
                macro=drawn[detector].macro,
                pooled=pooled,
                rank=float(ranks[place]),
                rank_low=float(low[place]),
                rank_high=float(high[place]),
                means=means,
                failed=sum(run.result.n_failed for run in row),
                progan_only=first.progan_only,
                threshold_logit=first.threshold_logit,
                drawn=drawn[detector],
            )
        )
    found.sort(key=lambda standing: (standing.rank, standing.detector))
    return Standings(tuple(names), tuple(found), incomplete)


def differences(complete: tuple[Standing, ...]) -> dict[tuple[str, str], Interval]:
    """(a, b) -> macro mean AP of a minus that of b, paired: both on the same bootstrap draws. a stands above b."""
    return {(a.detector, b.detector): a.drawn.minus(b.drawn) for place, a in enumerate(complete) for b in complete[place + 1 :]}


def _rank_interval(drawn: list[Drawn], ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not drawn or not len(drawn[0].draws):
        return np.full(len(ranks), np.nan), np.full(len(ranks), np.nan)
    every = rankdata(-np.array([one.draws.mean(axis=1) for one in drawn]), axis=0)  # [detectors, draws]
    low, high = np.percentile(every, [2.5, 97.5], axis=1)
    return np.minimum(low, ranks), np.maximum(high, ranks)
