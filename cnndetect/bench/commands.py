"""The options of ``python -m cnndetect.bench``, and what a dry run prints."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cnndetect.bench.run import Options, limited, result_path
from cnndetect.bench.suites import Suite
from cnndetect.bench.tables import STYLES
from cnndetect.data.folders import scan
from cnndetect.detectors.registry import name_of
from cnndetect.errors import ProtocolError
from cnndetect.paths import reference_results_root

EXAMPLES = """examples:
  python -m cnndetect.bench --suite all
  python -m cnndetect.bench --suite FOLDER --detector best.safetensors --protocol crop224
  python -m cnndetect.bench leaderboard --results benchmarks/results --out benchmarks/LEADERBOARD.md
  python -m cnndetect.bench robustness --suite mini --degradations paper
  python -m cnndetect.bench paired --results benchmarks/results --suite mini
"""


def bench_parser() -> argparse.ArgumentParser:
    """Options of a run; unknown ones are errors."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.bench",
        description="Average precision of detectors on generator families.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    suites = "all, mini, forensynths-11, forensynths-13, or a folder with 0_real/ and 1_fake/"
    parser.add_argument("--suite", default="all", help=f"{suites} (default: all)")
    parser.add_argument("--detector", action="append", default=None, metavar="NAME|FILE|MODULE:FACTORY", help="repeatable")
    parser.add_argument("--protocol", default=Options.protocol, help="nocrop (native size) or crop224 (default: %(default)s)")
    parser.add_argument("--degradation", default=Options.degradation, metavar="NAME", help="such as jpeg_75 (default: %(default)s)")
    parser.add_argument("--limit", type=_count, default=Options.limit, metavar="N", help="images per class; marked as not a result")
    parser.add_argument("--format", choices=STYLES, default="github", help="of the answer (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="the same as --format json")
    parser.add_argument("--device", default=None, help="cpu, cuda ... (default: cuda where there is one)")
    parser.add_argument("--batch-size", type=_count, default=Options.batch_size, metavar="N")
    parser.add_argument("--draws", type=int, default=Options.draws, metavar="N", help="bootstrap draws (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=Options.seed, help="of bootstrap and degradations (default: %(default)s)")
    parser.add_argument("--results", default=None, metavar="DIR", help="where scores and results go (default: see cnndetect/paths.py)")
    parser.add_argument("--rerun", action="store_true", help="score again what is finished")
    parser.add_argument(
        "--progan-only", action="store_true", help="say of detectors without a record that they were trained on ProGAN images alone"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    return parser


def leaderboard_parser() -> argparse.ArgumentParser:
    """Options of the leaderboard."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.bench leaderboard",
        description="Rebuild the leaderboard from result files.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--results", default=None, type=Path, metavar="DIR", help="default: the results that ship with the package")
    parser.add_argument(
        "--out",
        default=None,
        type=Path,
        metavar="FILE",
        help="file to write; the leaderboard is printed in any case",
    )
    parser.add_argument(
        "--reported", action=argparse.BooleanOptionalAction, default=True, help="figures that others published, in a section of their own"
    )
    return parser


def leaderboard_files(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """Where results are read and where the leaderboard is written: nowhere without --out."""
    return options.results or reference_results_root(), options.out


def detector_names(detectors: Sequence[str | None]) -> list[str]:
    """Names of what --detector was given, before anything is loaded. Raises ProtocolError where two are equal."""
    names = [name_of(detector) for detector in detectors]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ProtocolError(
            f"Several detectors are called {doubled[0]!r}, and results are kept by name. Rename a file, or run them apart with --results."
        )
    return names


def plan(suites: Sequence[Suite], detectors: Sequence[str | None], options: Options, results: Path) -> str:
    """What a run would do: images per test set and where results would go. Nothing is loaded or written."""
    lines = []
    for name in detector_names(detectors):
        for suite in suites:
            for test_set in suite.sets:
                count = len(limited(scan(test_set.root), options.limit))
                target = result_path(results, name, test_set.name, options, test_set.place)
                lines.append(f"{suite.title}  {test_set.name}: {count} images, {options.protocol}, {options.degradation} -> {target}")
    return "\n".join(lines)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number >= 1")
    return int(text)
