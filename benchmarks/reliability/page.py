"""Puts a table between the marks of a page, and leaves the rest as it is."""

from __future__ import annotations

from pathlib import Path


def put(page: Path, mark: str, text: str) -> None:
    """Replace what stands between ``<!-- MARK -->`` and ``<!-- /MARK -->``. Raises ValueError where the page lacks them."""
    head, tail = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, opened, rest = page.read_text(encoding="utf-8").partition(head)
    _, closed, after = rest.partition(tail)
    if not opened or not closed:
        raise ValueError(f"{page} has no {head} ... {tail}.")
    page.write_text(f"{before}{head}\n\n{text}\n\n{tail}{after}", encoding="utf-8")
