"""``cnndetect report``: one HTML page from stored results."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from cnndetect.cli import options as shared
from cnndetect.cli.guard import DONE, FAILED
from cnndetect.counting import counted

# Those of report/build.py, in the order of the page; a test compares the two.
SECTIONS = ("leaderboard", "comparison", "forest", "families", "audit", "robustness", "ranks", "explain", "fakeness", "spectra")


@click.command(
    epilog="""\b
examples:
  cnndetect report --suite mini --out report
  cnndetect report --suite mini --section spectra --out spectra
  cnndetect report --suite my-suite/ --results my-results/ --detector mine --section leaderboard --out report"""
)
@shared.suite()
@click.option("--out", type=shared.FILE, required=True, metavar="DIR", help="gets report.html, figures/ and data/")
@click.option(
    "--results", multiple=True, type=shared.FILE, metavar="DIR",
    help="where stored scores lie; repeatable (default: those that ship with the package, and your own)",
)  # fmt: skip
@shared.detector("only this one; repeatable (default: every one with results)")
@shared.protocol
@shared.one_degradation
@click.option("--section", "sections", multiple=True, metavar="NAME", help=f"of {', '.join(SECTIONS)}; repeatable (default: all)")
@shared.limit("images of a suite; sections that open images leave larger ones out; none: no limit", 5000, none=True)
@shared.draws()
@shared.seed
@click.option("--jobs", type=shared.Count(), default=2, help="processes (default: 2)")
@shared.as_json
@click.pass_context
def report(
    ctx: click.Context, suite: str, out: Path, results: tuple[Path, ...], detectors: tuple[str, ...], protocol: str, degradation: str,
    sections: tuple[str, ...], limit: int | None, draws: int, seed: int, jobs: int, as_json: bool,
) -> int:  # fmt: skip
    """Build one self-contained HTML page from stored scores, its figures as PNG and SVG, and its data as CSV."""
    from cnndetect.report.build import SECTIONS as built
    from cnndetect.report.build import build_report
    from cnndetect.report.inputs import read_inputs

    for name in sections:  # before results are read
        shared.lookup("section", built, name)
    started = time.monotonic()
    inputs = read_inputs(
        suite, protocol=protocol, degradation=degradation, results=results, detectors=detectors, draws=draws, seed=seed,
        most_images=limit,
    )  # fmt: skip
    made = build_report(inputs, out, sections=sections, command=shared.shown_command(ctx), jobs=jobs, progress=True)
    seconds = time.monotonic() - started
    for anchor, reason in {**made.missing, **made.failed}.items():
        click.echo(f"{'failed' if anchor in made.failed else 'not made'}: {anchor}: {reason}", err=True)
    answer = {
        "page": str(made.page),
        "files": [str(path) for path in made.files],
        "missing": made.missing,
        "failed": made.failed,
        "seconds": round(seconds, 1),
        "seconds_of_section": {name: round(took, 1) for name, took in made.seconds.items()},
    }
    size = os.path.getsize(made.page) / 1e6
    plain = f"{made.page}: {size:.1f} MB, {counted(len(made.files), 'file')} beside it, {seconds:.0f} s"
    shared.print_json(answer) if as_json else click.echo(plain)
    return FAILED if made.failed else DONE
