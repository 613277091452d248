"""Tables of benchmarks: the only place where a fraction becomes a percentage."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from tabulate import tabulate

from cnndetect.bench.selection import selection_lines
from cnndetect.counting import counted
from cnndetect.data.official.catalog import suite_notes
from cnndetect.files import plain
from cnndetect.metrics.intervals import Interval

if TYPE_CHECKING:
    from cnndetect.bench.results import Result
    from cnndetect.bench.run import Benchmark

INTERVALS = (
    "Percent, with 95 % intervals over photographs; [-] where there are too few of them, see docs/numbers.md. "
    "* at the threshold and, for ECE, the temperature frozen on validation."
)

COLUMNS = {
    "ap": "AP",
    "auc": "AUC",
    "accuracy_real": "acc real",
    "accuracy_fake": "acc fake",
    "accuracy_real_fitted": "acc real*",
    "accuracy_fake_fitted": "acc fake*",
    "tpr_at_fpr_1": "TPR@1%",
    "tpr_at_fpr_5": "TPR@5%",
    "ece": "ECE",
}


def benchmark_table(benchmark: Benchmark, *, style: str = "github") -> str:
    """One row per test set, the macro mean as headline below. In percent; style: github, latex or html."""
    head = ["test set", *COLUMNS.values(), "ECE*", "real/fake", "failed"]
    rows: list[list[object]] = [
        [r.test_set, *(percent(getattr(r.metrics, name)) for name in COLUMNS), _calibrated(r), f"{r.n_real}/{r.n_fake}", r.n_failed]
        for r in benchmark.results
    ]
    empty: list[object] = [""] * (len(head) - 2)
    rows.append(["**macro mean AP**" if style == "github" else "macro mean AP", percent(benchmark.macro), *empty])
    rows.append(["pooled AP", percent(benchmark.pooled), *empty])
    text = grid(head, rows, style=style)
    around = [_title(benchmark), _legend(benchmark)]
    if style == "html":
        around = [f"<p>{html.escape(words)}</p>" for words in around]
    if style == "latex":
        around = ["% " + words.replace("\n", "\n% ") for words in around]
    return "\n".join([around[0], "", text, "", around[1]])


def percent(interval: Interval) -> str:
    """A figure in percent with its interval.

    >>> percent(Interval(0.5, 0.4, 0.6)), percent(Interval(1.0, float("nan"), float("nan")))
    ('50.0 [40.0, 60.0]', '100.0 [-]')
    """
    if np.isnan(interval.value):
        return "-"
    if np.isnan(interval.low):
        return f"{100 * interval.value:.1f} [-]"
    return f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def points(interval: Interval) -> str:
    """A difference in percent points with its sign and interval.

    >>> points(Interval(0.012, -0.004, 0.03))
    '+1.2 [-0.4, +3.0]'
    """
    if np.isnan(interval.low):
        return f"{100 * interval.value:+.1f} [-]"
    return f"{100 * interval.value:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def as_plain(benchmark: Benchmark) -> dict:
    """JSON values: fractions, NaN as None."""
    return {
        "detector": benchmark.detector,
        "suite": benchmark.suite,
        "is_result": benchmark.is_result,
        "notes": suite_notes(benchmark.suite, [r.test_set for r in benchmark.results]),
        "macro_ap": plain(benchmark.macro),
        "pooled_ap": plain(benchmark.pooled),
        "test_sets": {
            r.test_set: {
                "n_real": r.n_real,
                "n_fake": r.n_fake,
                "n_failed": r.n_failed,
                "failed": r.failed,
                "protocol": r.protocol,
                "degradation": r.degradation,
                "threshold_logit": r.threshold_logit,
                "ece_calibrated": r.ece_calibrated,
                "selection": plain(r.selection),
                "metrics": plain(r.metrics),
            }
            for r in benchmark.results
        },
    }


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A plain Markdown table."""
    return grid(head, rows)


def grid(head: Sequence[str], rows: Sequence[Sequence[object]], *, style: str = "github") -> str:
    """The cells of a table as they are, without words around. style: latex (booktabs), html; Markdown for every other."""
    formats = {"latex": "latex_booktabs", "html": "html"}
    return tabulate(rows, head, tablefmt=formats.get(style, "github"), disable_numparse=True)


def condition_of(benchmark: Benchmark) -> str:
    """Suite, protocol and degradation, in words."""
    first = benchmark.results[0]
    degraded = "" if first.degradation == "none" else f", degradation {first.degradation}"
    return f"{benchmark.suite}, protocol {first.protocol}{degraded}"


def _calibrated(result: Result) -> str:
    return "-" if result.ece_calibrated is None else f"{100 * result.ece_calibrated:.1f}"


def _title(benchmark: Benchmark) -> str:
    title = f"{benchmark.detector} on {condition_of(benchmark)}"
    return title if benchmark.is_result else f"{title} -- NOT A RESULT: limited to {benchmark.results[0].trial}"


def _legend(benchmark: Benchmark) -> str:
    failed = sum(r.n_failed for r in benchmark.results)
    chosen = selection_lines(benchmark.results[0].selection)
    lines = [INTERVALS, *(["Chosen before, and on what:", *(f"- {line}" for line in chosen)] if chosen else [])]
    if failed:
        lines.append(f"{counted(failed, 'image')} failed, counted as the worst of the class:")
        lines += [f"  {r.test_set}: {line}" for r in benchmark.results for line in r.failed]
    known = suite_notes(benchmark.suite, [r.test_set for r in benchmark.results])
    if known:
        lines += ["Known of these images:", *(f"- {line}" for line in known)]
    return "\n".join(lines)
