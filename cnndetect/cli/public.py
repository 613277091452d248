"""``cnndetect zoo public``: the suite of generators that others trained, built from free photographs."""

from __future__ import annotations

from pathlib import Path

import click

from cnndetect.cli import options as shared
from cnndetect.cli.guard import DONE
from cnndetect.counting import counted
from cnndetect.errors import ProtocolError
from cnndetect.files import plain
from cnndetect.paths import data_root


@click.command(
    epilog="""Code and weights of the generators are fetched in pinned versions and checked by hash. They are not part of cnndetect and
have licences of their own. A generator that cannot be fetched is skipped and counted. The same command continues.

\b
examples:
  cnndetect zoo public --list
  cnndetect zoo photos --packages unpacked --out free
  cnndetect zoo public --photos free/suite
  cnndetect bench --suite public"""
)
@shared.photos("128 px photographs, as the photos verb writes them", required=False)
@shared.out("default: public in the data folder, where --suite public looks")
@shared.only("these generators")
@click.option("--count", type=shared.Count(), default=100, help="reals, and fakes of each generator (default: 100)")
@click.option(
    "--cache", type=shared.FILE, metavar="DIR", help="code and weights of the generators (default: public-generators in the data folder)"
)
@click.option("--list", "listed", is_flag=True, help="the generators, and nothing else")
@shared.as_json
def public(
    photos: Path | None, out: Path | None, only: list[str] | None, count: int, cache: Path | None, listed: bool, as_json: bool
) -> int:
    """Build the suite public: images of generators that others trained, for testing alone."""
    from cnndetect.zoo.public.build import build_public, table

    if listed:
        rows = table(())
    elif photos is None:
        raise ProtocolError("--photos is missing. Expected a folder of 128 px photographs; make one with: cnndetect zoo photos")
    else:
        rows = build_public(
            photos, out or data_root() / "public", cache=cache or data_root() / "public-generators", only=only or (), count=count
        )
    if as_json:
        shared.print_json(plain(rows))
        return DONE
    for row in rows:
        state = f"skipped: {row.reason}" if row.reason else counted(row.images, "image") if row.images else "not built"
        click.echo(f"{row.name}\t{row.origin}\t{row.licence}\t{row.what if listed else state}")
    if not listed:
        skipped = sum(row.reason is not None for row in rows)
        click.echo(f"{counted(len(rows) - skipped, 'generator')} built, {skipped} skipped, in {out or data_root() / 'public'}", err=True)
    return DONE
