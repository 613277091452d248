"""Sections that compare detectors: paired differences, and ranks under other conditions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cnndetect.bench.ranks import COLUMNS as RANK_COLUMNS
from cnndetect.bench.ranks import agreement, rank_rows
from cnndetect.bench.standings import differences
from cnndetect.bench.store import Condition
from cnndetect.report.figures.comparison import difference_matrix
from cnndetect.report.inputs import Inputs, Ranking
from cnndetect.report.page import Block, Cell, Data, Drawing, Section, Table, Value
from cnndetect.report.scores_sections import NONE, parts, points


def comparison_section(inputs: Inputs) -> Section:
    """Which differences between detectors of one table the pictures decide."""
    title = "Which differences are real"
    prose = [
        "Every cell is the macro mean AP of the row's detector minus that of the column's, in points. Both detectors lose the same "
        "photographs at a time, so what they find hard together cancels. Coloured and bold where the 95 % interval excludes zero.",
    ]
    caution = "Nothing is corrected for the number of pairs: of twenty pairs of equally good detectors, about one is coloured by chance."
    several = [ranking for ranking in inputs.rankings if len(ranking.standings.complete) > 1]
    if not several:
        return Section(title, "comparison", prose, missing=_more_detectors(inputs))
    blocks, findings = [], []
    for place, ranking in enumerate(several, 1):
        block, finding = _compared(ranking, "" if place == 1 else f"-{place}", titled=len(several) > 1)
        blocks.append(block)
        findings.append(finding)
    return Section(title, "comparison", prose, blocks, finding=findings[0], caution=caution)


def _compared(ranking: Ranking, suffix: str, *, titled: bool) -> tuple[Block, str]:
    complete = ranking.standings.complete
    pairs = differences(complete)
    names = [standing.detector for standing in complete]
    sure = [f"{a} above {b}" for (a, b), d in pairs.items() if d.excludes_zero]
    data = Data(["detector_a", "detector_b", "macro_ap_a_minus_b", "low", "high"], [[a, b, *parts(d)] for (a, b), d in pairs.items()])
    drawn = Drawing(
        f"differences{suffix}",
        difference_matrix(names, pairs),
        "Row minus column.",
        f"Matrix of paired differences. Beyond chance: {'; '.join(sure) or 'none'}.",
        data,
        wide=len(names) > 4,
    )
    rows: list[list[Cell]] = [
        [a, b, Value(points(d.value), d.value), f"{points(d.low)} to {points(d.high)}", "yes" if d.excludes_zero else "no"]
        for (a, b), d in pairs.items()
    ]
    head = ["detector", "minus", "difference", "95 % interval", "excludes zero"]
    table = Table(f"differences-table{suffix}", "Paired differences of macro mean AP, in points.", head, rows, data)
    finding = f"These photographs decide **{len(sure)} of {len(pairs)}** pairs of detectors; the others are ties."
    return Block(ranking.title if titled else "", [drawn], [table]), finding


def ranks_section(inputs: Inputs) -> Section:
    """Ranks under other suites, protocols and degradations, against the base."""
    title = "Stability: who keeps the rank elsewhere"
    prose = [
        f"The same detectors under every other condition with stored results, against **{inputs.base.title}**: mean AP, rank, and what "
        "changed. A positive change of rank is places gained. The CSV has the columns of timm's results tables.",
    ]
    caution = (
        "Where the suite changes, a lower AP is not a loss: other families and other pictures are another scale, and only ranks "
        "compare. Ranks of detectors that the matrix above cannot tell apart change by luck."
    )
    main = set(inputs.standings.detectors)
    runs = {condition: kept for condition, rows in inputs.runs.items() if (kept := {d: row for d, row in rows.items() if d in main})}
    ranked = rank_rows(runs, inputs.base)
    others = [row for row in ranked if row.condition != inputs.base]
    if not others:
        other = Condition(inputs.base.suite, "crop224" if inputs.base.protocol == "nocrop" else "nocrop", inputs.base.degradation)
        missing = f"No other condition has results. Make one with: `{other.command(inputs.given)}`"
        return Section(title, "ranks", prose, missing=missing)
    rows: list[list[Cell]] = []
    for row in others:
        diff = NONE if row.macro_ap_diff is None else Value(points(row.macro_ap_diff), row.macro_ap_diff)
        places = NONE if row.rank_diff is None else Value(_signed(row.rank_diff), row.rank_diff)
        rows.append(
            [
                row.detector,
                _against(row.condition, inputs.base),
                Value(f"{100 * row.macro_ap:.1f}", row.macro_ap),
                diff,
                Value(f"{row.rank:g}", row.rank),
                places,
            ]
        )
    table = Table(
        "ranks",
        f"Against {inputs.base.title}. Mean AP in percent, differences in points.",
        ["detector", "condition", "macro mean AP", "change", "rank", "change of rank"],
        rows,
        Data(RANK_COLUMNS, [row.cells(inputs.base) for row in ranked]),
    )
    tables = [table]
    correlations = agreement(ranked, inputs.base)
    if any(not np.isnan(value) for value in correlations.values()):
        cells: list[list[Cell]] = [
            [condition.title, Value("-" if np.isnan(value) else f"{value:+.2f}", value)] for condition, value in correlations.items()
        ]
        tables.append(
            Table(
                "rank-agreement",
                f"Rank correlation (Spearman) with {inputs.base.title}: 1 keeps every rank.",
                ["condition", "correlation"],
                cells,
                Data(["condition", "spearman"], [[c.title, v] for c, v in correlations.items()]),
            )
        )
    return Section(title, "ranks", prose, [Block(tables=tables)], caution=caution)


def _signed(number: float) -> str:
    return "0" if number == 0 else f"{number:+g}".replace("-", "−")


def _against(condition: Condition, base: Condition) -> str:
    """What differs from the base, in words."""
    parts: Iterable[tuple[str, str]] = (
        (condition.suite, base.suite),
        (condition.protocol, base.protocol),
        (condition.degradation, base.degradation),
    )
    return ", ".join(here if here != "none" else "undegraded" for here, there in parts if here != there)


def _more_detectors(inputs: Inputs) -> str:
    return f"Needs two detectors with every family. Score another with: `{inputs.base.command(inputs.given)} --detector FILE`"
