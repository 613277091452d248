"""``cnndetect serve``: a page where one drops a picture, and JSON for programs."""

from __future__ import annotations

import click

from cnndetect.cli import options as shared
from cnndetect.cli.guard import DONE


@click.command(
    epilog="""The page and the JSON of /openapi.json are described in docs/serve.md. Pictures stay in memory while they are worked on;
nothing is stored, logged or sent anywhere. Needs: pip install 'cnndetect[web]'

\b
examples:
  cnndetect serve
  cnndetect serve --port 0 --detector my.pth
  curl -F image=@photo.jpg http://127.0.0.1:8000/api/score"""
)
@click.option("--host", default="127.0.0.1", metavar="NAME", help="0.0.0.0 lets other machines in (default: 127.0.0.1)")
@click.option("--port", type=shared.Count(0), default=8000, help="0: any free one (default: 8000)")
@click.option("--detector", metavar="NAME|FILE|MODULE:FACTORY", help="the first choice of the page (default: the bundled one)")
@shared.device
@click.option("--max-megabytes", type=shared.Count(), default=20, help="of one file; three times as much of a batch (default: 20)")
@click.option(
    "--max-pixels", type=shared.Count(1024), default=2_000_000, help="of a larger picture, the middle is scored (default: 2000000)"
)
@click.option("--places", type=shared.Count(), default=8, help="requests at once; more are told to come back (default: 8)")
def serve(
    host: str, port: int, detector: str | None, device: str | None, max_megabytes: int, max_pixels: int, places: int
) -> int:  # fmt: skip
    """Open a page where one drops pictures to see their scores, and what they come from."""
    from cnndetect.serve.limits import MEGABYTE, Limits
    from cnndetect.serve.run import is_local, run
    from cnndetect.serve.shelf import Shelf

    limits = Limits(file_bytes=max_megabytes * MEGABYTE, batch_bytes=3 * max_megabytes * MEGABYTE, scored_pixels=max_pixels, places=places)
    if not is_local(host):
        click.echo(f"{host}: every machine that reaches this one can use the server; it asks for no password.", err=True)
    run(Shelf(detector, device=device), limits, host=host, port=port, tell=lambda address: click.echo(f"{address}  (Ctrl-C stops it)"))
    return DONE
