"""``python -m cnndetect.bench robustness``: score what is missing under each degradation, then print the curves."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate
from tqdm import tqdm

from cnndetect import files
from cnndetect.analysis.robustness import CLEAN, DRAWS, Robustness, as_rows, degraded_scores, robustness
from cnndetect.bench.run import Options, score_suite
from cnndetect.bench.suites import find_suites
from cnndetect.detectors.registry import load
from cnndetect.errors import lookup
from cnndetect.metrics.intervals import Interval
from cnndetect.paths import results_root
from cnndetect.transforms.degrade import DEGRADATIONS, PAPER_BLUR, PAPER_JPEG

GROUPS = {
    "paper": (*PAPER_BLUR, *PAPER_JPEG[1:]),
    "short": (CLEAN, "jpeg_75", "blur_1", "resize_0.5", "web", "hard"),
    "all": tuple(DEGRADATIONS),
}

EXAMPLES = """examples:
  python -m cnndetect.bench robustness --suite mini --detector cnndetect.detectors.networks.baselines:smoothness
  python -m cnndetect.bench robustness --suite FOLDER --degradations paper --csv curves.csv
  python -m cnndetect.bench robustness --suite mini --degradations jpeg_75 web hard --json
"""


def robustness_parser() -> argparse.ArgumentParser:
    """The options of the robustness runs."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.bench robustness",
        description="Average precision and the shift of both classes under degradations.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--suite", default="mini", help="mini, or a folder with 0_real/ and 1_fake/ (default: mini)")
    parser.add_argument("--detector", action="append", default=None, metavar="NAME|FILE|MODULE:FACTORY", help="repeatable")
    parser.add_argument("--protocol", default=Options.protocol, help="nocrop (native size) or crop224 (default: %(default)s)")
    parser.add_argument(
        "--degradations",
        nargs="+",
        default=["short"],
        metavar="NAME",
        help=f"names, or groups: {', '.join(GROUPS)} (default: short)",
    )
    parser.add_argument("--results", default=None, metavar="DIR", help="where scores are kept (default: see cnndetect/paths.py)")
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N", help="bootstrap draws (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=Options.seed, help="of bootstrap and degradations (default: %(default)s)")
    parser.add_argument("--device", default=None, help="cpu, cuda ... (default: cuda where there is one)")
    parser.add_argument("--json", action="store_true", help="print the curves, over all sets and for each, for machines")
    parser.add_argument("--csv", type=Path, default=None, metavar="FILE", help="also write every point as a row")
    return parser


def run_robustness(options: argparse.Namespace) -> int:
    """Score, measure, print: 0 done, 1 some images failed."""
    names, suites, results = chosen(options.degradations), find_suites(options.suite), results_root(options.results)
    found: list[Robustness] = []
    for detector in [load(one, device=options.device) for one in options.detector or [None]]:
        for suite in suites:
            for name in tqdm(names, desc=f"{detector.name} {suite.title}", unit="degradation", file=sys.stderr, disable=None, leave=False):
                settings = Options(options.protocol, name, seed=options.seed)
                score_suite(detector, suite, settings, results=results)
            runs = degraded_scores(results, detector.name, suite=suite.title, protocol=options.protocol)
            # Only what was asked for, and only the test sets that the suite has now.
            here = {test_set.name for test_set in suite.sets}
            kept = {name: {one: scores for one, scores in runs[name].items() if one in here} for name in names}
            found.append(robustness(kept, draws=options.draws, seed=options.seed))
    if options.csv is not None:
        write_csv(options.csv, found)
    print(files.json_text([as_plain(one) for one in found]) if options.json else "\n\n".join(map(as_text, found)))
    return 1 if any(point.n_failed for one in found for point in one.overall) else 0


def chosen(words: Sequence[str]) -> list[str]:
    """Degradations behind names and groups, in the order of DEGRADATIONS, the image itself first. Raises UnknownNameError.

    >>> chosen(["web", "jpeg_75"])
    ['none', 'jpeg_75', 'web']
    """
    wanted = {CLEAN}
    for word in words:
        wanted |= set(GROUPS[word]) if word in GROUPS else {word}
        if word not in GROUPS:
            lookup("degradation", DEGRADATIONS, word)
    return [name for name in DEGRADATIONS if name in wanted]


def as_text(found: Robustness) -> str:
    """A table over all test sets, then AP by test set."""
    head = ["degradation", "AP", "reals move by", "fakes move by", "reals above", "fakes above", "what moves"]
    rows = [
        [
            point.degradation + (" *" if point.resized else ""),
            _percent(point.ap),
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
        "overall": as_rows(found.overall),
        "by_set": {name: as_rows(points) for name, points in found.by_set.items()},
    }


def write_csv(path: Path, found: Sequence[Robustness]) -> None:
    """One row a detector, test set ("all" for all of them) and degradation; whole or not at all."""
    rows = [
        {"detector": one.detector, "suite": one.suite, "protocol": one.protocol, "test_set": name, **row}
        for one in found
        for name, points in {"all": one.overall, **one.by_set}.items()
        for row in as_rows(points)
    ]
    files.write_csv(path, rows)


def _percent(ap: Interval) -> str:
    return f"{100 * ap.value:.1f} [{100 * ap.low:.1f}, {100 * ap.high:.1f}]"


def _share(share: float) -> str:
    return "-" if share != share else f"{100 * share:.0f}"


def _shift(shift: Interval) -> str:
    return f"{shift.value:+.2f} [{shift.low:+.2f}, {shift.high:+.2f}]"
