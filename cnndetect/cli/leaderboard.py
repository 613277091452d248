"""``cnndetect leaderboard``: tables of stored results, one suite at a time or several suites side by side."""

from __future__ import annotations

from pathlib import Path

import click

from cnndetect.cli import options as shared
from cnndetect.cli.groups import Verbs
from cnndetect.cli.guard import DONE, FAILED

_HERE = "cnndetect.cli.leaderboard"
leaderboard = Verbs(
    "leaderboard",
    {
        "table": (f"{_HERE}:table", "every suite with stored results, or several side by side"),
        "verify": (f"{_HERE}:verify", "check rows before they are sent, or merged"),
    },
    default="table",
    help="Tables of stored results. Nothing is scored.",
    epilog="""\b
examples:
  cnndetect leaderboard --results benchmarks/results --out benchmarks/LEADERBOARD.md
  cnndetect leaderboard --suite mini,forensynths-11,public --format csv
  cnndetect leaderboard verify benchmarks/results""",
)


@click.command()
@click.option("--results", type=shared.FILE, multiple=True, metavar="DIR", help="repeatable with --suite (default: results that ship)")
@click.option("--out", type=shared.FILE, metavar="FILE", help="also write the table there (default: print it alone)")
@click.option("--reported/--no-reported", default=True, help="figures that others published, in a section of their own")
@shared.renamed(
    "--suite", "suites", old="--suites", type=shared.Names(), help="one table over these, such as mini,public; all: all with results"
)
@click.option("--protocol", metavar="NAME", help="with --suite (default: nocrop)")
@click.option("--degradation", metavar="NAME", help="with --suite, such as jpeg_75 (default: none)")
@shared.formats("github", "csv", help="with --suite; ")
@shared.as_json
def table(
    results: tuple[Path, ...], out: Path | None, reported: bool, suites: list[str] | None, protocol: str | None,
    degradation: str | None, style: str, as_json: bool,
) -> None:  # fmt: skip
    """Print the leaderboard: a table for every suite, protocol and degradation, or with --suite one table over several suites."""
    from cnndetect.files import json_text, write_whole
    from cnndetect.paths import reference_results_root, reported_file

    places = results or (reference_results_root(),)
    style = "json" if as_json else style
    if suites is not None:
        from cnndetect.bench.across import across
        from cnndetect.bench.across_text import as_csv, as_markdown, as_plain

        names = [] if suites == ["all"] else suites
        found = across(places, names, protocol=protocol or "nocrop", degradation=degradation or "none")
        text = as_csv(found) if style == "csv" else json_text(as_plain(found)) if style == "json" else as_markdown(found)
        if out is not None:
            write_whole(out, text + "\n")
    else:
        if protocol or degradation or style != "github":
            raise click.UsageError("--protocol, --degradation, --format and --json go with --suite, such as --suite all.")
        if len(places) > 1:
            raise click.UsageError("Several --results go with --suite, such as --suite all.")
        from cnndetect.bench.leaderboard import leaderboard as every_suite

        text = every_suite(places[0], out, reported=reported_file() if reported else None)
    click.echo(text)
    if out is not None:
        click.echo(f"wrote {out}", err=True)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=shared.FILE, metavar="DIR...")
@click.option("--rescore", type=shared.Count(0), default=0, metavar="N", help="also score N images of each class again (default: 0)")
@shared.as_json
def verify(folders: tuple[Path, ...], rescore: int, as_json: bool) -> int:
    """Check every result below DIR: figures against scores, images against the installed suite, weights against the record."""
    from cnndetect.bench.verify import as_text
    from cnndetect.bench.verify import verify as checked
    from cnndetect.files import plain

    found = checked(folders, rescore=rescore)
    shared.print_json(plain(found)) if as_json else click.echo(as_text(found))
    return FAILED if found.problems else DONE
