"""Average precision under a condition and its counterparts: equalised formats side by side with the paired difference, and degradations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cnndetect.bench.standings import Standing
from cnndetect.bench.store import Condition, Row, Runs, check_same_images
from cnndetect.bench.tables import grid, markdown, percent, points
from cnndetect.errors import DataError
from cnndetect.files import plain
from cnndetect.metrics.intervals import Interval, Jackknife, jackknife
from cnndetect.transforms.degrade import DEGRADATIONS, split_equalisers

if TYPE_CHECKING:
    from cnndetect.bench.run import Benchmark

NOTE = "Equalised minus clean, in points, both without the same photographs; a fall says that the formats of the files helped."


@dataclass(frozen=True)
class Equalised:
    """One detector under one equalised condition and under the same condition without equalisers."""

    detector: str
    condition: str
    """Names of the equalisers, such as "jpeg-96"."""
    clean: Interval
    """Macro mean AP with the files as they are stored."""
    equalised: Interval
    difference: Interval
    """Equalised minus clean."""
    by_set: Mapping[str, tuple[Interval, Interval, Interval]]
    """Test set -> AP clean, equalised, and their difference."""


def equalised_pairs(benchmarks: Sequence[Benchmark]) -> list[Equalised]:
    """Every equalised benchmark that has its clean counterpart beside it, in the order given."""
    return [pair for one in benchmarks if (pair := counterpart(one, benchmarks)) is not None]


def counterpart(benchmark: Benchmark, others: Sequence[Benchmark]) -> Equalised | None:
    """An equalised benchmark beside the one of the same detector without equalisers; None where it is not among the others."""
    suite, protocol, degradation = condition_key(benchmark)
    equaliser, rest = split_equalisers(degradation)
    wanted = (benchmark.detector, (suite, protocol, rest))
    clean = next((one for one in others if (one.detector, condition_key(one)) == wanted), None)
    if not equaliser or clean is None:
        return None
    names = [result.test_set for result in benchmark.results]
    by_set = {
        name: (clean[name].ap, benchmark[name].ap, benchmark.aps.only(column).minus(clean.aps.only(column)))
        for column, name in enumerate(names)
    }
    return Equalised(benchmark.detector, equaliser, clean.macro, benchmark.macro, benchmark.aps.minus(clean.aps), by_set)


def condition_key(benchmark: Benchmark) -> tuple[str, str, str]:
    """Suite, protocol and degradation of a benchmark."""
    first = benchmark.results[0]
    return benchmark.suite, first.protocol, first.degradation


def equalised_table(pairs: Sequence[Equalised], *, style: str = "github") -> str:
    """A row per detector, condition and test set, the macro mean last. In percent and percent points; style: github or latex."""
    head = ["detector", "equalised", "test set", "AP", "AP equalised", "difference", "beyond chance"]
    rows = []
    for one in pairs:
        every = {**one.by_set, "macro mean AP": (one.clean, one.equalised, one.difference)}
        for name, (clean, equalised, difference) in every.items():
            sure = "yes" if difference.excludes_zero else "no"
            rows.append([one.detector, one.condition, name, percent(clean), percent(equalised), points(difference), sure])
    if style == "latex":
        return "\n".join([grid(head, rows, style="latex"), "% " + NOTE])
    return "\n\n".join([markdown(head, rows), NOTE])


def as_plain(pair: Equalised) -> dict[str, Any]:
    """JSON values: fractions, NaN as None."""
    names = ("clean", "equalised", "difference")
    return {
        "detector": pair.detector,
        "condition": pair.condition,
        "macro_ap": {name: plain(getattr(pair, name)) for name in names},
        "test_sets": {name: dict(zip(names, map(plain, cells), strict=True)) for name, cells in pair.by_set.items()},
    }


def leaderboard_columns(condition: Condition, runs: Runs, ranked: Sequence[Standing]) -> dict[str, dict[str, str]]:
    """Two columns for every equalised counterpart of a condition, head -> detector -> cell: macro mean AP, and the difference.

    A detector that lacks a test set under the counterpart has none.  Raises DataError where the images differ.
    """
    columns: dict[str, dict[str, str]] = {}
    for other in sorted(runs):
        equaliser, rest = split_equalisers(other.degradation)
        if not equaliser or replace(other, degradation=rest) != condition:
            continue
        whole = [one for one in ranked if set(_names(one)) <= set(runs[other].get(one.detector, ()))]
        cells = {one.detector: _aps(one, runs[other][one.detector]) for one in whole}
        if cells:
            columns[f"equalised {equaliser}"] = {one.detector: percent(cells[one.detector].macro) for one in whole}
            columns[f"{equaliser} minus clean"] = {one.detector: points(cells[one.detector].minus(one.aps)) for one in whole}
    return columns


def degraded_table(condition: Condition, runs: Runs, ranked: Sequence[Standing]) -> str:
    """Macro mean AP under every stored degradation of a condition: a row for each, a column for each detector; "" where there are none.

    Raises DataError where the images differ.
    """
    names = list(DEGRADATIONS)
    found = [one for one in runs if is_degraded(one) and replace(one, degradation="none") == condition]
    found.sort(key=lambda one: (names.index(one.degradation) if one.degradation in names else len(names), one.degradation))
    rows = [["none", *(percent(one.macro) for one in ranked)]]
    for other in found:
        whole = {one.detector: one for one in ranked if set(_names(one)) <= set(runs[other].get(one.detector, ()))}
        cells = {detector: percent(_aps(one, runs[other][detector]).macro) for detector, one in whole.items()}
        if cells:
            rows.append([other.degradation, *(cells.get(one.detector, "-") for one in ranked)])
    return markdown(["degradation", *(one.detector for one in ranked)], rows) if len(rows) > 1 else ""


def is_degraded(condition: Condition) -> bool:
    """Whether images are degraded, and not only equalised."""
    return split_equalisers(condition.degradation)[1] != "none"


def _aps(clean: Standing, row: Row) -> Jackknife:
    """The APs of the same test sets under another condition. Raises DataError where images or weights differ."""
    for run in clean.runs:
        other = row[run.result.test_set]
        check_same_images(run, other)
        if run.result.provenance.identity != other.result.provenance.identity:
            raise DataError(f"{other.path} and {run.path} are of different weights. Run the older one again.")
    return jackknife([row[name].scores.at_worst() for name in _names(clean)], draws=clean.draws, seed=clean.seed)


def _names(standing: Standing) -> list[str]:
    return [run.result.test_set for run in standing.runs]
