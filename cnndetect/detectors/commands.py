"""The verbs of ``python -m cnndetect.detectors``: parsed arguments in, one call each, the answer printed."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from cnndetect.data.official.download import size_text
from cnndetect.detectors.official import LICENCE, OFFICIAL, OfficialRecord, fetch_official, find_official, is_fetched, official_names
from cnndetect.detectors.weights import DEFAULT_DETECTOR, WEIGHTS, WeightsRecord, file_sha256
from cnndetect.errors import ProtocolError, UnknownNameError, lookup
from cnndetect.paths import official_root, weights_root

EXAMPLES = """examples:
  python -m cnndetect.detectors ls
  python -m cnndetect.detectors get blur_jpg_prob0.1 --yes
  python -m cnndetect.detectors get blur_jpg_prob0.5 --yes --from-file Downloads/blur_jpg_prob0.5.pth
"""


def parser() -> argparse.ArgumentParser:
    """The command line, one sub-command per verb."""
    main = argparse.ArgumentParser(
        prog="python -m cnndetect.detectors",
        description="Detectors by name: which there are, and the official ones on request.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = main.add_subparsers(required=True, metavar="VERB")

    listing = verbs.add_parser("ls", help="names, and which of them are here")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=_list)

    info = verbs.add_parser("info", help="everything known about one: data, recipe, licence, checksums")
    info.add_argument("name", metavar="NAME")
    info.add_argument("--json", action="store_true")
    info.set_defaults(run=_info)

    get = verbs.add_parser("get", help="fetch an official checkpoint; a cut download continues")
    get.add_argument("name", metavar="NAME", help="blur_jpg_prob0.1 or blur_jpg_prob0.5")
    get.add_argument("--yes", action="store_true", help="the licence is read and accepted")
    get.add_argument("--from-file", type=Path, metavar="FILE", help="a .pth that was fetched by other means")
    get.add_argument("--dest", type=Path, metavar="DIR", help="default: CNNDETECT_OFFICIAL, else ~/.cache/cnndetect/official")
    get.add_argument(
        "--keep-checkpoint", action=argparse.BooleanOptionalAction, default=True, help="keep the .pth with its optimiser beside"
    )
    get.add_argument("--dry-run", action="store_true", help="print what would be fetched, and from where")
    get.add_argument("--json", action="store_true")
    get.set_defaults(run=_get)
    return main


def _list(options: argparse.Namespace) -> None:
    rows = [
        {"name": name, "here": (weights_root() / record.file).is_file(), "licence": record.licence, "default": name == DEFAULT_DETECTOR}
        for name, record in WEIGHTS.items()
    ]
    rows += [{"name": name, "here": is_fetched(record), "licence": record.licence, "default": False} for name, record in OFFICIAL.items()]
    if options.json:
        print(json.dumps(rows, indent=1, sort_keys=True))
        return
    for row in rows:
        state = "here" if row["here"] else f"python -m cnndetect.detectors get {row['name']}"
        print(f"{row['name']:<24} {row['licence']:<18} {state}{' (default)' if row['default'] else ''}")


def _info(options: argparse.Namespace) -> None:
    table: dict[str, WeightsRecord | OfficialRecord] = {**WEIGHTS, **official_names()}
    fields = asdict(lookup("detector", table, options.name))
    if options.json:
        print(json.dumps(fields, indent=1, sort_keys=True))
        return
    for name, value in fields.items():
        shown = "\n                 ".join(value) if isinstance(value, tuple) else "not known" if value is None else value
        print(f"{name:<16} {shown}")


def _get(options: argparse.Namespace) -> None:
    try:
        record = find_official(options.name)
    except UnknownNameError:
        if options.name in WEIGHTS:
            raise ProtocolError(f"{options.name} is part of the package. There is nothing to fetch.") from None
        raise
    if options.dry_run:
        print(_plan(record, options))
        return
    if not is_fetched(record, folder=options.dest):
        print(LICENCE, file=sys.stderr)
    path = fetch_official(
        record,
        accept_licence=options.yes or _asked(record, options),
        source=options.from_file,
        folder=options.dest,
        keep_checkpoint=options.keep_checkpoint,
        progress=True,
    )
    if options.dest:
        print(f"It is found by its name where CNNDETECT_OFFICIAL={options.dest} is set; by its path anywhere.", file=sys.stderr)
    answer = {"name": record.name, "file": str(path), "bytes": path.stat().st_size, "sha256": file_sha256(path)}
    print(json.dumps(answer, sort_keys=True) if options.json else f"{record.name}  {path}  {size_text(path.stat().st_size)}")


def _asked(record: OfficialRecord, options: argparse.Namespace) -> bool:
    """Whether a person at the terminal accepts; a script must say --yes."""
    if is_fetched(record, folder=options.dest) or not sys.stdin.isatty():
        return False
    print("Accept these terms? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _plan(record: OfficialRecord, options: argparse.Namespace) -> str:
    target = official_root(options.dest) / f"{record.stem}.safetensors"
    size = size_text(record.size) if record.size is not None else "about 282 MB"
    places = [str(options.from_file)] if options.from_file else list(record.urls)
    return "\n".join([f"{record.file} ({size}, {record.licence}) -> {target} (94 MB)", *(f"  from {place}" for place in places)])
