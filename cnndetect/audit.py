"""``python -m cnndetect.audit``: parse, call, print. Answers go to stdout, progress to stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate
from tqdm import tqdm

from cnndetect.analysis.audit.files import FileFacts
from cnndetect.analysis.audit.verdict import BIASED, METADATA_BAR, STATISTICS_BAR, Audit, ClassFacts, audit_set, shown, training_facts
from cnndetect.bench.suites import Suite, find_suites
from cnndetect.command import guarded
from cnndetect.metrics.intervals import DRAWS

EXAMPLES = """\
Exit status: 0 nothing biased, 1 some test set is biased or holds unreadable files, 2 misused.

examples:
  python -m cnndetect.audit mini
  python -m cnndetect.audit my-test-sets/ --against my-training-set/ --json > audit.json
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, audit, print; 0 done, 1 failed or biased, 2 misused."""
    options = make_parser().parse_args(arguments)

    def run() -> int:
        against = training_facts(options.against) if options.against else []
        audits = [audit for suite in find_suites(options.suite) for audit in audit_suite(suite, against=against, draws=options.draws)]
        print(json.dumps([a.as_plain() for a in audits], indent=1, allow_nan=False) if options.json else as_text(audits))
        return 1 if any(a.verdict == BIASED or a.real.unreadable or a.fake.unreadable for a in audits) else 0

    return guarded(run, resumes=False)


def make_parser() -> argparse.ArgumentParser:
    """The options of `python -m cnndetect.audit`."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.audit",
        description="Can real and fake be told apart by their files? Are pictures there twice?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("suite", metavar="SUITE|FOLDER", help="all, mini, or a folder with 0_real/ and 1_fake/")
    parser.add_argument("--against", type=Path, metavar="DIR", help="a training folder: whatever is in both is a leak")
    parser.add_argument("--json", action="store_true", help="everything that was found, for machines")
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N", help="bootstrap draws (default: %(default)s)")
    return parser


def audit_suite(suite: Suite, *, against: Sequence[FileFacts] = (), draws: int = DRAWS) -> list[Audit]:
    """An Audit of every test set, in the suite's order; a file that several sets share is read once."""
    known: dict[Path, FileFacts] = {}
    sets = tqdm(suite.sets, desc=f"audit {suite.title}", unit="set", file=sys.stderr, disable=None, leave=False)
    return [audit_set(one.root, name=one.name, against=against, draws=draws, known=known) for one in sets]


def as_text(audits: Sequence[Audit]) -> str:
    """A table of verdicts, then each test set with its reasons."""
    head = [
        "test set",
        "verdict",
        "real/fake",
        f"AP by files (bar {METADATA_BAR:.2f})",
        "AP by length",
        f"AP by global statistics (bar {STATISTICS_BAR:.2f})",
        "doubles",
    ]
    rows = [
        [
            a.name,
            a.verdict.upper() if a.verdict == BIASED else a.verdict,
            f"{a.real.count}/{a.fake.count}",
            shown(a.metadata),
            shown(a.length),
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


if __name__ == "__main__":
    sys.exit(main())
