"""The report's section on shortcuts: whether the files, or plain statistics of the pixels, give the answer away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cnndetect.analysis.audit import classify, duplicates, files, pixels, verdict
from cnndetect.analysis.audit.files import FileFacts
from cnndetect.analysis.audit.verdict import METADATA_BAR, STATISTICS_BAR, ClassFacts, audit_set
from cnndetect.bench.suites import TestSet
from cnndetect.bench.tables import percent
from cnndetect.data.folders import scan
from cnndetect.files import json_text
from cnndetect.kept import content_of, kept_record
from cnndetect.metrics.intervals import Interval
from cnndetect.report.figures.leaderboard import forest
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Block, Cell, Data, Drawing, Section, Table, Value

_KINDS = {"files alone": "metadata", "length of files": "length", "history of pixels": "history", "pixel statistics": "statistics"}
_CODE = (classify, duplicates, files, pixels, verdict)
_DRAWS = 500  # the intervals are for the eye; `cnndetect audit` draws more


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows of an audit, in a form that is kept for the next report."""

    name: str
    verdict: str
    figures: dict[str, tuple[float | None, float | None, float | None]]
    """Classifier -> average precision and its bounds, None where there are none; chance is one half."""
    duplicates: int
    """Equal or nearly equal pictures that no name announces."""
    unreadable: int
    sizes: tuple[str, str]
    """Format and size most files have, reals and fakes."""
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def aps(self) -> dict[str, Interval]:
        # In the order of the columns; JSON keeps none.
        return {kind: Interval(*(np.nan if part is None else part for part in self.figures[kind])) for kind in _KINDS}


def audit_section(inputs: Inputs) -> Section:
    """A verdict per test set, and what tells its classes apart without looking for a generator."""
    title, prose = (
        "Shortcuts: what tells real from fake without a detector",
        [
            "Four classifiers that know nothing of generators. **Files alone**: container, encoder, size, metadata. **History of pixels**: "
            f"an earlier JPEG compression or resizing. Where one of these is above {METADATA_BAR:.2f} the test set is not quiet, and a "
            "detector may have learned how files were saved. **Length of files** and "
            f"**pixel statistics** (colour, contrast, sharpness, noise): above {STATISTICS_BAR:.2f} the fakes can be found without a network.",
        ],
    )
    absent = inputs.no_images("cnndetect audit --suite {suite}")
    if absent:
        return Section(title, "audit", prose, missing=absent)
    assert inputs.suite is not None
    known: dict[Path, FileFacts] = {}  # shared reals are read once
    options: dict[str, Any] = {"draws": min(_DRAWS, inputs.draws), "seed": inputs.seed}
    audits = [_kept(one, known, options) for one in inputs.suite.sets]

    kinds = list(_KINDS)
    table = {audit.name: audit.aps for audit in audits}
    drawings = []
    for audit in audits:
        figure = forest(table, detectors=kinds, chance={name: 0.5 for name in table}, only=[audit.name])
        words = "; ".join(f"{kind} {percent(ap)}" for kind, ap in audit.aps.items())
        points = [[audit.name, kind, ap.value, ap.low, ap.high] for kind, ap in audit.aps.items()]
        data = Data(["test_set", "classifier", "ap", "low", "high"], points)
        drawings.append(Drawing(f"audit-{audit.name}", figure, f"Verdict: **{_shown(audit)}**.", f"Audit of {audit.name}: {words}", data))
    head = ["test set", "verdict", *kinds, "duplicates", "unreadable", "real", "fake", "why"]
    data = Data(
        ["test_set", "verdict", *(f"ap_{name}" for name in _KINDS.values()), "duplicates", "unreadable", "reasons", "notes"],
        [
            [a.name, a.verdict, *(a.aps[k].value for k in kinds), a.duplicates, a.unreadable, " | ".join(a.reasons), " | ".join(a.notes)]
            for a in audits
        ],
    )
    caption = "AP in percent of classifiers that see no generator; chance is 50."
    blocks = [
        Block(tables=[Table("audit", caption, head, [_row(audit) for audit in audits], data)]),
        Block("The same as charts", drawings, folded=True),
    ]
    caution = (
        "Where only pixel statistics are high, the files are not at fault. That is a property of the generator: the "
        "family is easy, and a high AP on it proves little."
    )
    return Section(title, "audit", prose, blocks, finding=_finding(audits), caution=caution)


def _kept(test_set: TestSet, known: dict[Path, FileFacts], options: dict[str, Any]) -> Found:
    def make() -> Found:
        audit = audit_set(test_set.root, name=test_set.name, known=known, **options)
        return Found(
            name=audit.name,
            verdict=audit.verdict,
            figures={kind: _parts(getattr(audit, field)) for kind, field in _KINDS.items()},
            duplicates=sum(not pair.same_photograph for pair in audit.pairs),
            unreadable=audit.real.unreadable + audit.fake.unreadable,
            sizes=(_common(audit.real), _common(audit.fake)),
            reasons=audit.reasons,
            notes=audit.notes,
        )

    return kept_record("audit", [content_of(scan(test_set.root)), test_set.name, json_text(options)], _CODE, make, Found)


def _parts(ap: Interval) -> tuple[float | None, float | None, float | None]:
    value, low, high = (None if np.isnan(part) else float(part) for part in (ap.value, ap.low, ap.high))
    return value, low, high


def _finding(audits: Sequence[Found]) -> str:
    quiet = sum(audit.verdict == "quiet" for audit in audits)
    easy = [audit.name for audit in audits if audit.aps["pixel statistics"].value > STATISTICS_BAR]
    files = f"The files give nothing away on **{quiet} of {len(audits)}** test sets."
    if not easy:
        return f"{files} No family is found by plain pixel statistics."
    return f"{files} Pixel statistics alone find the fakes of {', '.join(easy)} (AP above {100 * STATISTICS_BAR:.0f} %)."


def _row(audit: Found) -> list[Cell]:
    aps = [Value(percent(ap), ap.value) for ap in audit.aps.values()]
    counts = [Value(str(count), count) for count in (audit.duplicates, audit.unreadable)]
    return [audit.name, _shown(audit), *aps, *counts, *audit.sizes, "; ".join(audit.reasons) or "nothing found"]


def _common(part: ClassFacts) -> str:
    return f"{_most(part.formats)}, {_most(part.sizes)}"


def _shown(audit: Found) -> str:
    return audit.verdict if audit.verdict == "quiet" else audit.verdict.upper()


def _most(counts: dict[str, int]) -> str:
    if not counts:
        return "-"
    first = next(iter(counts))
    return first if len(counts) == 1 else f"{first} and {len(counts) - 1} more"
