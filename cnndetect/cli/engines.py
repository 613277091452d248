"""``cnndetect detectors export`` and ``ranges``: what engines other than torch need of a detector."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from cnndetect.cli import options as shared
from cnndetect.counting import counted


@click.command()
@click.argument("detector", metavar="NAME|FILE")
@click.argument("target", type=shared.FILE, metavar="OUT.onnx")
def export(detector: str, target: Path) -> None:
    """Write a detector as ONNX with dynamic height and width, and print how far its logits are from torch's."""
    from cnndetect.backends.export import export_onnx
    from cnndetect.detectors.registry import load

    shared.print_json(asdict(export_onnx(load(detector, device="cpu"), target)))


@click.command()
@click.argument("detector", metavar="NAME|FILE")
@shared.photos("real photographs, files named by number")
@click.option("--split", default="validation", metavar="NAME", help="by file number: validation, train or all (default: validation)")
@shared.limit("photographs, evenly chosen", 64)
@click.option("--out", type=shared.FILE, metavar="FILE", help="default: where --precision int8 looks for weights of your own")
def ranges(detector: str, photos: Path, split: str, limit: int, out: Path | None) -> None:
    """Measure the ranges of a detector's activations on validation photographs, and store them for --precision int8."""
    from cnndetect.backends.int8 import measure_ranges
    from cnndetect.backends.ranges import own_path
    from cnndetect.detectors.registry import load

    loaded = load(detector, device="cpu")
    record = measure_ranges(loaded, photos, split=split, count=limit, progress=True)
    path = out or own_path(loaded)
    assert path is not None  # measure_ranges refuses a detector without a digest
    record.save(path)
    click.echo(
        f"{record.detector}  {path}  {counted(len(record.ranges), 'range')} of {counted(record.images, 'photograph')} ({record.split})"
    )
