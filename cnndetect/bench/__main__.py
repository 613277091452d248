"""``python -m cnndetect.bench``: parse, call, print. Answers go to stdout, progress to stderr."""

from __future__ import annotations

import argparse
import sys

from cnndetect.bench.commands import bench_parser, detector_names, leaderboard_files, leaderboard_parser, plan
from cnndetect.command import guarded


def main(arguments: list[str] | None = None) -> int:
    """Run: 0 done, 1 failed or some images failed, 2 misused."""
    words = sys.argv[1:] if arguments is None else arguments
    return guarded(lambda: _run(words), resumes=True)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["leaderboard"]:
        return _leaderboard(leaderboard_parser().parse_args(arguments[1:]))
    if arguments[:1] == ["robustness"]:
        from cnndetect.analysis.robustness_command import robustness_parser, run_robustness

        return run_robustness(robustness_parser().parse_args(arguments[1:]))
    if arguments[:1] == ["alarms"]:
        from cnndetect.analysis.alarms import alarms_parser, run_alarms

        return run_alarms(alarms_parser().parse_args(arguments[1:]))
    if arguments[:1] in (["compare"], ["paired"]):
        from cnndetect.bench.paired import paired_parser, run_paired

        return run_paired(paired_parser().parse_args(arguments[1:]))
    return _bench(bench_parser().parse_args(arguments))


def _bench(options: argparse.Namespace) -> int:
    from cnndetect.bench.comparison import table_of
    from cnndetect.bench.run import Options, run_suite
    from cnndetect.bench.suites import find_suites, suites_note
    from cnndetect.detectors.base import declared_progan_only
    from cnndetect.detectors.registry import load
    from cnndetect.paths import results_root

    settings = Options(options.protocol, options.degradation, options.limit, options.batch_size, options.draws, options.seed, options.rerun)
    suites, detectors = find_suites(options.suite), options.detector or [None]
    if options.dry_run:
        print(plan(suites, detectors, settings, results_root(options.results)))
        return 0
    detector_names(detectors)
    style = "json" if options.json else options.format
    found = []
    for name in detectors:
        detector = load(name, device=options.device)
        if options.progan_only:
            detector = declared_progan_only(detector)
        for suite in suites:
            benchmark = run_suite(detector, suite, settings, results=results_root(options.results), progress=True)
            found.append(benchmark)
    print(table_of(found, style=style))
    if options.suite == "all":
        print(suites_note(), file=sys.stderr)
    return 1 if any(result.n_failed for benchmark in found for result in benchmark.results) else 0


def _leaderboard(options: argparse.Namespace) -> int:
    from cnndetect.bench.leaderboard import leaderboard
    from cnndetect.paths import reported_file

    results, out = leaderboard_files(options)
    print(leaderboard(results, out, reported=reported_file() if options.reported else None))
    if out is not None:
        print(f"wrote {out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
