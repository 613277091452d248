"""``cnndetect train``: train a detector; the flags are the fields of TrainConfig."""

from __future__ import annotations

import click

from cnndetect.cli import options as shared
from cnndetect.train.options import click_options, config_from, given_flags


@click.command(
    params=click_options(),
    epilog="""\b
examples:
  cnndetect train --data progan --name blur-jpeg-0.1 --recipe wang2020-blur-jpeg-0.1
  cnndetect train --data small --name mini --recipe mini-blur-jpeg-0.1 --init random --lr 3e-4
  cnndetect train --data small --name npr --recipe mini-npr --max-epochs 10
  torchrun --nproc-per-node 4 -m cnndetect.train --data progan --name fast --amp bf16 --channels-last

The same command continues a run that was killed; a finished run is not repeated without --rerun.""",
)
@click.option("--rerun", is_flag=True, help="start over, even when finished")
@click.option("--grow", is_flag=True, help="go on with classes that were added to --data since the run began")
@click.option("--dry-run", is_flag=True, help="print the plan and stop")
@shared.as_json
@click.pass_context
def train(ctx: click.Context, rerun: bool, grow: bool, dry_run: bool, as_json: bool, **_: object) -> None:
    """Train a detector on ROOT/{train,val}/class/{0_real,1_fake}."""
    from cnndetect.train.loop import plan
    from cnndetect.train.loop import train as run

    config = config_from(given_flags(ctx))
    if dry_run:
        click.echo(plan(config))
        return
    record = run(config, progress=True, rerun=rerun, grow=grow)
    shared.print_json(record.as_json()) if as_json else click.echo(record.summary())
