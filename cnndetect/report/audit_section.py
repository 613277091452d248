"""The report's section that says whether the files of a suite give the answer away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnndetect.analysis.audit.files import FileFacts
from cnndetect.analysis.audit.verdict import METADATA_BAR, STATISTICS_BAR, Audit, audit_set
from cnndetect.bench.tables import percent
from cnndetect.metrics.intervals import Interval
from cnndetect.report.figures.leaderboard import forest
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Block, Cell, Data, Drawing, Section, Table, Value

_KINDS = {"files alone": "metadata", "length of files": "length", "history of pixels": "history", "pixel statistics": "statistics"}
_DRAWS = 500  # the intervals are for the eye; `python -m cnndetect.audit` draws more


def audit_section(inputs: Inputs) -> Section:
    """A verdict per test set, and what tells its classes apart without looking for a generator."""
    title, prose = (
        "Audit: can the files tell real from fake?",
        [
            "Four classifiers that know nothing of generators. **Files alone**: container, encoder, size, metadata; **history of pixels**: "
            f"an earlier JPEG compression or resizing; above {METADATA_BAR:.2f} the test set is not quiet, and a detector may have "
            "learned the file format. **Length of files** and "
            f"**pixel statistics** (colour, contrast, sharpness, noise): above {STATISTICS_BAR:.2f} the fakes can be found without a network.",
            "**Not to be read as:** a fault of the files where only pixel statistics are high. That is a property of the generator: it says "
            "that the family is easy, and that a high AP on it proves little.",
        ],
    )
    absent = inputs.no_images("python -m cnndetect.audit {suite}")
    if absent:
        return Section(title, "audit", prose, missing=absent)
    assert inputs.suite is not None
    known: dict[Path, FileFacts] = {}  # shared reals are read once
    options: dict[str, Any] = {"known": known, "draws": min(_DRAWS, inputs.draws), "seed": inputs.seed}
    audits = [audit_set(one.root, name=one.name, **options) for one in inputs.suite.sets]

    kinds = list(_KINDS)
    table = {audit.name: {kind: _of(audit, kind) for kind in kinds} for audit in audits}
    drawings = []
    for audit in audits:
        row = table[audit.name]
        figure = forest(table, detectors=kinds, chance={name: 0.5 for name in table}, only=[audit.name])
        words = "; ".join(f"{kind} {percent(ap)}" for kind, ap in row.items())
        data = Data(["test_set", "classifier", "ap", "low", "high"], [[audit.name, k, a.value, a.low, a.high] for k, a in row.items()])
        drawings.append(Drawing(f"audit-{audit.name}", figure, f"Verdict: **{_shown(audit)}**.", f"Audit of {audit.name}: {words}", data))
    head = ["test set", "verdict", *kinds, "doubles", "unreadable", "real", "fake", "why"]
    rows = [_row(audit) for audit in audits]
    data = Data(
        ["test_set", "verdict", *(f"ap_{name}" for name in _KINDS.values()), "doubles", "unreadable", "reasons", "notes"],
        [
            [a.name, a.verdict, *(_of(a, k).value for k in kinds), _doubles(a), _unreadable(a), " | ".join(a.reasons), " | ".join(a.notes)]
            for a in audits
        ],
    )
    caption = "AP in percent of classifiers that see no generator; chance is 50."
    return Section(title, "audit", prose, [Block(drawings=drawings, tables=[Table("audit", caption, head, rows, data)])])


def _row(audit: Audit) -> list[Cell]:
    cells: list[Cell] = [audit.name, _shown(audit)]
    for kind in _KINDS:
        ap = _of(audit, kind)
        cells.append(Value(percent(ap), ap.value))
    why = "; ".join(audit.reasons) or "nothing found"
    size = [f"{_most(part.formats)}, {_most(part.sizes)}" for part in (audit.real, audit.fake)]
    counts = [Value(str(count), count) for count in (_doubles(audit), _unreadable(audit))]
    return [*cells, *counts, *size, why]


def _of(audit: Audit, kind: str) -> Interval:
    return getattr(audit, _KINDS[kind])


def _doubles(audit: Audit) -> int:
    """Equal or nearly equal pictures that no name announces."""
    return sum(not pair.same_photograph for pair in audit.pairs)


def _unreadable(audit: Audit) -> int:
    return audit.real.unreadable + audit.fake.unreadable


def _shown(audit: Audit) -> str:
    return audit.verdict if audit.verdict == "quiet" else audit.verdict.upper()


def _most(counts: dict[str, int]) -> str:
    if not counts:
        return "-"
    first = next(iter(counts))
    return first if len(counts) == 1 else f"{first} and {len(counts) - 1} more"
