"""One table over several suites: the macro mean of every detector on each, and how far the suites agree on the order.

Detectors trained on ProGAN images alone and all others are ranked apart, and their correlations are computed apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau, rankdata, spearmanr

from cnndetect.bench.facts import Facts, facts_of
from cnndetect.bench.speed import Speed, read_speeds
from cnndetect.bench.standings import standings
from cnndetect.bench.store import Condition, Row, Run, Runs, read_runs
from cnndetect.bench.store import families as families_of
from cnndetect.errors import DataError
from cnndetect.metrics.intervals import Interval
from cnndetect.scoring.provenance import Provenance


@dataclass(frozen=True)
class Line:
    """One detector over all suites of a table."""

    detector: str
    provenance: Provenance
    """Of one of its runs; its weights are the same in all."""
    facts: Facts
    macros: dict[str, Interval]
    """Suite -> macro mean AP, as a fraction; only suites of which it has every test set."""
    lacks: dict[str, tuple[str, ...]]
    """Suite -> test sets that others have and it has not."""
    mean: float | None
    """Mean of the macros; None where a suite is missing."""
    rank: float | None
    """By the mean, 1 is best, ties share the mean of their places; None without a mean."""


@dataclass(frozen=True)
class Agreement:
    """Rank correlations of two suites over the detectors that have both; NaN below three detectors, or where all tie."""

    first: str
    second: str
    detectors: int
    spearman: float
    kendall: float
    """Kendall's tau-b."""


@dataclass(frozen=True)
class Group:
    """Detectors that may be ranked together."""

    progan_only: bool
    lines: tuple[Line, ...]  # best first, then those without a rank by name
    agreements: tuple[Agreement, ...]


@dataclass(frozen=True)
class Across:
    """The whole table."""

    suites: tuple[str, ...]
    protocol: str
    degradation: str
    families: dict[str, tuple[str, ...]]  # suite -> its test sets, those that any detector has
    groups: tuple[Group, ...]


def across(results: Sequence[str | Path], suites: Sequence[str] = (), *, protocol: str = "nocrop", degradation: str = "none") -> Across:
    """The table of stored results. Nothing is scored.

    results: folders that the bench wrote to; the speeds that were measured are read from the same folders.
    suites: such as "mini" or "mini@3", default every suite with results.
    Raises DataError for a suite without results, one of several versions, results that were not made from the same images,
    and a name that stands for several weights.
    """
    runs = read_runs(results, protocol=protocol, degradation=degradation)
    chosen = [_chosen(runs, name, f"{protocol}, {degradation}") for name in suites] or sorted(runs)
    if not chosen:
        raise DataError(f"{', '.join(map(str, results))} holds no results of {protocol}, {degradation}. Make some with: cnndetect bench")
    doubled = {condition.suite for condition in chosen if chosen.count(condition) > 1}
    if doubled:
        raise DataError(f"The suite {', '.join(sorted(doubled))} was named twice. Name each suite once.")
    every = {c.suite: runs[c] for c in chosen}
    _check_weights(every)
    speeds = {key: speed for root in results for key, speed in read_speeds(root).items()}
    names = sorted({detector for rows in every.values() for detector in rows})
    progan = {name for name in names if all(_progan_only(rows[name]) for rows in every.values() if name in rows)}
    groups = []
    for progan_only, members in ((True, progan), (False, set(names) - progan)):
        tables = {suite: {d: row for d, row in rows.items() if d in members} for suite, rows in every.items()}
        if members:
            groups.append(_group(progan_only, tables, speeds))
    families = {suite: tuple(families_of(rows)) for suite, rows in every.items()}
    return Across(tuple(every), protocol, degradation, families, tuple(groups))


def _chosen(runs: Runs, name: str, wanted: str) -> Condition:
    found = [condition for condition in runs if name in (condition.suite, condition.suite.partition("@")[0])]
    if not found:
        there = ", ".join(sorted(condition.suite for condition in runs)) or "none"
        raise DataError(f"There are no results of the suite {name} ({wanted}). With results: {there}. Run: cnndetect bench --suite {name}")
    if len(found) > 1:
        raise DataError(f"There are results of {', '.join(sorted(c.suite for c in found))}. Say which version is meant.")
    return found[0]


def _check_weights(every: Mapping[str, Mapping[str, Row]]) -> None:
    """Raise DataError where a name stands for other weights in another suite."""
    first: dict[str, Run] = {}
    for rows in every.values():
        for detector, row in rows.items():
            run = next(iter(row.values()))
            other = first.setdefault(detector, run)
            if other.result.provenance.identity != run.result.provenance.identity:
                raise DataError(f"The name {detector} stands for several weights ({other.path}, {run.path}). Run the older one again.")


def _progan_only(row: Row) -> bool:
    return all(run.result.progan_only is True for run in row.values())


def _group(progan_only: bool, tables: Mapping[str, Mapping[str, Row]], speeds: Mapping[tuple[str, str | None], Speed]) -> Group:
    macros: dict[str, dict[str, Interval]] = {}
    lacks: dict[str, dict[str, tuple[str, ...]]] = {}
    provenances: dict[str, Provenance] = {}
    for suite, rows in tables.items():
        if rows:
            results = [run.result for row in rows.values() for run in row.values()]
            ranked = standings(rows, draws=max(result.draws for result in results), seed=results[0].seed)
            provenances |= {result.detector: result.provenance for result in results}
            for standing in ranked.complete:
                macros.setdefault(standing.detector, {})[suite] = standing.macro
            for detector, missing in ranked.incomplete.items():
                lacks.setdefault(detector, {})[suite] = missing
    means = {d: float(np.mean([one.value for one in macros[d].values()])) for d in macros if len(macros[d]) == len(tables)}
    ranks = dict(zip(means, map(float, rankdata([-mean for mean in means.values()])), strict=True)) if means else {}
    lines = [
        Line(d, known, facts_of(known, speeds), macros.get(d, {}), lacks.get(d, {}), means.get(d), ranks.get(d))
        for d, known in provenances.items()
    ]
    lines.sort(key=lambda line: (line.rank is None, line.rank, line.detector))
    return Group(progan_only, tuple(lines), tuple(_agreement(a, b, lines) for a, b in combinations(tables, 2)))


def _agreement(first: str, second: str, lines: Sequence[Line]) -> Agreement:
    pairs = [(line.macros[first].value, line.macros[second].value) for line in lines if first in line.macros and second in line.macros]
    enough = len(pairs) >= 3 and all(len(set(side)) > 1 for side in zip(*pairs, strict=True))
    if not enough:
        return Agreement(first, second, len(pairs), float("nan"), float("nan"))
    a, b = zip(*pairs, strict=True)
    return Agreement(first, second, len(pairs), float(spearmanr(a, b).statistic), float(kendalltau(a, b).statistic))
