"""``cnndetect data``: the released images of Wang et al., CVPR 2020, and the test sets of others: list, fetch, verify."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndetect.cli import options as shared
from cnndetect.cli.data_sets import get_row, row_info, rows_table, verify_row
from cnndetect.cli.groups import Verbs
from cnndetect.cli.guard import DONE, FAILED
from cnndetect.counting import counted
from cnndetect.errors import ProtocolError

if TYPE_CHECKING:
    from cnndetect.data.official.catalog import Dataset
    from cnndetect.data.official.verify import Check

_HERE = "cnndetect.cli.data"
data = Verbs(
    "data",
    {
        "ls": (f"{_HERE}:ls", "which data sets there are, and which are here"),
        "info": (f"{_HERE}:info", "counts, sizes, folder, addresses, licence and known flaws"),
        "get": (f"{_HERE}:get", "fetch images; the same command continues after an interruption"),
        "verify": (f"{_HERE}:check", "compare a folder with the catalogue"),
        "arrange": ("cnndetect.cli.data_sets:arrange", "bring flat folders, CSV, Parquet or WebDataset into the layout of the bench"),
        "pack": ("cnndetect.cli.data_sets:pack", "one file of lossless WebP for every folder of a suite, pixels unchanged"),
    },
    also={"where": "info"},
    help="The released images of Wang et al., CVPR 2020, and the test sets of others: list, fetch, verify.",
    epilog="""Exit status: 0 done and right, 1 something is wrong or missing, 2 misused.

\b
examples:
  cnndetect data get forensynths --only stylegan,biggan --out forensynths
  cnndetect data verify forensynths --only stylegan,biggan
  cnndetect data get progan-val --from-file progan_val.zip --yes""",
)


_only = shared.only("these generators or categories")


def _answer(found: tuple[dict[str, Any], str, bool], as_json: bool) -> int:
    plain, text, is_right = found
    shared.print_json(plain) if as_json else click.echo(text)
    return DONE if is_right else FAILED


@click.command()
@shared.as_json
def ls(as_json: bool) -> int:
    """List the data sets and suites, and say which of them are here."""
    return _answer(_ls(), as_json)


@click.command()
@click.argument("name")
@shared.as_json
def info(name: str, as_json: bool) -> int:
    """Print counts, sizes, folder, addresses, licence and known flaws of the data set or suite NAME."""
    return _answer(row_info(name) if _is_row(name) else _info(name), as_json)


@click.command()
@click.argument("root", type=shared.FILE)
@click.option("--suite", metavar="NAME", help="data set or suite, see ls (default: told by the folders)")
@_only
@click.option("--quick", is_flag=True, help="count files only; nothing is decoded or compared")
@shared.as_json
def check(root: Path, suite: str | None, only: list[str] | None, quick: bool, as_json: bool) -> int:
    """Compare the folder ROOT, which holds generators or categories, with the catalogue: missing, extra, duplicated, unreadable."""
    return _answer(verify_row(suite, root) if suite and _is_row(suite) else _verify(root, suite, only, quick), as_json)


@click.command()
@click.argument("name")
@_only
@shared.out("default: a folder below CNNDETECT_DATA")
@shared.yes
@shared.from_file("unpack this archive; no network")
@click.option("--mirror", "mirrors", multiple=True, metavar="URL", help="address of the files' folder, tried first; repeatable")
@click.option("--whole", is_flag=True, help="fetch the whole archive first, for servers without ranges")
@shared.as_json
def get(
    name: str, only: list[str] | None, out: Path | None, yes: bool, from_file: Path | None, mirrors: tuple[str, ...], whole: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Fetch images of the data set or suite NAME; the same command continues after an interruption."""
    if _is_row(name):
        return _answer(get_row(name, out, lambda title, terms: _accept(title, terms, yes)), as_json)
    return _answer(_get(name, only, out, yes, from_file, mirrors, whole), as_json)


def _is_row(name: str) -> bool:
    from cnndetect.data.sets.rows import set_rows

    return name in set_rows()


def _ls() -> tuple[dict[str, Any], str, bool]:
    from tabulate import tabulate

    from cnndetect.data.official.catalog import DATASETS, SUITES
    from cnndetect.data.official.download import size_text
    from cnndetect.paths import data_root

    rows = [_summary(dataset) for dataset in DATASETS.values()]
    table = tabulate(
        [[r["name"], r["split"], f"{r['real']}/{r['fake']}", size_text(r["bytes"]), f"{len(r['here'])}/{r['groups']}"] for r in rows],
        ["name", "split", "real/fake", "archive", "groups here"],
        tablefmt="plain",
        disable_numparse=True,
    )
    suites = "\n".join(f"suite {facts.name}@{facts.version}: {len(facts.groups)} groups of {facts.dataset}" for facts in SUITES.values())
    others, others_table = rows_table()
    plain = {"root": str(data_root()), "datasets": rows, "test_sets": others}
    return plain, f"{table}\n\n{suites}\n\n{others_table}\n\nfolder: {data_root()}", True


def _info(name: str) -> tuple[dict[str, Any], str, bool]:
    from tabulate import tabulate

    from cnndetect.data.official.catalog import find_dataset, named_groups
    from cnndetect.data.official.download import size_text
    from cnndetect.data.official.fetch import addresses, folder_of
    from cnndetect.data.official.flaws import flaw_lines

    dataset, groups = find_dataset(name), named_groups(name)
    places = {part.name: addresses(part) for part in dataset.parts}
    flaws = flaw_lines(dataset.name, [group.name for group in groups])
    plain = _summary(dataset) | {
        "name": name,
        "groups": [asdict(group) | {"real": group.real, "fake": group.fake} for group in groups],
        "real": sum(group.real for group in groups),
        "fake": sum(group.fake for group in groups),
        "layout": dataset.layout,
        "files": [asdict(part) for part in dataset.parts],
        "licence": dataset.licence,
        "terms": dataset.terms,
        "citation": dataset.citation,
        "flaws": flaws,
        "addresses": places,
        "copies": list(dataset.copies),
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
        f"folder: {folder_of(dataset)} ({len(_here(dataset))} of {len(dataset.groups)} groups here)",
        *(f"address: {url}" for urls in places.values() for url in urls),
        *(f"copy for a browser, then --from-file: {url}" for url in dataset.copies),
        "",
        "known flaws:",
        *([f"- {line}" for line in flaws] or ["- none is known"]),
        "",
        _terms(dataset),
    ]
    return plain, "\n".join(lines), True


def _verify(root: Path, suite: str | None, only: list[str] | None, quick: bool) -> tuple[dict[str, Any], str, bool]:
    from cnndetect.data.official.verify import verify

    check = verify(root, suite, only=only, contents=not quick, progress=True)
    plain = asdict(check) | {"is_right": check.is_right}
    for part, record in zip(check.classes, plain["classes"], strict=True):
        record |= {"missing": part.missing, "extra": part.extra, "is_right": part.is_right}
    return plain, _check_text(check, quick), check.is_right


def _get(
    name: str, only: list[str] | None, dest: Path | None, accepted: bool, archive: Path | None, mirrors: tuple[str, ...], whole: bool
) -> tuple[dict[str, Any], str, bool]:
    from cnndetect.data.official.catalog import find_dataset, find_groups, named_groups
    from cnndetect.data.official.download import size_text
    from cnndetect.data.official.fetch import fetch
    from cnndetect.data.official.verify import NAMED

    if whole and archive:
        raise ProtocolError("--whole fetches an archive and --from-file has one. Expected one of them.")
    dataset = find_dataset(name)
    # A suite's name stands for its groups.
    only = only or [group.name for group in named_groups(name)]
    find_groups(dataset, only)
    _accept(dataset.title, _terms(dataset), accepted)
    done = fetch(dataset, only=only, dest=dest, mirrors=mirrors, from_archive=archive, whole=whole)
    lines = [
        f"{done.folder}: {counted(done.written, 'file')} written ({size_text(done.bytes)}), {done.kept} were here already, {len(done.failed)} failed",
        *(f"  {line}" for line in done.failed[:NAMED]),
        f"check with: cnndetect data verify {done.folder} --suite {dataset.name} --only {','.join(done.groups)}",
    ]
    return asdict(done), "\n".join(lines), not done.failed


def _accept(title: str, terms: str, accepted: bool) -> None:
    click.echo(f"{title}\n{terms}", err=True)
    if accepted:
        return
    if not sys.stdin.isatty():
        raise ProtocolError("Nothing was fetched: the licence has to be accepted. Read it above and give --yes.")
    click.echo("Do you accept? [y/N] ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ProtocolError("Nothing was fetched: the licence was not accepted.")


def _terms(dataset: Dataset) -> str:
    return f"licence: {dataset.licence}\n{dataset.terms}\ncite: {dataset.citation}"


def _summary(dataset: Dataset) -> dict[str, Any]:
    from cnndetect.data.official.fetch import folder_of

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
    from cnndetect.data.official.fetch import folder_of

    return [name for name in dataset.groups if (folder_of(dataset) / name).is_dir()]


def _check_text(check: Check, quick: bool) -> str:
    from tabulate import tabulate

    from cnndetect.data.official.verify import NAMED

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
