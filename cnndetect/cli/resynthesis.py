"""``cnndetect zoo`` for resynthesis of photographs: ``train --from photographs``, ``resynthesise``, ``build-pairs``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cnndetect.cli import options as shared
from cnndetect.errors import ProtocolError

_SETTINGS = (
    ("--start-px", int, 32, "size of the decoder's first map of 128 px: 8, 16, 32 or 64"),
    ("--width", int, 16, "feature maps at full size"),
    ("--widest", int, 96, "most feature maps of any level"),
    ("--encoder-width", int, 24, "feature maps of the encoder's first layer"),
    ("--encoder", str, "learned", "what drives the decoder: learned, reduced (the image made smaller) or mosaic (Bayer's of it)"),
    ("--slope", float, 0.2, "of leaky ReLU"),
    ("--first-kernel", int, 3, "of the decoder's first convolution, odd"),
    ("--fade", float, 1.0, "weight of the last level against the one below; 1: fully grown"),
    ("--noise", float, 0.0, "standard deviation added to the encoder's maps"),
    ("--steps", int, 900, "of training, 16 crops each"),
    ("--lr", float, 2e-3, "learning rate of the first third"),
    ("--energy", float, 5.0, "weight of the local contrast"),
    ("--adversarial", float, 0.02, "weight of the patch critic"),
)


def driven_options(command: Callable) -> Callable:
    """The options of ``train`` that count with ``--from photographs`` only."""
    add = [click.option("--from", "source", type=click.Choice(["noise", "photographs"]), default="noise", help="what drives the generator")]
    note = "with --from photographs: "
    add += [click.option(name, type=kind, help=f"{note}{text} (default: {default})") for name, kind, default, text in _SETTINGS]
    add.append(click.option("--categories", type=shared.Names(), help=f"{note}folders of photographs to learn from (default: all)"))
    add.append(
        click.option("--cache", type=shared.FILE, metavar="DIR", help=f"{note}keep the decoded photographs there for other trainings")
    )
    for option in reversed(add):
        command = option(command)
    return command


def train_driven(
    family: str, photos: Path, split: str | None, out: Path, *, seed: int, device: str, start: Path | None, settings: dict[str, Any]
) -> dict[str, object]:  # fmt: skip
    """Train one decoder on photographs and write its weights and record."""
    import torch

    from cnndetect.zoo.loop import Job
    from cnndetect.zoo.resynthesis.config import DrivenConfig
    from cnndetect.zoo.resynthesis.crops import Photographs, files_of, free_crops
    from cnndetect.zoo.resynthesis.painter import load_painter, write_record
    from cnndetect.zoo.resynthesis.training import train

    torch.set_flush_denormal(True)
    defaults: dict[str, Any] = {name[2:].replace("-", "_"): default for name, _, default, _ in _SETTINGS}
    chosen = {name: default if settings[name] is None else settings[name] for name, default in defaults.items()}
    categories = tuple(settings["categories"] or ())
    config = DrivenConfig(family, seed=seed, categories=categories, **chosen)
    files = free_crops(photos) or files_of(photos, split or "train", categories)
    path = train(Photographs(files, settings["cache"]), config, Job(out, device=device, log_steps=50, checkpoint_seconds=60, start=start))
    write_record(load_painter(path), out / "record.json", photographs=len(files))
    return {"weights": str(path), "photographs": len(files)}


@click.command()
@click.argument("family")
@click.option("--weights", type=shared.FILE, required=True, metavar="FILE")
@shared.photos("images of any size")
@shared.out("where it is written", required=True)
def resynthesise(family: str, weights: Path, photos: Path, out: Path) -> None:
    """Paint photographs again with a trained decoder of FAMILY; what is there is kept."""
    from cnndetect.zoo.resynthesis.painter import load_painter, paint_folder

    painter = load_painter(weights)
    if painter.config.family != family:
        raise ProtocolError(f"{weights} is a {painter.config.family} decoder, not {family}. Name the right family.")
    click.echo(json.dumps({"images": paint_folder(painter, photos, out), "folder": str(out)}, indent=1))


@click.command()
@click.option("--weights", type=shared.FILE, required=True, metavar="FILE")
@click.option("--name", required=True, help="folder of this decoder, such as progan_s32_w16")
@shared.photos("folders of categories, 256 px")
@click.option("--split", type=click.Choice(["train", "val"]), required=True)
@click.option("--share", type=float, default=1.0, help="of the photographs; a larger share holds the smaller one (default: 1)")
@click.option("--match-spectrum", is_flag=True, help="give each fake its photograph's radial power spectrum")
@click.option("--disturb", is_flag=True, help="paint from disturbed maps: the decoder's trace on what is no photograph any more")
@click.option("--mix", type=float, default=0.0, help="weight of the photograph in its fake: a fainter trace (default: 0)")
@shared.out("where it is written", required=True)
def build_pairs(
    weights: Path, name: str, photos: Path, split: str, share: float, match_spectrum: bool, disturb: bool, mix: float, out: Path
) -> None:
    """Write photographs and their resyntheses for the training of a detector; the same command resumes."""
    import torch

    from cnndetect.zoo.resynthesis.painter import load_painter
    from cnndetect.zoo.resynthesis.pairs import build_pairs as build

    torch.set_flush_denormal(True)
    count = build(photos, load_painter(weights), name, out, split=split, share=share, match=match_spectrum, disturbed=disturb, mixed=mix)
    click.echo(json.dumps({"pairs": count, "folder": str(out / split / name)}, indent=1))
