"""``python -m cnndetect.report``: parse, call, print. Answers go to stdout, progress to stderr."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time

from cnndetect.errors import CnndetectError, UnknownNameError
from cnndetect.report.commands import report_parser


def main(arguments: list[str] | None = None) -> int:
    """Run: 0 done, 1 failed or a section failed, 2 misused."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = report_parser().parse_args(arguments)
    started = time.monotonic()
    try:
        from cnndetect.report.build import build_report
        from cnndetect.report.inputs import read_inputs

        inputs = read_inputs(
            options.suite,
            protocol=options.protocol,
            degradation=options.degradation,
            results=options.results,
            detectors=options.detector,
            draws=options.draws,
            seed=options.seed,
            most_images=options.most_images,
        )
        command = "python -m cnndetect.report " + shlex.join(arguments)
        report = build_report(inputs, options.out, sections=options.section, command=command, jobs=options.jobs, progress=True)
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UnknownNameError) else 1
    except ModuleNotFoundError as error:
        if error.name not in ("matplotlib", "jinja2"):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command builds the page anew from the same stored scores", file=sys.stderr)
        return 1
    seconds = time.monotonic() - started
    for anchor, reason in {**report.missing, **report.failed}.items():
        print(f"{'failed' if anchor in report.failed else 'not made'}: {anchor}: {reason}", file=sys.stderr)
    answer = {
        "page": str(report.page),
        "files": [str(path) for path in report.files],
        "missing": report.missing,
        "failed": report.failed,
        "seconds": round(seconds, 1),
        "seconds_of_section": {k: round(s, 1) for k, s in report.seconds.items()},
    }
    size = os.path.getsize(report.page) / 1e6
    plain = f"{report.page}: {size:.1f} MB, {len(report.files)} files beside it, {seconds:.0f} s"
    print(json.dumps(answer, indent=1, sort_keys=True) if options.json else plain)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
