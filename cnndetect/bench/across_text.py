"""The table over several suites as Markdown, as CSV (one row a detector, plain columns) and as JSON values."""

from __future__ import annotations

import math
import textwrap
from typing import Any

from cnndetect.bench.across import Across, Group, Line
from cnndetect.bench.leaderboard import OTHER
from cnndetect.bench.tables import markdown, percent
from cnndetect.data.official.catalog import suite_notes
from cnndetect.files import csv_text, plain
from cnndetect.metrics.intervals import Interval

PROGAN_ONLY = "Trained on ProGAN images alone"
WIDTH = 60  # of a cell in words, in characters

LEGEND = """\
Macro mean AP of each suite in percent, with 95 % intervals over photographs, [-] where there are too few of them. A detector with a
test set missing has no mean of that suite, and is not ranked. Parameters in millions. Images per second of one core of {processors},
measured by `cnndetect detectors speed`; - where nobody measured it."""


def as_markdown(table: Across) -> str:
    """Both groups, each with its ranking and its correlations, and what is known of the images."""
    degraded = "" if table.degradation == "none" else f", {table.degradation}"
    parts = [f"# {', '.join(table.suites)}, {table.protocol}{degraded}"]
    parts += [part for group in table.groups for part in _section(group, table.suites)]
    speeds = [line.facts.speed for group in table.groups for line in group.lines]
    parts.append(LEGEND.format(processors=" or ".join(sorted({one.processor for one in speeds if one})) or "a CPU"))
    lines = [f"- {suite}: {', '.join(names)}" for suite, names in table.families.items()]
    lines += [f"  - {note}" for suite, names in table.families.items() for note in suite_notes(suite, names)]
    parts.append("Test sets of the suites, and what is known of their images:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def as_csv(table: Across) -> str:
    """One row a detector. Figures are fractions; an empty cell is a figure that nobody has."""
    head = ["model", "group", "rank", "mean_macro_ap", "trained_on", "licence", "param_count", "infer_samples_per_sec", "weights_sha256"]
    head += [f"{suite}_{column}" for suite in table.suites for column in ("macro_ap", "macro_ap_low", "macro_ap_high", "families")]
    rows: list[list[object]] = []
    for group in table.groups:
        for line in group.lines:
            facts = line.facts
            millions = None if facts.parameters is None else facts.parameters / 1e6
            row: list[object] = [line.detector, "progan" if group.progan_only else "other", line.rank, line.mean]
            row += [facts.trained_on, facts.licence, millions, facts.images_per_second, line.provenance.weights_sha256]
            for suite in table.suites:
                macro = line.macros.get(suite)
                row += [None] * 4 if macro is None else [macro.value, macro.low, macro.high, len(table.families[suite])]
            rows.append(row)
    return csv_text(head, rows).rstrip("\n")


def as_plain(table: Across) -> dict[str, Any]:
    """JSON values: fractions, NaN as None."""
    return {
        "suites": {suite: list(names) for suite, names in table.families.items()},
        "protocol": table.protocol,
        "degradation": table.degradation,
        "groups": [
            {
                "progan_only": group.progan_only,
                "detectors": [_line_plain(line) for line in group.lines],
                "rank_correlations": [plain(one) for one in group.agreements],
            }
            for group in table.groups
        ],
    }


def _line_plain(line: Line) -> dict[str, Any]:
    facts = line.facts
    return {
        "detector": line.detector,
        "rank": line.rank,
        "mean_macro_ap": line.mean,
        "macro_ap": {suite: plain(macro) for suite, macro in line.macros.items()},
        "missing": {suite: list(names) for suite, names in line.lacks.items()},
        "trained_on": facts.trained_on,
        "licence": facts.licence,
        "parameters": facts.parameters,
        "images_per_second": facts.images_per_second,
        "speed": plain(facts.speed),
        "weights_sha256": line.provenance.weights_sha256,
    }


def _section(group: Group, suites: tuple[str, ...]) -> list[str]:
    head = ["rank", "detector", *suites, "mean", "trained on", "licence", "parameters", "images/s"]
    rows = [
        [
            "-" if line.rank is None else f"{line.rank:g}",
            line.detector,
            *(_macro(line, suite) for suite in suites),
            "-" if line.mean is None else f"{100 * line.mean:.1f}",
            _short(line.facts.trained_on),
            _short(line.facts.licence),
            "-" if line.facts.parameters is None else f"{line.facts.parameters / 1e6:.3g}",
            "-" if line.facts.images_per_second is None else f"{line.facts.images_per_second:.3g}",
        ]
        for line in group.lines
    ]
    parts = [f"## {PROGAN_ONLY if group.progan_only else OTHER}", markdown(head, rows)]
    if group.agreements:
        cells = [[f"{one.first} and {one.second}", one.detectors, _plus(one.spearman), _plus(one.kendall)] for one in group.agreements]
        parts.append(markdown(["rank correlation of", "detectors", "Spearman", "Kendall"], cells))
    return parts


def _macro(line: Line, suite: str) -> str:
    macro: Interval | None = line.macros.get(suite)
    return percent(macro) if macro else "incomplete" if suite in line.lacks else "-"


def _short(words: str | None) -> str:
    return "-" if not words else textwrap.shorten(words, WIDTH, placeholder=" ...").replace("|", "\\|")


def _plus(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.2f}"
