"""The verbs of ``python -m cnndetect.data``: parsed arguments in, a record out, and how it reads as text."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tabulate import tabulate

from cnndetect.data.official.catalog import DATASETS, SUITES, Dataset, find_dataset, find_groups, named_groups
from cnndetect.data.official.download import size_text
from cnndetect.data.official.fetch import addresses, fetch, folder_of
from cnndetect.data.official.flaws import flaw_lines
from cnndetect.data.official.verify import NAMED, Check, verify
from cnndetect.errors import ProtocolError
from cnndetect.paths import data_root

EXAMPLES = """\
Exit status: 0 done and right, 1 something is wrong or missing, 2 misused.

examples:
  python -m cnndetect.data get forensynths --only stylegan,biggan --dest forensynths
  python -m cnndetect.data verify forensynths --only stylegan,biggan
  python -m cnndetect.data get progan-val --from-archive progan_val.zip --yes
"""


def data_parser() -> argparse.ArgumentParser:
    """The command line, one sub-command per verb."""
    main = argparse.ArgumentParser(
        prog="python -m cnndetect.data",
        description="The released images of Wang et al., CVPR 2020: list, fetch, verify.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = main.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
        parser.set_defaults(run=run)
        return parser

    verb("ls", _ls, "which data sets there are, and which are here")
    for name, run, text in (("info", _info, "counts, sizes, sources, licence and known flaws"), ("where", _where, "folder and addresses")):
        verb(name, run, text).add_argument("name", metavar="NAME", help="data set or suite, see ls")

    check = verb("verify", _verify, "compare a folder with the catalogue: missing, extra, duplicated, unreadable")
    check.add_argument("root", type=Path, metavar="ROOT", help="folder that holds the generators, or the categories")
    check.add_argument("--suite", default=None, metavar="NAME", help=f"{', '.join((*SUITES, *DATASETS))} (default: told by the folders)")
    check.add_argument("--only", type=_names, default=None, metavar="A,B", help="these generators or categories")
    check.add_argument("--quick", action="store_true", help="count files only; nothing is decoded or compared")

    get = verb("get", _get, "fetch images; the same command continues after an interruption")
    get.add_argument("name", metavar="NAME", help="data set, see ls")
    get.add_argument("--only", type=_names, default=None, metavar="A,B", help="these generators or categories (default: all)")
    get.add_argument("--dest", type=Path, default=None, metavar="DIR", help="default: a folder below CNNDETECT_DATA")
    get.add_argument("--yes", action="store_true", help="accept the licence without being asked")
    get.add_argument("--from-archive", type=Path, default=None, metavar="FILE", help="unpack this archive; no network")
    get.add_argument("--mirror", action="append", default=[], metavar="URL", help="address of the files' folder, tried first; repeatable")
    get.add_argument("--whole", action="store_true", help="fetch the whole archive first, for servers without ranges")
    return main


def _ls(options: argparse.Namespace) -> tuple[dict[str, Any], str, bool]:
    rows = [_summary(dataset) for dataset in DATASETS.values()]
    table = tabulate(
        [[r["name"], r["split"], f"{r['real']}/{r['fake']}", size_text(r["bytes"]), f"{len(r['here'])}/{r['groups']}"] for r in rows],
        ["name", "split", "real/fake", "archive", "groups here"],
        tablefmt="plain",
        disable_numparse=True,
    )
    suites = "\n".join(f"suite {facts.name}@{facts.version}: {len(facts.groups)} groups of {facts.dataset}" for facts in SUITES.values())
    return {"root": str(data_root()), "datasets": rows}, f"{table}\n\n{suites}\nfolder: {data_root()}", True


def _info(options: argparse.Namespace) -> tuple[dict[str, Any], str, bool]:
    dataset, groups = find_dataset(options.name), named_groups(options.name)
    flaws = flaw_lines(dataset.name, [group.name for group in groups])
    plain = _summary(dataset) | {
        "name": options.name,
        "groups": [asdict(group) | {"real": group.real, "fake": group.fake} for group in groups],
        "real": sum(group.real for group in groups),
        "fake": sum(group.fake for group in groups),
        "layout": dataset.layout,
        "files": [asdict(part) for part in dataset.parts],
        "licence": dataset.licence,
        "terms": dataset.terms,
        "citation": dataset.citation,
        "flaws": flaws,
    }
    table = tabulate(
        [[g.name, g.family, g.reals_from, len(g.classes), f"{g.real}/{g.fake}", g.size, g.formats] for g in groups],
        ["group", "family", "reals", "classes", "real/fake", "size (px)", "files"],
        tablefmt="plain",
        disable_numparse=True,
    )
    lines = [
        dataset.title,
        f"layout: {dataset.layout}",
        "",
        table,
        "",
        f"all: {plain['real']} real, {plain['fake']} fake",
        *(f"archive: {part.name}, {size_text(part.bytes)}, sha256 {part.sha256 or 'not published'}" for part in dataset.parts),
        "",
        "known flaws:",
        *([f"- {line}" for line in flaws] or ["- none is known"]),
        "",
        _terms(dataset),
    ]
    return plain, "\n".join(lines), True


def _where(options: argparse.Namespace) -> tuple[dict[str, Any], str, bool]:
    dataset = find_dataset(options.name)
    places = {part.name: addresses(part) for part in dataset.parts}
    here = _here(dataset)
    plain = {"folder": str(folder_of(dataset)), "here": here, "addresses": places, "copies": list(dataset.copies)}
    lines = [f"folder: {folder_of(dataset)} ({len(here)} of {len(dataset.groups)} groups here)"]
    lines += [f"address: {url}" for urls in places.values() for url in urls]
    lines += [f"copy for a browser, then --from-archive: {url}" for url in dataset.copies]
    return plain, "\n".join(lines), True


def _verify(options: argparse.Namespace) -> tuple[dict[str, Any], str, bool]:
    check = verify(options.root, options.suite, only=options.only, contents=not options.quick, progress=True)
    plain = asdict(check) | {"is_right": check.is_right}
    for part, record in zip(check.classes, plain["classes"], strict=True):
        record |= {"missing": part.missing, "extra": part.extra, "is_right": part.is_right}
    return plain, _check_text(check, options.quick), check.is_right


def _get(options: argparse.Namespace) -> tuple[dict[str, Any], str, bool]:
    if options.whole and options.from_archive:
        raise ProtocolError("--whole fetches an archive and --from-archive has one. Expected one of them.")
    dataset = find_dataset(options.name)
    # A suite's name stands for its groups.
    only = options.only or [group.name for group in named_groups(options.name)]
    find_groups(dataset, only)
    _accept(dataset, options.yes)
    done = fetch(
        dataset,
        only=only,
        dest=options.dest,
        mirrors=options.mirror,
        from_archive=options.from_archive,
        whole=options.whole,
    )
    lines = [
        f"{done.folder}: {done.written} files written ({size_text(done.bytes)}), {done.kept} were here already, {len(done.failed)} failed",
        *(f"  {line}" for line in done.failed[:NAMED]),
        f"check with: python -m cnndetect.data verify {done.folder} --suite {dataset.name} --only {','.join(done.groups)}",
    ]
    return asdict(done), "\n".join(lines), not done.failed


def _accept(dataset: Dataset, accepted: bool) -> None:
    print(f"{dataset.title}\n{_terms(dataset)}", file=sys.stderr)
    if accepted:
        return
    if not sys.stdin.isatty():
        raise ProtocolError("Nothing was fetched: the licence has to be accepted. Read it above and give --yes.")
    print("Do you accept? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ProtocolError("Nothing was fetched: the licence was not accepted.")


def _terms(dataset: Dataset) -> str:
    return f"licence: {dataset.licence}\n{dataset.terms}\ncite: {dataset.citation}"


def _summary(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "title": dataset.title,
        "split": dataset.split,
        "groups": len(dataset.groups),
        "real": sum(group.real for group in dataset.groups.values()),
        "fake": sum(group.fake for group in dataset.groups.values()),
        "bytes": dataset.bytes,
        "folder": str(folder_of(dataset)),
        "here": _here(dataset),
    }


def _here(dataset: Dataset) -> list[str]:
    return [name for name in dataset.groups if (folder_of(dataset) / name).is_dir()]


def _check_text(check: Check, quick: bool) -> str:
    head = ["folder", "expected", "found", "missing", "extra", "duplicated", "unreadable"]
    wrong = [part for part in check.classes if not part.is_right]
    rows = [[p.folder, p.expected, p.found, p.missing, p.extra, len(p.duplicated), len(p.unreadable)] for p in wrong]
    lines = [tabulate(rows, head, tablefmt="plain"), ""] if rows else []
    lines += [f"unreadable: {line}" for part in check.classes for line in part.unreadable[:NAMED]]
    lines += [f"duplicated: {name}" for part in check.classes for name in part.duplicated[:NAMED]]
    lines += [f"not in the catalogue: {name}" for name in check.unknown]
    right = sum(part.is_right for part in check.classes)
    how = "counted, nothing decoded" if quick else "every image decoded"
    lines.append(f"{check.root} as {check.dataset}: {right} of {len(check.classes)} class folders right ({how})")
    if check.flaws:
        lines += ["known flaws of the originals:", *(f"- {line}" for line in check.flaws)]
    return "\n".join(lines)


def _names(text: str) -> Sequence[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected names such as stylegan,biggan")
    return names
