"""Paired differences in average precision between detectors on the same images, from stored scores.

Every photograph is left out once, for all detectors alike, so that what makes an image hard for both cancels:
two detectors whose intervals overlap may still be told apart. No network and no image is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from cnndetect.bench.comparison import MACRO
from cnndetect.bench.standings import standings
from cnndetect.bench.store import lacking, one_suite, read_runs
from cnndetect.bench.tables import grid, points
from cnndetect.errors import DataError, lookup
from cnndetect.files import csv_text, json_text, plain
from cnndetect.metrics.intervals import DRAWS, Interval, Jackknife

# From so many pairs on, the table says what they mean together.
MANY_PAIRS = 4


@dataclass(frozen=True)
class Contestant:
    """One detector on the test sets of a suite."""

    detector: str
    test_sets: tuple[str, ...]
    aps: Jackknife  # without each photograph, in the order of ``test_sets``
    weights_sha256: str | None = None


@dataclass(frozen=True)
class Comparison:
    """AP of detector a minus that of b, as fractions."""

    a: str
    b: str
    macro: Interval  # of the means over test sets
    by_set: dict[str, Interval]  # of each test set

    @property
    def distinguishable(self) -> bool:
        """Whether the 95 % interval of the macro difference excludes 0."""
        return self.macro.excludes_zero


@dataclass(frozen=True)
class Paired:
    """All pairs of one condition, the better detector first."""

    suite: str
    protocol: str
    degradation: str
    draws: int
    comparisons: tuple[Comparison, ...]
    incomplete: dict[str, tuple[str, ...]]  # detector -> test sets that it lacks; left out


def compare(a: Contestant, b: Contestant) -> Comparison:
    """a minus b: exactly minus what b minus a gives. Raises DataError where the two have other test sets."""
    if a.test_sets != b.test_sets:
        raise DataError(f"{a.detector} was scored on {', '.join(a.test_sets)}, {b.detector} on {', '.join(b.test_sets)}.")
    if a.detector > b.detector:  # one of the two orders is computed, the other is its mirror image
        turned = compare(b, a)
        return Comparison(a.detector, b.detector, -turned.macro, {k: -v for k, v in turned.by_set.items()})
    by_set = {name: a.aps.only(column).minus(b.aps.only(column)) for column, name in enumerate(a.test_sets)}
    return Comparison(a.detector, b.detector, a.aps.minus(b.aps), by_set)


def contestants(
    results: str | Path,
    detectors: Sequence[str] = (),
    *,
    suite: str | None = None,
    protocol: str = "nocrop",
    degradation: str = "none",
    draws: int = DRAWS,
    seed: int = 0,
    only: Callable[[str], object] = bool,
) -> tuple[str, list[Contestant], dict[str, tuple[str, ...]]]:
    """Title of the suite, every detector of one condition with all its test sets, best first, and what the others lack.

    results: the folder that the bench wrote to.  detectors: default all whose name fits ``only``.  suite: such as "mini" or
    "mini@2"; needed where several are there and none is the embedded one.  Raises DataError that names the files which were not made from the
    same images, detectors that were named but are incomplete, several suites; UnknownNameError for an unknown detector.
    """
    wanted = f"{suite or 'any suite'}, {protocol}, {degradation}"
    runs = read_runs([results], suite=suite, protocol=protocol, degradation=degradation)
    known = {name: condition for condition, every in runs.items() for name in every}
    for name in detectors if runs else ():
        lookup("detector with results", known, name)
    of_all = {condition: every for condition, every in runs.items() if every.keys() >= set(detectors)}
    ((condition, every),) = one_suite(of_all or runs, results, wanted).items()
    for name in detectors:
        lookup(f"detector with results on {condition.suite}", every, name)
    rows = {name: every[name] for name in (detectors or sorted(filter(only, every)))}
    incomplete = lacking(rows)
    if incomplete and detectors:
        named = "; ".join(f"{detector} lacks {', '.join(sets)}" for detector, sets in incomplete.items())
        raise DataError(
            f"The detectors were not scored on the same test sets of {condition.suite} ({named}). Run the bench on what is missing."
        )
    ranked = standings(rows, draws=draws, seed=seed)
    compared = [
        Contestant(standing.detector, ranked.families, standing.aps, standing.provenance.weights_sha256) for standing in ranked.complete
    ]
    return condition.suite, compared, incomplete


def paired(
    results: str | Path,
    detectors: Sequence[str] = (),
    *,
    suite: str | None = None,
    protocol: str = "nocrop",
    degradation: str = "none",
    draws: int = DRAWS,
    seed: int = 0,
) -> Paired:
    """Every pair of detectors, the one with the higher macro mean AP first. Arguments and errors: see ``contestants``."""
    title, compared, incomplete = contestants(
        results, detectors, suite=suite, protocol=protocol, degradation=degradation, draws=draws, seed=seed
    )
    if len(compared) < 2:
        named = ", ".join(contestant.detector for contestant in compared) or "none"
        raise DataError(f"A comparison needs two detectors with results on {title}, {protocol}, {degradation}; found: {named}.")
    comparisons = tuple(compare(a, b) for a, b in combinations(compared, 2))
    return Paired(suite=title, protocol=protocol, degradation=degradation, draws=draws, comparisons=comparisons, incomplete=incomplete)


def paired_table(found: Paired, *, style: str = "github") -> str:
    """Two tables, of the macro means and of each test set, in percent points.

    style: github; latex, with the words around as comments; csv, fractions with a row per pair and test set; or json.
    """
    if style == "json":
        return json_text(as_plain(found))
    if style == "csv":
        columns = ["a", "b", "test_set", "ap_difference", "ap_difference_low", "ap_difference_high", "distinguishable"]
        lines = [
            [c.a, c.b, name, one.value, one.low, one.high, one.excludes_zero]
            for c in found.comparisons for name, one in {MACRO: c.macro, **c.by_set}.items()
        ]  # fmt: skip
        return csv_text(columns, lines).rstrip("\n")
    latex = style == "latex"
    minus = " minus " if latex else " − "

    def words(text: str) -> str:
        return f"% {text}" if latex else text

    degraded = "" if found.degradation == "none" else f", degradation {found.degradation}"
    head = f"Average precision on {found.suite}, protocol {found.protocol}{degraded}: A minus B, in percent points"
    macro = [[c.a, c.b, points(c.macro), "yes" if c.distinguishable else "no"] for c in found.comparisons]
    names = list(found.comparisons[0].by_set)
    cells = [[c.a + minus + c.b, *(points(c.by_set[n]) + " *" * c.by_set[n].excludes_zero for n in names)] for c in found.comparisons]
    parts = [
        words(head),
        grid(["A", "B", MACRO, "distinguishable"], macro, style=style),
        words(_note(found)),
        words("Test set by test set (* the interval excludes 0)"),
        grid([f"A{minus}B", *names], cells, style=style),
    ]
    if found.incomplete:
        lacking = "; ".join(f"{name} lacks {', '.join(sets)}" for name, sets in found.incomplete.items())
        parts.append(words(f"Left out, as test sets are missing: {lacking}."))
    return "\n\n".join(parts)


def as_plain(found: Paired) -> dict:
    """JSON values: fractions, NaN as None."""
    return {
        "suite": found.suite, "protocol": found.protocol, "degradation": found.degradation, "draws": found.draws,
        "corrected_for_multiple_comparisons": False, "incomplete": {name: list(sets) for name, sets in found.incomplete.items()},
        "pairs": [
            {"a": c.a, "b": c.b, "distinguishable": c.distinguishable, "macro_ap": plain(c.macro),
             "test_sets": {name: {**plain(one), "distinguishable": one.excludes_zero} for name, one in c.by_set.items()}}
            for c in found.comparisons
        ],
    }  # fmt: skip


def _note(found: Paired) -> str:
    words = (
        "95 % intervals over photographs of the paired difference: both detectors without the same photographs. "
        "Distinguishable: the interval of the macro difference excludes 0. Nothing is said about other training seeds."
    )
    if len(found.comparisons) < MANY_PAIRS:
        return words
    return (
        f"{words} The intervals are not corrected for the number of comparisons: of {len(found.comparisons)} pairs that were truly equal, "
        f"about {0.05 * len(found.comparisons):.1f} would be called distinguishable."
    )
