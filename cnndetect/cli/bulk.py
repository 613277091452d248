"""``cnndetect score --out DIR``: bulk scoring into Parquet files, in this process or on a Ray cluster."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from cnndetect.cli import options as shared
from cnndetect.cli.guard import DONE, FAILED
from cnndetect.counting import counted
from cnndetect.errors import ProtocolError


def score_in_bulk(inputs: tuple[str, ...], out: str | None, *, engine: Any, as_json: bool, unusable: dict[str, Any], **options: Any) -> int:
    """Run ``score_dataset``, print what it came to, and return the exit status.

    unusable: options of the verb that print lines or single images; one that was given is a ProtocolError.
    """
    given = [name for name, value in unusable.items() if value not in (None, False)]
    if out is None:
        raise ProtocolError("Scoring in bulk writes Parquet files. Say where with: --out DIR")
    if given:
        raise ProtocolError(f"--{given[0]} does not go with --out: scoring in bulk writes Parquet files, not lines.")
    from cnndetect.bulk.run import score_dataset

    found = score_dataset(inputs, out, engine="ray" if engine == "ray" else "local", progress=True, **options)
    if as_json:
        shared.print_json(asdict(found))
    else:
        new = f"{found.images - found.found} of them now, " if found.found else ""
        click.echo(f"{found.out}: {counted(found.images, 'image')}, {new}{found.failed} failed")
    return FAILED if found.failed else DONE
