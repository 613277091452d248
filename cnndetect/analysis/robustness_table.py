"""Measure the robustness of a detector on a suite, scoring what is missing, and write it as text, JSON or CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tabulate import tabulate

from cnndetect.analysis.robustness import CLEAN, DRAWS, Robustness, as_rows, degraded_scores, robustness
from cnndetect.bench.run import Options, score_suite
from cnndetect.bench.suites import Suite
from cnndetect.bench.tables import percent
from cnndetect.detectors.base import Detector
from cnndetect.files import plain, write_csv
from cnndetect.metrics.intervals import Interval
from cnndetect.progress import bar
from cnndetect.transforms.degrade import DEGRADATIONS, PAPER_BLUR, PAPER_JPEG, in_order, steps

GROUPS = {
    "paper": (*PAPER_BLUR, *PAPER_JPEG[1:]),
    "short": (CLEAN, "jpeg_75", "blur_1", "resize_0.5", "web", "hard"),
    "all": tuple(DEGRADATIONS),
}


def measure(
    detector: Detector, suite: Suite, degradations: Sequence[str], options: Options, *, results: Path, draws: int = DRAWS
) -> Robustness:
    """Score what is missing of a suite under each degradation, and measure it; only what was asked for is read back."""
    for name in bar(degradations, desc=f"{detector.name} {suite.title}", unit="degradation"):
        score_suite(detector, suite, replace(options, degradation=name), results=results)
    runs = degraded_scores(results, detector.name, suite=suite.title, protocol=options.protocol)
    here = {test_set.name for test_set in suite.sets}
    kept = {name: {one: scores for one, scores in runs[name].items() if one in here} for name in degradations}
    return robustness(kept, draws=draws, seed=options.seed)


def chosen(words: Sequence[str]) -> list[str]:
    """Degradations behind names and groups, the image itself first, equalised ones last. Raises UnknownNameError.

    >>> chosen(["web", "jpeg_75"])
    ['none', 'jpeg_75', 'web']
    """
    wanted = {CLEAN}
    for word in words:
        wanted |= set(GROUPS[word]) if word in GROUPS else {word}
        if word not in GROUPS:
            steps(word)
    return in_order(wanted)


def as_text(found: Robustness) -> str:
    """A table over all test sets, then AP by test set."""
    head = ["degradation", "AP", "reals move by", "fakes move by", "reals above", "fakes above", "what moves"]
    rows = [
        [
            point.degradation + (" *" if point.resized else ""),
            percent(point.ap),
            _shift(point.real_shift),
            _shift(point.fake_shift),
            _share(point.reals_above),
            _share(point.fakes_above),
            point.reading,
        ]
        for point in found.overall
    ]
    title = f"{found.detector} on {found.suite}, protocol {found.protocol}: median shifts of logits, clean spread {found.spread:.2f}"
    columns = list(found.by_set)
    by_name = {one: {point.degradation: point for point in points} for one, points in found.by_set.items()}
    each = [[point.degradation, *(f"{100 * by_name[one][point.degradation].ap.value:.1f}" for one in columns)] for point in found.overall]
    tables = [tabulate(rows, head, tablefmt="github", disable_numparse=True)]
    if len(columns) > 1:
        tables.append(tabulate(each, ["AP", *columns], tablefmt="github", disable_numparse=True))
    note = "* another size: the detector sees fewer or more pixels." if any(point.resized for point in found.overall) else ""
    return "\n\n".join([title, *tables, *([note] if note else [])])


def as_plain(found: Robustness) -> dict[str, object]:
    """For JSON."""
    return {
        "detector": found.detector,
        "suite": found.suite,
        "protocol": found.protocol,
        "spread": found.spread,
        "overall": plain(as_rows(found.overall)),
        "by_set": {name: plain(as_rows(points)) for name, points in found.by_set.items()},
    }


def write_points(path: Path, found: Sequence[Robustness]) -> None:
    """CSV: one row a detector, test set ("all" for all of them) and degradation; whole or not at all."""
    rows = [
        {"detector": one.detector, "suite": one.suite, "protocol": one.protocol, "test_set": name, **row}
        for one in found
        for name, points in {"all": one.overall, **one.by_set}.items()
        for row in as_rows(points)
    ]
    write_csv(path, rows)


def _share(share: float) -> str:
    return "-" if share != share else f"{100 * share:.0f}"


def _shift(shift: Interval) -> str:
    if np.isnan(shift.value):
        return "-"
    return f"{shift.value:+.2f} " + ("[-]" if np.isnan(shift.low) else f"[{shift.low:+.2f}, {shift.high:+.2f}]")
