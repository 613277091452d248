"""``cnndetect data`` for the catalogue of other people's test sets, and ``data arrange`` for their layouts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cnndetect.cli import options as shared
from cnndetect.cli.guard import DONE
from cnndetect.errors import ProtocolError

Answer = tuple[dict[str, Any], str, bool]

LAYOUTS = ("flat", "csv", "parquet", "webdataset")


def rows_table() -> tuple[list[dict[str, Any]], str]:
    """Every row for JSON, and a table of them."""
    import msgspec
    from tabulate import tabulate

    from cnndetect.data.sets.rows import set_rows
    from cnndetect.paths import data_root

    rows = list(set_rows().values())
    here = {row.id: (data_root() / row.id).is_dir() for row in rows}
    access = {"hub": "Hub", "http": "address", "browser": "browser only", "mail": "by mail"}
    cells = [
        [row.id, access[row.host] + (", on request" if row.gated else ""), row.size or "-", "here" if here[row.id] else "-",
         row.licence.partition(";")[0], row.title]
        for row in rows
    ]  # fmt: skip
    head = ["test set of others", "access", "download", "here", "licence", "what it is"]
    table = tabulate(cells, head, tablefmt="plain", disable_numparse=True)
    return [msgspec.to_builtins(row) | {"here": here[row.id]} for row in rows], table


def row_info(name: str) -> Answer:
    """What the catalogue knows of one set, how to get it, and its known biases."""
    import msgspec

    from cnndetect.data.sets.rows import LAYOUT_WORDS, find_row, how_to_get, notes
    from cnndetect.paths import data_root

    row = find_row(name)
    folder = data_root() / row.id
    facts = {"licence": row.licence, "groups": ", ".join(filter(None, row.groups)), "reals": row.real_source,
             "fakes' format": row.fake_format, "size of images": row.native_size, "layout": f"{row.layout}: {LAYOUT_WORDS[row.layout]}",
             "revision": row.revision, "address": row.address}  # fmt: skip
    files = [f"file: {f.name}" + (f", about {f.about_gb} GB" if f.about_gb else "") + (f", {f.hash}" if f.hash else "") for f in row.files]
    lines = [row.title, *(f"{key}: {value}" for key, value in facts.items() if value), *files, "", "known biases:"]
    lines += [
        *(f"- {line}" for line in notes(row, row.groups)[1:]),
        *([] if notes(row, row.groups)[1:] else ["- none that anybody stated"]),
    ]
    lines += ["", "how to get it:", how_to_get(row, folder)]
    return msgspec.to_builtins(row) | {"folder": str(folder), "how_to_get": how_to_get(row, folder)}, "\n".join(lines), True


def get_row(name: str, dest: Path | None, accept: Any) -> Answer:
    """Fetch a set of the catalogue, after ``accept`` has been given its terms."""
    from cnndetect.data.sets.fetch import fetch_set
    from cnndetect.data.sets.rows import find_row, notes

    row = find_row(name)
    if row.host in ("hub", "http") and row.files:
        accept(row.title, "\n".join(notes(row)))
    folder = fetch_set(row, dest)
    return {"folder": str(folder), "id": row.id}, f"{folder}\ncheck with: cnndetect data verify {folder} --suite {row.id}", True


def verify_row(name: str, root: Path) -> Answer:
    """Count and decode what is there of a set of the catalogue."""
    from cnndetect.data.sets.fetch import check_set, check_text
    from cnndetect.data.sets.rows import find_row

    check = check_set(find_row(name), root)
    return asdict(check) | {"is_right": check.is_right}, check_text(check), check.is_right


@click.command()
@click.argument("layout", type=click.Choice(LAYOUTS))
@click.argument("source", nargs=-1, required=True, type=shared.FILE)
@shared.out("where DIR/GENERATOR/{0_real,1_fake} is written", required=True)
@click.option("--reals", type=shared.FILE, metavar="DIR", help="flat: the folder of the reals, shared by all generators")
@click.option("--image", default=None, metavar="COLUMN", help="column of the image (parquet: image) or of its path (csv: path)")
@click.option("--label", default="label", metavar="COLUMN", show_default=True, help="column of the label")
@click.option("--group", default=None, metavar="COLUMN", help="column of the generator: a test set each")
@shared.as_json
def arrange(
    layout: str, source: tuple[Path, ...], out: Path, reals: Path | None, image: str | None, label: str, group: str | None, as_json: bool
) -> int:
    """Bring SOURCE, in one of four LAYOUTs, into the layout of the bench; images stay byte for byte as they are."""
    from cnndetect.data.sets import arrange as readers

    if layout in ("flat", "csv") and len(source) > 1:
        raise ProtocolError(f"Got {len(source)} sources. Expected one folder or one table for the layout {layout}.")
    if layout == "flat":
        if reals is None:
            raise ProtocolError("The layout flat needs the folder of the reals: give --reals DIR.")
        counts = readers.arrange_flat(source[0], reals, out)
    elif layout == "csv":
        counts = readers.arrange_csv(source[0], out, path=image or "path", label=label, group=group)
    elif layout == "parquet":
        counts = readers.arrange_parquet(source, out, image=image or "image", label=label, group=group)
    else:
        counts = readers.arrange_webdataset(source, out, label=label)
    if as_json:
        shared.print_json({"folder": str(out), "counts": dict(counts)})
    else:
        click.echo("\n".join([*(f"{name}: {count}" for name, count in sorted(counts.items())), f"bench with: --suite {out}"]))
    return DONE


@click.command()
@click.argument("root", type=shared.FILE)
@shared.out("where NAME.pack.zip is written for every folder NAME", required=True)
@click.option("--effort", type=click.IntRange(0, 6), default=4, show_default=True, help="of the encoder; the pixels are the same")
@shared.as_json
def pack(root: Path, out: Path, effort: int, as_json: bool) -> int:
    """Pack the suite ROOT: a folder becomes one file, read by the same paths, with the same names and fingerprints."""
    from cnndetect.data.official.download import size_text
    from cnndetect.data.pack import pack_suite

    sizes = pack_suite(root, out, effort=effort)
    if as_json:
        shared.print_json({name: {"before": before, "after": after} for name, (before, after) in sizes.items()})
    else:
        click.echo("\n".join(f"{name}: {size_text(before)} -> {size_text(after)}" for name, (before, after) in sizes.items()))
    return DONE
