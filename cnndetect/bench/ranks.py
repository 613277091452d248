"""Mean AP and rank of every detector under several conditions, and what changed against a base.

The columns follow the results tables of timm: the figure, its difference to the base, and ``rank_diff``, the places gained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import rankdata, spearmanr

from cnndetect.bench.standings import standings
from cnndetect.bench.store import Condition, Row, Runs, families

COLUMNS = ("detector", "suite", "protocol", "degradation", "families", "macro_ap", "rank", "macro_ap_diff", "rank_diff", "base")


@dataclass(frozen=True)
class Ranked:
    """A detector under a condition.

    Only detectors with every family of the condition are ranked.
    """

    detector: str
    condition: Condition
    families: int  # how many the mean is over
    macro_ap: float  # fraction
    rank: float  # 1 is best
    # macro_ap_diff, rank_diff: against the base, among the detectors of both; rank_diff > 0 is places gained. None where the base lacks the
    # detector
    macro_ap_diff: float | None
    rank_diff: float | None

    def cells(self, base: Condition) -> list[object]:
        """The row of a CSV, in the order of COLUMNS."""
        c = self.condition
        return [
            self.detector,
            c.suite,
            c.protocol,
            c.degradation,
            self.families,
            self.macro_ap,
            self.rank,
            "" if self.macro_ap_diff is None else self.macro_ap_diff,
            "" if self.rank_diff is None else self.rank_diff,
            base.title,
        ]


def rank_rows(runs: Runs, base: Condition) -> list[Ranked]:
    """Every condition against the base, the base first, detectors best first."""
    means = {condition: _means(rows) for condition, rows in runs.items()}
    order = sorted(means, key=lambda c: (c != base, c.suite != base.suite, c.degradation != "none", c))
    of_base, found = means.get(base, {}), []
    for condition in order:
        found += _against(condition, means[condition], of_base, len(families(runs[condition])))
    return found


def agreement(rows: list[Ranked], base: Condition) -> dict[Condition, float]:
    """Spearman's rank correlation of every other condition with the base, over the detectors of both; NaN below three."""
    of_base = {row.detector: row.macro_ap for row in rows if row.condition == base}
    found = {}
    for condition in dict.fromkeys(row.condition for row in rows if row.condition != base):
        pairs = [(of_base[r.detector], r.macro_ap) for r in rows if r.condition == condition and r.detector in of_base]
        enough = len(pairs) >= 3 and all(len(set(side)) > 1 for side in zip(*pairs, strict=True))
        found[condition] = float(spearmanr(*zip(*pairs, strict=True)).statistic) if enough else float("nan")
    return found


def _means(rows: Mapping[str, Row]) -> dict[str, float]:
    """Macro mean AP of the detectors that have every family, from stored scores."""
    return {standing.detector: standing.macro.value for standing in standings(rows, draws=0, seed=0).complete}


def _against(condition: Condition, means: dict[str, float], base: dict[str, float], count: int) -> list[Ranked]:
    here, both = _ranks(means), [detector for detector in means if detector in base]
    now, before = _ranks({d: means[d] for d in both}), _ranks({d: base[d] for d in both})
    rows = [
        Ranked(
            detector=d,
            condition=condition,
            families=count,
            macro_ap=means[d],
            rank=here[d],
            macro_ap_diff=means[d] - base[d] if d in base else None,
            rank_diff=before[d] - now[d] if d in base else None,
        )
        for d in means
    ]
    return sorted(rows, key=lambda row: (row.rank, row.detector))


def _ranks(means: dict[str, float]) -> dict[str, float]:
    return dict(zip(means, map(float, rankdata([-value for value in means.values()])), strict=True)) if means else {}
