"""``cnndetect detectors save`` and ``push``: a detector as a folder that others can load, here or on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

import click

from cnndetect.cli import options as shared


@click.command()
@click.argument("detector", metavar="NAME|FILE")
@click.argument("folder", type=shared.FILE, metavar="DIR")
def save(detector: str, folder: Path) -> None:
    """Write the detector NAME or FILE as the folder DIR: safetensors, record, model card. ``--detector DIR`` loads it."""
    from cnndetect.detectors.hub import save_detector

    click.echo(save_detector(detector, folder))


@click.command()
@click.argument("detector", metavar="NAME|FILE|DIR")
@click.argument("repo", metavar="USER/REPO")
@click.option("--private", is_flag=True, help="make the repository private, where it is new")
@click.option("--dry-run", is_flag=True, help="print the model card that would be sent, and stop")
def push(detector: str, repo: str, private: bool, dry_run: bool) -> None:
    """Send the detector NAME, FILE or saved DIR to USER/REPO of the Hugging Face Hub, and print the name that loads it."""
    from tempfile import TemporaryDirectory

    from cnndetect.detectors.hub import CARD, is_saved, push_detector, save_detector

    if dry_run:
        with TemporaryDirectory() as temporary:
            folder = Path(detector) if is_saved(detector) else save_detector(detector, Path(temporary) / "detector")
            click.echo((folder / CARD).read_text(encoding="utf-8"))
        return
    click.echo(push_detector(detector, repo, private=private))
