"""Records of published detectors as text: rows of a list, terms, the plan of a fetch, the table of the documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.published.fetching import folder_of, how_to_get, is_here
from cnndetect.detectors.published.record import Published


def published_rows() -> list[dict[str, Any]]:
    """One row per detector, here or not."""
    return [{"name": name, "here": is_here(one), "licence": one.licence, "default": False} for name, one in PUBLISHED.items()]


def terms(record: Published) -> str:
    """What a user should read before taking the weights."""
    return f"{record.title}: {record.paper}\n{record.code}\nLicence: {record.licence}"


def plan(record: Published, root: Path | None = None) -> str:
    """Files, sizes, checksums, places and the folder they would go to."""
    if record.package:
        return f"{record.name} ({record.licence}): {how_to_get(record)}"
    lines = [f"{record.name} ({record.licence}) -> {folder_of(record, root)}"]
    lines += [
        f"  {file.name} ({_bytes(file.size)}, {file.proof}) from {file.urls[0] if file.urls else file.place}" for file in record.files
    ]
    return "\n".join(lines)


def table() -> str:
    """All records as a Markdown table.

    >>> table().splitlines()[0]
    '| name | paper | trained on | input | output | weights | licence | compared |'
    """
    lines = ["| name | paper | trained on | input | output | weights | licence | compared |", "|" + " -- |" * 8]
    lines += [
        f"| `{one.name}` | [{one.paper}]({one.code}) | {one.trained_on} | {one.words} | {one.orientation} | "
        f"{_places(one)} | {one.licence} | {compared_words(one)} |"
        for one in PUBLISHED.values()
    ]  # fmt: skip
    return "\n".join(lines)


def compared_words(record: Published) -> str:
    """How near to the authors' own code, in words."""
    if record.package:
        return "the package itself answers"
    return f"to {record.compared:g}" if isinstance(record.compared, float) else f"not compared: {record.compared}"


def _places(record: Published) -> str:
    if record.package:
        return f"inside the package {record.package}"
    fetched = "" if all(file.urls for file in record.files) else " (by hand)"
    return "; ".join(f"{file.name}, {_bytes(file.size)}" for file in record.files) + fetched


def _bytes(count: int | None) -> str:
    return "size not known" if count is None else f"{count:,} bytes"
