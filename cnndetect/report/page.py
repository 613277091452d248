"""Sections in, one self-contained HTML page out: nothing is loaded from anywhere, light and dark, from 360 px up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnndetect.errors import ProtocolError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Value:
    """A cell that sorts by ``key``, whatever its text is."""

    text: str
    key: float


Cell = str | Value


@dataclass(frozen=True)
class Data:
    """Rows of a CSV: fractions and logits, never percentages."""

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by every column. The first cell of a row names it.  data: what its CSV holds."""

    name: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    data: Data

    @property
    def numeric(self) -> list[bool]:
        """Per column: whether it holds numbers, which stand on the right."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.head)
        return [place > 0 and any(isinstance(cell, Value) for cell in column) for place, column in enumerate(columns)]


@dataclass(frozen=True)
class Drawing:
    """A figure with what the page says of it. name: of its files.  alt: read aloud instead of it.

    data: the numbers that are drawn.  vector: False for pictures, which go into the page as WebP on a light card.
    """

    name: str
    figure: Figure | None
    caption: str
    alt: str
    data: Data
    vector: bool = True
    wide: bool = False


@dataclass(frozen=True)
class Block:
    """Drawings side by side, then tables. title: a heading, "" for none."""

    title: str = ""
    drawings: Sequence[Drawing] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Section:
    """A part of the page. prose: paragraphs; `code` and **bold** are marked as here.  missing: what makes its inputs."""

    title: str
    anchor: str
    prose: Sequence[str]
    blocks: Sequence[Block] = ()
    missing: str | None = None


@dataclass(frozen=True)
class Page:
    """What stands around the sections. facts: name -> value, in tiles.  provenance: rows of the closing table.

    notes: what is known of the suite's images.  svgs: drawing -> inline SVG.  pictures: drawing -> WebP in base64.
    """

    title: str
    lead: str
    facts: Mapping[str, str]
    sections: Sequence[Section]
    provenance: Table
    command: str
    notes: Sequence[str] = ()
    svgs: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)


def render(page: Page) -> str:
    """The page as text. Raises ProtocolError where Jinja is not installed."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise ProtocolError(f"The report needs {error.name}, which is not installed. Run: pip install 'cnndetect[report]'") from error
    from cnndetect.report.figures.style import css_variables

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["marked"] = lambda text: Markup(marked(text))
    environment.filters["is_value"] = lambda cell: isinstance(cell, Value)
    return environment.get_template("page.html").render(
        page=page,
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        light=Markup(css_variables(dark=False)),
        dark=Markup(css_variables(dark=True)),
        svgs={name: Markup(svg) for name, svg in page.svgs.items()},
        pictures=page.pictures,
    )


def marked(text: str) -> str:
    """Plain text as HTML: `code` and **bold**, everything else escaped.

    >>> marked("a < b, **not** `a > b`")
    'a &lt; b, <strong>not</strong> <code>a &gt; b</code>'
    """
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
