"""The catalogue of other people's test sets: one row each of catalogue.json, read and checked.

A row says where a set lies and how it is packed, under which licence, and which flaws a reader of its figures has to know.
Facts come from the sets' own pages and repositories; what nobody has stated is absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from cnndetect.errors import lookup

_FILE = Path(__file__).with_name("catalogue.json")

Host = Literal["hub", "http", "browser", "mail"]
Layout = Literal["01", "ai-nature", "real-fake", "flat", "csv", "parquet", "webdataset"]

LAYOUT_WORDS = {
    "01": "GENERATOR/[CLASS/]0_real and 1_fake",
    "ai-nature": "GENERATOR/nature and ai",
    "real-fake": "GENERATOR/real and fake",
    "flat": "a folder of fakes for each generator, the reals apart",
    "csv": "a table of paths and labels",
    "parquet": "tables with images and labels inside",
    "webdataset": "tars of images and labels",
}


class SetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a set."""

    name: str
    bytes: int | None = None
    about_gb: float | None = None  # as its page says, where bytes are not
    hash: str | None = None  # "ALGORITHM:HEX" where one is published
    url: str | None = None


class SetRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test set."""

    id: str
    title: str
    # "hub" (repo on the Hugging Face Hub), "http" (the files' own addresses), "browser" (page: only a browser gets it), "mail" (how: whom
    # to ask)
    host: Host
    layout: Layout  # see ``cnndetect.data.sets.arrange``
    licence: str
    biases: list[str]
    groups: list[str] = []  # its generators, empty where not listed
    repo: str | None = None
    revision: str | None = None  # of the repository, None for its newest state
    page: str | None = None
    how: str | None = None
    files: list[SetFile] = []
    also: list[str] = []
    gated: bool = False
    real_source: str | None = None
    fake_format: str | None = None
    native_size: str | None = None
    shared_reals: list[list[str]] = []  # groups of one row have the same reals

    @property
    def size(self) -> str | None:
        """Of all its files together, where their sizes are known."""
        sizes = [file.bytes / 1e9 if file.bytes else file.about_gb for file in self.files]
        known = [size for size in sizes if size]
        return f"{sum(known):.3g} GB" if known and len(known) == len(sizes) else None

    @property
    def address(self) -> str:
        """Where a person looks at it."""
        return f"https://huggingface.co/datasets/{self.repo}" if self.repo else self.page or next((f.url for f in self.files if f.url), "")


@cache
def set_rows() -> dict[str, SetRow]:
    """Every row by id, in the catalogue's order.

    >>> set_rows()["genimage"].layout
    'ai-nature'
    """
    return {row.id: row for row in msgspec.json.decode(_FILE.read_bytes(), type=list[SetRow])}


def find_row(name: str) -> SetRow:
    """The row of that id. Raises UnknownNameError with the nearest name."""
    return lookup("test set", set_rows(), name)


def how_to_get(row: SetRow, folder: str | Path) -> str:
    """What a person does to have the set in ``folder``, one sentence a line.

    >>> print(how_to_get(find_row("chameleon"), "chameleon"))
    Write to tattoo.ysl@gmail.com, as its authors ask.
    Then unpack it into chameleon.
    Check it with: cnndetect data verify chameleon --suite chameleon
    Score it with: cnndetect bench --suite chameleon
    """
    lines = [row.how] if row.how else []
    fetched = row.host in ("hub", "http") and bool(row.files)
    if fetched:
        lines.append(f"cnndetect data get {row.id}")
        lines.append("That fetches, checks and unpacks it. By hand:")
    if row.host == "browser":
        lines.append(f"Only a browser can fetch it: open {row.address}")
    if row.gated and row.repo:
        lines.append(f"Access is granted on request: ask at {row.address}, then log in with: hf auth login")
    if row.host == "hub":
        names = " ".join(file.name for file in row.files)
        if row.layout == "parquet":
            lines.append(f"Score it as it is: cnndetect bench --suite hf://{row.repo}; or keep all of it:")
        lines.append(f"hf download --repo-type dataset {row.repo} {names}".rstrip() + f" --local-dir {folder}")
    if row.host == "http":
        lines += [f"Fetch {file.url}" + (f" ({file.hash})" if file.hash else "") for file in row.files]
    lines += [f"The same set: {url}" for url in row.also]
    lines.append(f"Then unpack it into {folder}.")
    if row.layout not in ("01", "ai-nature", "real-fake"):
        lines.append(f"Bring it into the layout of the bench with: cnndetect data arrange {row.layout} --help")
    else:
        lines.append(f"Check it with: cnndetect data verify {folder} --suite {row.id}")
        lines.append(f"Score it with: cnndetect bench --suite {row.id}")
    return "\n".join(lines)


def notes(row: SetRow, groups: Iterable[str] = ()) -> list[str]:
    """What to say beside figures of a set: its licence, then its known biases; ``groups`` that share reals are named."""
    wanted = set(groups)
    shared = [[name for name in row_ if name in wanted] for row_ in row.shared_reals]
    lines = [f"{', '.join(names)} have the same reals: the intervals of means draw equal reals together." for names in shared if names[1:]]
    return [f"licence: {row.licence}", *row.biases, *lines]
