"""Several detectors on one suite as one table: for a terminal, as CSV for one data frame, as LaTeX, as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cnndetect.bench.audits import SHORTCUTS, StoredAudit, shortcut_lines
from cnndetect.bench.audits import as_plain as audit_as_plain
from cnndetect.bench.equalised import as_plain as pair_as_plain
from cnndetect.bench.equalised import counterpart, equalised_pairs, equalised_table
from cnndetect.bench.seeds import HEAD as SEEDS
from cnndetect.bench.seeds import NOTE as SEED_NOTE
from cnndetect.bench.seeds import seed_spreads
from cnndetect.bench.standings import differences as paired_differences
from cnndetect.bench.tables import COLUMNS, as_plain, benchmark_table, condition_of, grid, percent, points
from cnndetect.counting import counted
from cnndetect.data.official.catalog import suite_notes
from cnndetect.errors import ProtocolError
from cnndetect.files import json_text, plain
from cnndetect.metrics.intervals import Interval

if TYPE_CHECKING:
    from cnndetect.bench.run import Benchmark

WIDTH = 120
MACRO, POOLED = "macro mean AP", "pooled AP"


def table_of(
    benchmarks: Sequence[Benchmark], *, style: str = "github", audits: Mapping[tuple[str, str], StoredAudit] = MappingProxyType({})
) -> str:
    """The answer to a run: the table of each suite, a comparison where several detectors were run, clean beside equalised.

    style: github, latex, csv (fractions, one header for all) or json.  audits: by suite and test set; what they found stands below.
    """
    if style == "json":
        return json_text([_as_plain(one, benchmarks, audits) for one in benchmarks])
    if style == "csv":
        return csv_of(benchmarks)
    conditions: dict[str, list[Benchmark]] = {}
    for one in benchmarks:
        conditions.setdefault(condition_of(one), []).append(one)
    tables = [benchmark_table(row[0], style=style) if len(row) == 1 else comparison_table(row, style=style) for row in conditions.values()]
    pairs, lines = equalised_pairs(benchmarks), shortcut_lines(audits, benchmarks)
    below = "\n".join(f"% {line}" if style == "latex" else line for line in ([SHORTCUTS, *lines] if lines else []))
    return "\n\n".join([*tables, *([equalised_table(pairs, style=style)] if pairs else []), *([below] if below else [])])


def _as_plain(one: Benchmark, benchmarks: Sequence[Benchmark], audits: Mapping[tuple[str, str], StoredAudit]) -> dict[str, Any]:
    """A benchmark as JSON values, with its difference to the clean one and the audits of its test sets."""
    content = as_plain(one)
    pair = counterpart(one, benchmarks)
    if pair is not None:
        content["equalised"] = pair_as_plain(pair)
    for name, row in content["test_sets"].items():
        if (one.suite, name) in audits:
            row["audit"] = audit_as_plain(audits[one.suite, name])
    return content


def comparison_table(benchmarks: Sequence[Benchmark], *, style: str = "github") -> str:
    """AP of several detectors on one suite: a row per test set, a column per detector, then their differences in pairs.

    At most 120 characters wide: more detectors continue below.  Raises ProtocolError for different suites or conditions.
    """
    conditions = {condition_of(one) for one in benchmarks}
    if len(conditions) > 1:
        raise ProtocolError(f"Got results of {'; '.join(sorted(conditions))}. A comparison needs one suite, protocol and degradation.")
    names = [result.test_set for result in benchmarks[0].results]
    first = [*names, MACRO, POOLED]
    columns = {one.detector: [*(percent(one[name].ap) for name in names), percent(one.macro), percent(one.pooled)] for one in benchmarks}
    spreads = seed_spreads({one.detector: one.macro.value for one in benchmarks})
    if spreads:
        first.append(SEEDS)
        columns = {name: [*cells, spreads.get(name, "-")] for name, cells in columns.items()}
    trial = "" if all(one.is_result for one in benchmarks) else " -- NOT A RESULT: limited"
    title = f"Average precision on {conditions.pop()}{trial}"
    failed = [f"{one.detector}: {counted(count, 'image')} failed" for one in benchmarks if (count := sum(r.n_failed for r in one.results))]
    notes = [
        "Percent, with 95 % intervals over photographs; [-] where there are too few.",
        *([SEED_NOTE] if spreads else []),
        *failed,
        *suite_notes(benchmarks[0].suite, names),
    ]
    pairs = [
        [f"{a} minus {b}", points(difference), "yes" if difference.excludes_zero else "no"]
        for (a, b), difference in differences(benchmarks).items()
    ]
    pair_head = ["macro mean AP, points", "difference", "beyond chance"]
    if style == "latex":
        body = grid(["test set", *columns], _rows(first, columns), style="latex")
        comments = [title, *notes, *(f"{pair}: {value}, beyond chance: {sure}" for pair, value, sure in pairs)]
        return "\n".join(["% " + comments[0], body, *("% " + line for line in comments[1:])])
    blocks = [grid(["test set", *chunk], _rows(first, chunk)) for chunk in _chunks(first, columns)]
    return "\n\n".join([title, *blocks, grid(pair_head, pairs), "\n".join(notes)])


def differences(benchmarks: Sequence[Benchmark]) -> dict[tuple[str, str], Interval]:
    """(a, b) -> macro mean AP of a minus that of b, both without the same photographs; the better one is a."""
    ordered: list[Benchmark] = sorted(benchmarks, key=lambda one: (-one.macro.value, one.detector))
    return paired_differences(ordered)


def csv_of(benchmarks: Sequence[Benchmark]) -> str:
    """One header, a row per detector and test set, and two for the means; figures are fractions."""
    buffer = io.StringIO()
    rows = [row for one in benchmarks for row in (*records_of(one), *_mean_records(one))]
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().rstrip("\n")


def records_of(benchmark: Benchmark) -> list[dict[str, Any]]:
    """A flat row per test set, for CSV and data frames: fractions, None where a figure or a bound does not exist."""
    rows = []
    for r in benchmark.results:
        row: dict[str, Any] = {"detector": r.detector, "suite": r.suite, "test_set": r.test_set, "protocol": r.protocol}
        row |= {"degradation": r.degradation, "n_real": r.n_real, "n_fake": r.n_fake, "n_failed": r.n_failed, "is_result": r.is_result}
        for name in COLUMNS:
            row |= _figure(name, getattr(r.metrics, name))
        row["ece_calibrated"] = r.ece_calibrated
        rows.append(row)
    return rows


def _mean_records(benchmark: Benchmark) -> list[dict[str, Any]]:
    empty = dict.fromkeys(records_of(benchmark)[0])
    named = {"detector": benchmark.detector, "suite": benchmark.suite}
    return [
        {**empty, **named, "test_set": title, **_figure("ap", mean)}
        for title, mean in ((MACRO, benchmark.macro), (POOLED, benchmark.pooled))
    ]


def _figure(name: str, interval: Interval) -> dict[str, float | None]:
    value, low, high = plain([interval.value, interval.low, interval.high])
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _rows(first: Sequence[str], columns: dict[str, list[str]]) -> list[tuple[str, ...]]:
    return list(zip(first, *columns.values(), strict=True))


def _chunks(first: Sequence[str], columns: dict[str, list[str]]) -> list[dict[str, list[str]]]:
    """Detectors in groups whose table is at most WIDTH wide."""
    chunks: list[dict[str, list[str]]] = []
    used = WIDTH
    for name, cells in columns.items():
        wide = 3 + max(len(name), *map(len, cells))
        if used + wide > WIDTH:
            chunks.append({})
            used = 4 + max(map(len, first))
        chunks[-1][name] = cells
        used += wide
    return chunks
