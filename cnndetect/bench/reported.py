"""Published figures beside those measured here with the same weights on the same images.

They are made from other code, often from other images, and have no intervals: they are never ranked with measured rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from cnndetect.bench.results import Result
from cnndetect.bench.tables import markdown
from cnndetect.data.official.catalog import DATASETS
from cnndetect.detectors.official import OFFICIAL
from cnndetect.errors import DataError
from cnndetect.files import read_record

# A difference that rounding and other libraries do not explain, as a fraction.
TOLERANCE = 0.005

FORENSYNTHS = "ForenSynths"
PAPER_SETS = tuple(group.title for group in DATASETS["forensynths"].groups.values())[:11]

METRICS = {"ap": "AP", "accuracy": "accuracy", "accuracy_real": "accuracy on reals", "accuracy_fake": "accuracy on fakes"}

HEAD = """## Reported elsewhere

Figures that others published, in percent as they printed them, from `benchmarks/reported.json`. **Other code, and where not said
otherwise other runs: never to be ranked with the rows above.** † was not read at its source. *measured here* is the same
checkpoint on test sets of the same counts, by this package; **bold** differs by more than half a point."""


class ReportedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published row."""

    detector: str
    data: str
    protocol: str
    metric: str
    source: str
    verified: bool
    values: Mapping[str, float]  # test set -> fraction
    weights: str | None = None  # name in OFFICIAL
    mean: float | None = None  # as printed, a fraction
    note: str = ""


class ReportedMean(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A published mean over the 8, 11 or 13 test sets of ForenSynths, as fractions."""

    detector: str
    data: str
    trained_on: str
    source: str
    verified: bool
    accuracy: float | None = None
    ap: float | None = None
    note: str = ""


class Reported(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    sources: Mapping[str, Mapping[str, str]]  # key -> title and url
    rows: tuple[ReportedRow, ...]
    means: tuple[ReportedMean, ...]


@dataclass(frozen=True)
class Difference:
    """A reported and a measured fraction of the same weights on the same test set."""

    row: ReportedRow
    test_set: str
    measured: float

    @property
    def points(self) -> float:
        """Measured minus reported, in percent points."""
        return 100 * (self.measured - self.row.values[self.test_set])

    @property
    def flagged(self) -> bool:
        return abs(self.points) > 100 * TOLERANCE + 1e-9


@dataclass
class _Measured:
    """Figures of one reported row that were measured here: test set -> fraction."""

    row: ReportedRow
    values: dict[str, float] = field(default_factory=dict)


def read_reported(path: str | Path) -> Reported:
    """The published figures, percent turned to fractions. Raises DataError that names what does not fit."""
    advice = "Expected sources, rows and means as in reported.json."
    reported = read_record(path, Reported, what="a file of reported figures", advice=advice, unpack=_as_fractions)
    named = [row.source for row in reported.rows] + [row.source for row in reported.means]
    problems = [f"source {source!r}" for source in named if source not in reported.sources]
    problems += [f"metric {row.metric!r}" for row in reported.rows if row.metric not in METRICS]
    problems += [f"weights {row.weights!r}" for row in reported.rows if row.weights is not None and row.weights not in OFFICIAL]
    if problems:
        raise DataError(f"{path} names what does not exist: {', '.join(problems[:5])}.")
    return reported


def differences(reported: Reported, results: Iterable[Result]) -> list[Difference]:
    """Every published figure of an official checkpoint that was measured here on the same test set."""
    kept = list(results)
    return [Difference(found.row, test_set, value) for found in _all_measured(reported, kept) for test_set, value in found.values.items()]


def reported_section(reported: Reported, results: Iterable[Result]) -> str:
    """The Markdown below the measured tables."""
    kept = list(results)
    measured = {id(found.row): found for found in _all_measured(reported, kept)}
    parts = [HEAD, ""]
    keys = dict.fromkeys((row.data, row.metric, row.protocol) for row in reported.rows)
    for data, metric, protocol in sorted(keys, key=lambda key: (key[0] != FORENSYNTHS, list(METRICS).index(key[1]), key[2])):
        rows = [row for row in reported.rows if (row.data, row.metric, row.protocol) == (data, metric, protocol)]
        parts += [f"### Reported: {data}, {METRICS[metric]}, {protocol}", "", _table(rows, measured), ""]
        parts += [f"{row.detector} ({row.source}): {row.note}." for row in rows if row.note] + [""]
    parts += ["### Reported: means over ForenSynths", "", _means(reported.means), ""]
    flagged = [difference for difference in differences(reported, kept) if difference.flagged]
    parts += ["### Reported and measured", "", *_flags(flagged, any(found.values for found in measured.values())), ""]
    parts += ["Sources: " + "; ".join(f"{key}: [{source['title']}]({source['url']})" for key, source in reported.sources.items()) + ".", ""]
    return "\n".join(parts)


def _all_measured(reported: Reported, results: Sequence[Result]) -> list[_Measured]:
    found = []
    for row in reported.rows:
        one = _Measured(row)
        for result in results:
            value = getattr(result.metrics, row.metric).value
            if result.test_set in row.values and _same(row, result) and not math.isnan(value):
                one.values[result.test_set] = value
        found.append(one)
    return found


def _same(row: ReportedRow, result: Result) -> bool:
    """Same checkpoint, protocol and images; the images are told by the counts of the released set."""
    if row.weights is None or row.data != FORENSYNTHS or not result.is_result:
        return False
    record = OFFICIAL[row.weights]
    by_digest = record.sha256 is not None and result.provenance.weights_sha256 == record.sha256
    # Where nobody knows the SHA-256, the name stands for the checkpoint, whose MD5 was checked when it was told ProGAN-only.
    by_name = record.sha256 is None and result.progan_only is True and result.detector in (record.name, record.stem)
    counts = {group.title: (group.real, group.fake) for group in DATASETS["forensynths"].groups.values()}
    alike = (result.protocol, result.degradation) == (row.protocol, "none")
    return (by_digest or by_name) and alike and counts.get(result.test_set) == (result.n_real, result.n_fake)


def _table(rows: Sequence[ReportedRow], measured: Mapping[int, _Measured]) -> str:
    known = [group.title for group in DATASETS["forensynths"].groups.values()]
    present = dict.fromkeys(name for row in rows for name in row.values)
    names = [name for name in known if name in present] + [name for name in present if name not in known]
    eleven = set(PAPER_SETS) <= set(names)
    lines: list[list[str]] = []
    for row in rows:
        mean = _mean(row.values) if row.mean is None else row.mean
        cells = [_percent(row.values.get(name)) for name in names]
        lines.append([_title(row), row.source, *([_percent(mean)] if eleven else []), *cells])
        values = measured[id(row)].values
        if values:
            cells = [_cell(row, name, values.get(name)) for name in names]
            lines.append(["*measured here*", "", *([_percent(_mean(values))] if eleven else []), *cells])
    return markdown(["detector", "source", *(["mean of 11"] if eleven else []), *names], lines)


def _cell(row: ReportedRow, test_set: str, value: float | None) -> str:
    if value is None:
        return "-"
    flagged = test_set in row.values and Difference(row, test_set, value).flagged
    return f"**{_percent(value)}**" if flagged else _percent(value)


def _means(means: Sequence[ReportedMean]) -> str:
    order = sorted(means, key=lambda row: (int(row.data), -(row.ap or 0), -(row.accuracy or 0)))
    lines = [[_title(row), row.data, row.trained_on, _percent(row.accuracy), _percent(row.ap), row.source, row.note] for row in order]
    return markdown(["detector", "sets", "trained on", "accuracy", "AP", "source", "note"], lines)


def _flags(flagged: Sequence[Difference], any_measured: bool) -> list[str]:
    if not any_measured:
        return ["No official checkpoint was measured here on the released test sets yet; docs/from-cnndetection.md tells how."]
    if not flagged:
        return ["No measured figure differs from a reported one of the same checkpoint by more than half a point."]
    return [
        f"- {one.row.detector} ({one.row.source}), {one.row.protocol}, {METRICS[one.row.metric]} on {one.test_set}: reported "
        f"{_percent(one.row.values[one.test_set])}, measured {_percent(one.measured)} ({one.points:+.1f} points)."
        for one in flagged
    ]


def _title(row: ReportedRow | ReportedMean) -> str:
    return row.detector if row.verified else f"{row.detector} †"


def _mean(values: Mapping[str, float]) -> float | None:
    """Mean over the paper's eleven to a tenth of a point, None where one is missing."""
    return round(sum(values[name] for name in PAPER_SETS) / len(PAPER_SETS), 3) if set(PAPER_SETS) <= set(values) else None


def _percent(value: float | None) -> str:
    # As many digits as were printed: one, or two.
    return "-" if value is None else f"{100 * value:.2f}".removesuffix("0")


def _as_fractions(content: dict[str, Any]) -> dict[str, Any]:
    """The file's percentages as fractions."""

    def fraction(value: Any) -> Any:
        return {name: fraction(part) for name, part in value.items()} if isinstance(value, dict) else None if value is None else value / 100

    figures = ("values", "mean", "accuracy", "ap")
    tables = {
        table: [{k: fraction(v) if k in figures else v for k, v in row.items()} for row in content[table]] for table in ("rows", "means")
    }
    return {"sources": content["sources"], **tables}
