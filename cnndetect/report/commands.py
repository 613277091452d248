"""The options of ``python -m cnndetect.report``."""

from __future__ import annotations

import argparse
from pathlib import Path

from cnndetect.metrics.intervals import DRAWS
from cnndetect.report.inputs import MOST_IMAGES

EXAMPLES = """examples:
  python -m cnndetect.report --suite mini --out report
  python -m cnndetect.report --suite mini --protocol crop224 --out report-crop224
  python -m cnndetect.report --suite my-suite/ --results my-results/ --detector mine --section leaderboard --out report
"""


def report_parser() -> argparse.ArgumentParser:
    """Options of a report; unknown ones are errors."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.report",
        description="One self-contained HTML page from stored scores, its figures as PNG and SVG, and its data as CSV.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--suite", default="mini", help="mini, or a folder with 0_real/ and 1_fake/ (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="gets report.html, figures/ and data/")
    parser.add_argument(
        "--results",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="where stored scores lie, repeatable (default: those that ship with the package, and your own)",
    )
    parser.add_argument("--detector", action="append", default=[], metavar="NAME", help="only this one, repeatable (default: all)")
    parser.add_argument("--protocol", default="nocrop", help="nocrop (native size) or crop224 (default: %(default)s)")
    parser.add_argument("--degradation", default="none", metavar="NAME", help="such as jpeg_75 (default: %(default)s)")
    parser.add_argument("--section", action="append", default=[], metavar="NAME", help="only this one, repeatable (default: all)")
    parser.add_argument(
        "--most-images",
        type=int,
        default=MOST_IMAGES,
        metavar="N",
        help="sections that open images leave larger suites out (default: %(default)s)",
    )
    parser.add_argument("--draws", type=_count, default=DRAWS, metavar="N", help="bootstrap draws (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--jobs", type=_count, default=2, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="say what was written as JSON")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number >= 1")
    return int(text)
