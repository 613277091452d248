"""Audit every test set of a suite, and print the audits as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from cnndetect.analysis.audit.files import FileFacts
from cnndetect.analysis.audit.verdict import BIASED, METADATA_BAR, STATISTICS_BAR, Audit, ClassFacts, audit_set, shown
from cnndetect.bench.suites import Suite
from cnndetect.metrics.intervals import DRAWS
from cnndetect.progress import bar


def audit_suite(suite: Suite, *, against: Sequence[FileFacts] = (), draws: int = DRAWS) -> list[Audit]:
    """An Audit of every test set, in the suite's order; a file that several sets share is read once."""
    known: dict[Path, FileFacts] = {}
    sets = bar(suite.sets, desc=f"audit {suite.title}", unit="set")
    return [audit_set(one.root, name=one.name, against=against, draws=draws, known=known) for one in sets]


def as_text(audits: Sequence[Audit]) -> str:
    """A table of verdicts, then each test set with its reasons."""
    head = [
        "test set",
        "verdict",
        "real/fake",
        f"AP by files (bar {METADATA_BAR:.2f})",
        "AP by file size",
        f"AP by history (bar {METADATA_BAR:.2f})",
        f"AP by global statistics (bar {STATISTICS_BAR:.2f})",
        "duplicates",
    ]
    rows = [
        [
            a.name,
            a.verdict.upper() if a.verdict == BIASED else a.verdict,
            f"{a.real.count}/{a.fake.count}",
            shown(a.metadata),
            shown(a.length),
            shown(a.history),
            shown(a.statistics),
            sum(not p.same_photograph for p in a.pairs),
        ]
        for a in audits
    ]
    return "\n\n".join([tabulate(rows, head, tablefmt="github", disable_numparse=True), *map(_paragraph, audits)])


def _paragraph(audit: Audit) -> str:
    lines = [f"{audit.name}: {audit.verdict.upper() if audit.verdict == BIASED else audit.verdict}"]
    lines += [f"  ! {reason}" for reason in audit.reasons]
    lines += [f"  - {note}" for note in audit.notes]
    lines += [f"  {name}: {_class(part)}" for name, part in (("real", audit.real), ("fake", audit.fake))]
    return "\n".join(lines)


def _class(part: ClassFacts) -> str:
    words = [", ".join(_top(counts)) for counts in (part.formats, part.modes, part.sizes)]
    if part.jpeg_quality:
        low, middle, high = part.jpeg_quality
        words.append(f"JPEG quality {middle:.0f} ({low:.0f} to {high:.0f})")
    if part.bytes_per_pixel:
        words.append(f"{part.bytes_per_pixel[1]:.2f} bytes a pixel")
    words.append(f"encoders: {'; '.join(_top(part.encoders))}" if any(part.encoders) else "encoder unknown")
    words.append(f"metadata: {', '.join(_top(part.metadata)) or 'none'}")
    return " | ".join(words)


def _top(counts: dict[str, int], most: int = 3) -> list[str]:
    shown = [f"{name} x{count}" for name, count in list(counts.items())[:most]]
    return shown + ([f"and {len(counts) - most} more"] if len(counts) > most else [])
