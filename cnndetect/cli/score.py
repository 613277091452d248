"""``cnndetect score``: images, folders and patterns; a line each, JSON or CSV. With --out: in bulk (bulk.py)."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from cnndetect.cli import options as shared
from cnndetect.cli.guard import DONE, FAILED
from cnndetect.counting import counted
from cnndetect.errors import DataError, ProtocolError
from cnndetect.progress import bar, say

if TYPE_CHECKING:
    from cnndetect.detectors.base import Detector
    from cnndetect.scoring import Scored

STDIN = "-"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")

# Smaller than one block of JPEG.
SMALL_PX = 8


@dataclass(frozen=True)
class Row:
    """An image and what became of it."""

    name: str
    scored: Scored
    label: str | None  # real, fake or unsure by the frozen thresholds; None without them, and for a failed image


@click.command(
    epilog="""A line per image: fakeness, label (where there is a threshold), path, with tabs between. Fakeness orders images; it is
not the probability of being fake. Exit status: 0 all scored, 1 some image failed (named on stderr), 2 misused.

\b
examples:
  cnndetect score photo.jpg
  cnndetect score holiday-photos/ --sort --csv scores.csv
  cnndetect score 'shots/*.png' folder/ --json --detector my.pth --device cuda
  curl -s URL | cnndetect score -
  cnndetect score photo.jpg --explain where.png
  cnndetect score --engine ray s3://bucket/shards --out scores"""
)
@click.argument("paths", nargs=-1, required=True, metavar="FILE|FOLDER|PATTERN|-...")
@click.option("--logit", "as_logit", is_flag=True, help="print the logit instead of the fakeness")
@click.option("--calibrated", "is_calibrated", is_flag=True, help="by the threshold and temperature frozen with the weights")
@click.option("--threshold", type=float, metavar="LOGIT", help="fake is above it (default: those frozen with the weights)")
@click.option("--sort", is_flag=True, help="most fake first, once all are scored")
@shared.as_json
@click.option("--csv", "table", type=shared.FILE, metavar="FILE", help="also write path, fakeness, logit, label, error")
@click.option("--explain", type=shared.FILE, metavar="OUT.png", help="of one image: also draw where its logit comes from")
@click.option("--detector", metavar="NAME|FILE|hf://USER/REPO|MODULE:FACTORY", help="default: the bundled one")
@shared.weights
@shared.device
@shared.backend
@shared.precision
@shared.batch_size
@click.option("--out", metavar="DIR", help="in bulk: write Parquet files, resume, take tars, Parquet and fsspec addresses too")
@click.option("--engine", type=click.Choice(["local", "ray"]), help="of --out: this process, or a Ray cluster (default: local)")
@click.option("--workers", type=shared.Count(), help="of --engine ray: tasks at once (default: one per core or GPU)")
@click.option("--part", "images_per_part", type=shared.Count(), default=512, help="of --out: images of a file (default: 512)")
@click.option("--column", metavar="NAME", help="of --out: the images of a Parquet file (default: image, bytes, jpg, ...)")
def score(
    paths: tuple[str, ...], as_logit: bool, is_calibrated: bool, threshold: float | None, sort: bool, as_json: bool, table: Path | None,
    explain: Path | None, detector: str | None, weights: Path | None, device: str | None, backend: str, precision: str, batch_size: int,
    out: str | None, engine: str | None, workers: int | None, images_per_part: int, column: str | None,
) -> int:  # fmt: skip
    """Score images for traces of CNN generators, at their native size."""
    if weights is not None:
        (detector,) = shared.with_weights([detector] if detector else [], weights)
    if out is not None or engine is not None:
        from cnndetect.cli.bulk import score_in_bulk

        unusable = {"logit": as_logit, "calibrated": is_calibrated, "threshold": threshold, "sort": sort, "csv": table, "explain": explain}
        return score_in_bulk(
            paths, out, engine=engine, as_json=as_json, unusable=unusable, detector=detector, device=device, backend=backend,
            precision=precision, batch_size=batch_size, workers=workers, images_per_part=images_per_part, column=column,
        )  # fmt: skip
    # What can be misspelt comes before the network.
    images = find_images(paths)
    if explain and len(images) != 1:
        raise ProtocolError(f"--explain got {len(images)} images. Expected one image.")
    if explain and (explain.suffix.lower() not in PICTURES or not explain.resolve().parent.is_dir()):
        raise ProtocolError(f"--explain cannot write {explain}. Expected a {', '.join(PICTURES)} in an existing folder.")
    with ExitStack() as stack:
        writer = _open_table(table, stack) if table else None
        from cnndetect.detectors.calibration import calibrated
        from cnndetect.scoring import load_detector

        loaded = load_detector(detector, device=device, backend=backend, precision=precision)
        loaded = calibrated(loaded) if is_calibrated else loaded
        band = loaded.band if threshold is None else (threshold, threshold)
        judge = loaded.verdict if threshold is None else lambda logit: "fake" if logit > threshold else "real"
        rows: Iterable[Row] = _rows(images, loaded, judge if band else None, batch_size)
        if sort:  # by logit: fakeness ties near 1
            rows = sorted(rows, key=lambda row: (row.scored.error is not None, -row.scored.logit if row.scored.error is None else 0.0))
        kept = []
        for row in rows:
            kept.append(row)
            if writer is not None:
                writer.writerow(_cells(row))
            if row.scored.error is None and not as_json:
                say(_line(row, as_logit), file=sys.stdout)
    failed = [row for row in kept if row.scored.error is not None]
    if as_json:
        shared.print_json(_document(kept, loaded, band))
    elif band and len(failed) < len(kept):
        say(_bounds(loaded, *band))
    if failed:
        click.echo(f"{len(failed)} of {counted(len(kept), 'image')} failed.", err=True)
    elif explain:
        _explain(images[0], loaded, explain)
    return FAILED if failed else DONE


def find_images(words: Sequence[str]) -> list[Path | bytes]:
    """Files as they are given, ``-`` as the bytes of stdin, folders and patterns replaced by the images they hold.

    Raises LayoutError for a folder without images, and for a pattern that nothing fits; ImageError for an address.
    """
    from cnndetect.scoring.inputs import given

    found: list[Path | bytes] = []
    for word in words:
        found += [sys.stdin.buffer.read()] if word == STDIN else [Path(one) for one in given(word).images]
    return found


def _rows(images: Sequence[Path | bytes], detector: Detector, judge: Callable[[float], str] | None, batch_size: int) -> Iterator[Row]:
    """Scores in order, with a progress bar; failures are named on stderr."""
    from cnndetect.scoring import score_stream

    with bar(total=len(images), desc="score") as progress:
        for scored in score_stream(images, detector=detector, batch_size=batch_size):
            progress.update()
            given = images[scored.index]
            name = STDIN if isinstance(given, bytes) else str(given)
            if scored.error is not None:
                say(f"failed: {scored.error}")
            elif scored.size is not None and min(scored.size) < SMALL_PX:
                say(f"warning: {name} has {scored.size[1]}x{scored.size[0]} px. So few hold no traces to speak of; its score means little.")
            yield Row(name, scored, judge(scored.logit) if judge and scored.error is None else None)


def _bounds(detector: Detector, low: float, high: float) -> str:
    """The thresholds of the labels, in words, as logits and as fakeness."""
    from scipy.special import expit

    real, fake = (f"{word} {logit:.2f} (fakeness {expit(logit):.3g})" for word, logit in (("real below", low), ("fake above", high)))
    return f"{detector.name}, by logit: {fake}" + (f", {real}, unsure between" if low < high else ", real below")


def _line(row: Row, as_logit: bool) -> str:
    # A name may hold what would break the line, or bytes that no terminal shows.
    path = row.name.encode("utf-8", "backslashreplace").decode("utf-8").translate({9: r"\t", 10: r"\n", 13: r"\r"})
    number = f"{row.scored.logit if as_logit else row.scored.fakeness:.6f}"
    return "\t".join([number, *([row.label] if row.label else []), path])


def _cells(row: Row) -> list[object]:
    if row.scored.error is not None:
        return [row.name, "", "", "", row.scored.error]
    return [row.name, row.scored.fakeness, row.scored.logit, row.label or "", ""]


def _document(rows: Sequence[Row], detector: Detector, band: tuple[float, float] | None) -> dict[str, object]:
    from cnndetect.scoring import PROTOCOL

    good, bad = ([row for row in rows if (row.scored.error is not None) is failed] for failed in (False, True))
    return {
        "detector": detector.name,
        "weights_sha256": detector.weights_sha256,
        "backend": detector.backend,
        "precision": detector.precision,
        "protocol": PROTOCOL,
        "threshold_logit": detector.threshold_logit if band == detector.band else band and band[1],
        "real_below_logit": band and band[0],
        "fake_above_logit": band and band[1],
        "images": [{"path": r.name, "fakeness": r.scored.fakeness, "logit": r.scored.logit, "label": r.label} for r in good],
        "failed": [{"path": r.name, "error": r.scored.error} for r in bad],
    }


def _explain(image: Path | bytes, detector: Detector, target: Path) -> None:
    from cnndetect.analysis.explain import explain, save_overlay

    found = explain(image, detector=detector)
    save_overlay(image, found, target)
    what = "mean of the map = logit" if found.method == "cam" else "fall of the logit where a square is covered"
    values = f"{found.method}, {what}, {found.heat.min():+.2f} to {found.heat.max():+.2f}"
    click.echo(f"wrote {target}: red speaks for fake, blue for real ({values})", err=True)


def _open_table(path: Path, stack: ExitStack):
    try:
        table: TextIO = stack.enter_context(path.open("w", newline="", encoding="utf-8", errors="surrogateescape"))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Expected a file in an existing folder.") from error
    writer = csv.writer(table)
    writer.writerow(["path", "fakeness", "logit", "label", "error"])
    return writer
