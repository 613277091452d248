"""``cnndetect detectors``: list detectors, fetch weights of others, and prepare a trained detector for release."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndetect.cli import options as shared
from cnndetect.cli.groups import Verbs
from cnndetect.errors import ProtocolError, UnknownNameError, lookup
from cnndetect.files import sha256_of
from cnndetect.transforms.conditions import CONDITIONS

if TYPE_CHECKING:
    from cnndetect.detectors.official import OfficialRecord
    from cnndetect.detectors.published.record import Published

_HERE = "cnndetect.cli.detectors"
_ENGINES = "cnndetect.cli.engines"
detectors = Verbs(
    "detectors",
    {
        "ls": (f"{_HERE}:ls", "names, and which of them are here"),
        "info": (f"{_HERE}:info", "everything known about one: data, recipe, licence, checksums"),
        "get": (f"{_HERE}:get", "fetch an official or published checkpoint; a cut download continues"),
        "published": (f"{_HERE}:published", "the records of published detectors, as a table"),
        "speed": (f"{_HERE}:speed", "images per second, measured here and kept for the leaderboard"),
        "export": (f"{_ENGINES}:export", "write one as ONNX, compared with torch"),
        "ranges": (f"{_ENGINES}:ranges", "measure ranges of activations, for --precision int8"),
        "pack": (f"{_HERE}:pack", "store weights with few bits each, and write their record"),
        "save": ("cnndetect.cli.hub:save", "write a detector as a folder to share, with its model card"),
        "push": ("cnndetect.cli.hub:push", "send a detector to the Hugging Face Hub"),
        "calibrate": (f"{_HERE}:calibrate", "fit threshold and temperature on validation images"),
        "choose": (f"{_HERE}:choose", "compare detectors on validation images under several conditions"),
        "fuse": (f"{_HERE}:fuse", "fit a weighted sum of detectors on validation images"),
    },
    help="Detectors by name: which there are, how to get the official ones, and how to ship one of your own.",
)

_val = click.option("--val", type=shared.FILE, required=True, metavar="FOLDER", help="validation images, official layout; never a test set")
_logits = click.option("--logits", type=shared.FILE, metavar="DIR", help="keep the logits there, and reuse them")
_degradations = shared.degradation(("none",), "the logits are joined")


@click.command()
@shared.as_json
def ls(as_json: bool) -> None:
    """List the detectors that have a name, and say which of them are here."""
    from cnndetect.detectors.official import OFFICIAL, is_fetched
    from cnndetect.detectors.published.shown import published_rows
    from cnndetect.detectors.records import registered
    from cnndetect.detectors.weights import DEFAULT_DETECTOR
    from cnndetect.paths import weights_root

    rows = [
        {"name": name, "here": (weights_root() / record.file).is_file(), "licence": record.licence, "default": name == DEFAULT_DETECTOR}
        for name, record in registered().items()
    ]
    rows += [{"name": name, "here": is_fetched(record), "licence": record.licence, "default": False} for name, record in OFFICIAL.items()]
    rows += published_rows()
    if as_json:
        return shared.print_json(rows)
    for row in rows:
        state = "here" if row["here"] else f"cnndetect detectors get {row['name']}"
        click.echo(f"{row['name']:<26} {row['licence']:<44} {state}{' (default)' if row['default'] else ''}")


@click.command()
@click.argument("name")
@shared.as_json
def info(name: str, as_json: bool) -> None:
    """Print everything known about the detector NAME."""
    from cnndetect.detectors.official import OfficialRecord, official_names
    from cnndetect.detectors.published.catalogue import PUBLISHED
    from cnndetect.detectors.records import registered

    records: dict[str, Any] = {**registered(), **official_names(), **PUBLISHED}
    record = lookup("detector", records, name)
    fields = asdict(record) if isinstance(record, OfficialRecord) else record.as_plain()
    if as_json:
        return shared.print_json(fields)
    for key, value in fields.items():
        click.echo(f"{key:<16} {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items() if one is not None)
    if isinstance(value, (list, tuple)):
        return "\n                 ".join(one if isinstance(one, str) else _shown(one) for one in value)
    return "not known" if value is None or value == "" else str(value)


@click.command()
@click.argument("name")
@shared.yes
@shared.from_file("a copy that was fetched by other means")
@shared.out("default: CNNDETECT_OFFICIAL, else the cache folder")
@click.option("--keep-checkpoint/--no-keep-checkpoint", default=True, help="keep the .pth with its optimiser beside")
@click.option("--dry-run", is_flag=True, help="print what would be fetched, and from where")
@shared.as_json
def get(name: str, yes: bool, from_file: Path | None, out: Path | None, keep_checkpoint: bool, dry_run: bool, as_json: bool) -> None:
    """Fetch the official or published checkpoint NAME, such as blur_jpg_prob0.1 or tiny-ladeda-wildrf."""
    from cnndetect.data.official.download import size_text
    from cnndetect.detectors.official import LICENCE, fetch_official, find_official, is_fetched
    from cnndetect.detectors.published.catalogue import PUBLISHED
    from cnndetect.detectors.records import registered

    if name in PUBLISHED:
        return _get_published(PUBLISHED[name], yes, from_file, out, dry_run, as_json)
    try:
        record = find_official(name)
    except UnknownNameError:
        if name in registered():
            raise ProtocolError(f"{name} is part of the package. There is nothing to fetch.") from None
        raise
    if dry_run:
        click.echo(_plan(record, from_file, out))
        return
    fetched = is_fetched(record, folder=out)
    if not fetched:
        click.echo(LICENCE, err=True)
    accepted = yes or (not fetched and _asked())
    path = fetch_official(record, accept_licence=accepted, source=from_file, folder=out, keep_checkpoint=keep_checkpoint, progress=True)
    if out:
        click.echo(f"It is found by its name where CNNDETECT_OFFICIAL={out} is set; by its path anywhere.", err=True)
    answer = {"name": record.name, "file": str(path), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    click.echo(json.dumps(answer, sort_keys=True) if as_json else f"{record.name}  {path}  {size_text(path.stat().st_size)}")


def _get_published(record: Published, yes: bool, from_file: Path | None, out: Path | None, dry_run: bool, as_json: bool) -> None:
    from cnndetect.detectors.published import fetching, shown

    if dry_run:
        click.echo(shown.plan(record, out))
        return
    here = fetching.is_here(record, out)
    if not here:
        click.echo(shown.terms(record), err=True)
    folder = fetching.fetch_published(record, accept_licence=yes or (not here and _asked()), source=from_file, root=out, progress=True)
    answer = {"name": record.name, "folder": str(folder), "files": [file.name for file in record.files]}
    click.echo(json.dumps(answer, sort_keys=True) if as_json else f"{record.name}  {folder}")


@click.command()
def published() -> None:
    """Print the records of published detectors as a Markdown table."""
    from cnndetect.detectors.published.shown import table

    click.echo(table())


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@click.option("--size", type=shared.Count(), default=256, help="side of the drawn images in pixels (default: 256)")
@click.option("--batch-size", type=shared.Count(), default=8, help="images at once (default: 8)")
@click.option("--seconds", type=float, default=5.0, help="to measure at least (default: 5)")
@shared.results()
@shared.device
@shared.as_json
def speed(
    names: tuple[str, ...], size: int, batch_size: int, seconds: float, results: Path | None, device: str | None, as_json: bool
) -> None:  # fmt: skip
    """Measure how many images a detector scores in a second of one core, or of a GPU, and keep the figure for the leaderboard."""
    from cnndetect.bench.speed import keep_speed, measure_speed
    from cnndetect.detectors.registry import load
    from cnndetect.files import plain
    from cnndetect.paths import results_root

    found = [measure_speed(load(name, device=device), size=size, batch=batch_size, seconds=seconds) for name in names or (None,)]
    for one in found:
        keep_speed(results_root(results), one)
    if as_json:
        return shared.print_json([{**plain(one), "images_per_second": one.images_per_second} for one in found])
    for one in found:
        unit = "images/s of one core" if one.device == "cpu" else "images/s"
        click.echo(f"{one.detector:<26} {one.images_per_second:8.2f} {unit}, {one.size} px, {one.processor}")


@click.command()
@click.argument("source", type=shared.FILE)
@click.argument("target", type=shared.FILE)
@click.option("--bits", type=click.Choice(["8", "6", "5"]), default="8", help="of a weight; below 8 for large tensors alone (default: 8)")
@shared.renamed("--val", old="--compare", type=shared.FILE, metavar="FOLDER", help="validation images to compare logits and AP on")
@click.option("--set", "fields", multiple=True, metavar="FIELD=VALUE", help="of the record, such as title, licence or note; repeatable")
@shared.device
def pack(source: Path, target: Path, bits: str, val: Path | None, fields: tuple[str, ...], device: str | None) -> None:
    """Pack the weights SOURCE (.safetensors, .pth or .pt) into TARGET (.safetensors), and print the record written beside it."""
    from cnndetect.detectors.records import parsed
    from cnndetect.fitting.release import pack_weights

    given = parsed(list(fields))
    record = pack_weights(source, target, bits=int(bits), compare=val, device=device, fields=given, progress=True)
    click.echo(json.dumps({**record.as_plain(), "bytes": target.stat().st_size}, indent=1))


@click.command()
@click.argument("detector", metavar="NAME|FILE")
@_val
@shared.protocol
@_degradations
@shared.val_limit
@click.option(
    "--max-false-alarms", type=float, metavar="SHARE", help="of reals called fake at the threshold, under each degradation (default: any)"
)
@_logits
@click.option("--write", is_flag=True, help="freeze it in the record beside the weights file, where loading finds it")
@shared.device
@shared.as_json
def calibrate(
    detector: str, val: Path, protocol: str, degradations: tuple[str, ...], limit: int | None, max_false_alarms: float | None,
    logits: Path | None, write: bool, device: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Fit threshold and temperature of the detector NAME or FILE on its validation images."""
    from cnndetect.fitting.release import calibrate_weights

    fitted, fitted_on = calibrate_weights(
        detector, val, protocol=protocol, degradations=degradations, max_images=limit, max_false_alarms=max_false_alarms,
        store=logits, write=write, device=device, progress=True,
    )  # fmt: skip
    if as_json:
        return shared.print_json({**asdict(fitted), "fitted_on": fitted_on})
    click.echo("\n".join(f"{name}={value!r}" for name, value in asdict(fitted).items()))


@click.command()
@click.argument("candidates", nargs=-1, required=True, metavar="NAME|FILE...")
@_val
@shared.degradation(CONDITIONS, "the choice is by the mean over them")
@shared.val_limit
@_logits
@shared.device
@shared.as_json
def choose(
    candidates: tuple[str, ...], val: Path, degradations: tuple[str, ...], limit: int | None, logits: Path | None,
    device: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Rank detectors by their mean AUC over conditions on validation images; the first is the one to take."""
    from cnndetect.fitting.choice import compare_detectors, shown

    found = compare_detectors(
        candidates, val, conditions=degradations, max_images=limit, store=logits, device=device, progress=True
    )  # fmt: skip
    shared.print_json([asdict(one) for one in found]) if as_json else click.echo(shown(found))


@click.command()
@click.argument("members", nargs=-1, required=True, metavar="NAME|FILE...")
@_val
@click.option("--out", type=shared.FILE, required=True, metavar="FILE.json")
@click.option("--equal", is_flag=True, help="no fit: every logit over its deviation weighs the same")
@_degradations
@shared.val_limit
@_logits
@shared.device
def fuse(
    members: tuple[str, ...], val: Path, out: Path, equal: bool, degradations: tuple[str, ...], limit: int | None, logits: Path | None,
    device: str | None,
) -> None:  # fmt: skip
    """Fit the weights of a sum of two or more detectors on validation images; the file written loads as a detector."""
    from cnndetect.fitting.release import fuse_detectors

    record = fuse_detectors(
        members, val, out, degradations=degradations, max_images=limit, store=logits, equal=equal, device=device, progress=True
    )  # fmt: skip
    shared.print_json(asdict(record))


def _asked() -> bool:
    """Whether a person at the terminal accepts; a script must say --yes."""
    if not sys.stdin.isatty():
        return False
    click.echo("Accept these terms? [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _plan(record: OfficialRecord, source: Path | None, dest: Path | None) -> str:
    from cnndetect.data.official.download import size_text
    from cnndetect.paths import official_root

    target = official_root(dest) / f"{record.stem}.safetensors"
    size = size_text(record.size) if record.size is not None else "about 282 MB"
    places = [str(source)] if source else list(record.urls)
    return "\n".join([f"{record.file} ({size}, {record.licence}) -> {target} (94 MB)", *(f"  from {place}" for place in places)])
