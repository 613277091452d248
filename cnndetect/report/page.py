"""One self-contained HTML page from sections: nothing is loaded from anywhere, light and dark, from 360 px up, and on paper."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnndetect.data.folders import evenly
from cnndetect.errors import ProtocolError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HERE = Path(__file__).resolve().parent

# Rows of a chart's numbers that the page itself shows; the CSV has all of them.
MOST_NUMBERS = 16


@dataclass(frozen=True)
class Value:
    """A cell that sorts by a number, whatever its text is."""

    text: str
    key: float
    """What it sorts by; NaN goes last in both orders."""
    strong: bool = False
    """Whether it stands out, such as the best of its row."""
    link: str = ""
    """Where a press leads, "" for nowhere."""


@dataclass(frozen=True)
class Link:
    """A cell of words that lead somewhere."""

    text: str
    link: str


Cell = str | Value | Link


@dataclass(frozen=True)
class Data:
    """Rows of a CSV: fractions and logits, never percentages."""

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def some(self) -> list[Sequence[Any]]:
        """At most MOST_NUMBERS rows, evenly spread from the first to the last."""
        return list(evenly(list(self.rows), MOST_NUMBERS, ends=True)) if len(self.rows) > MOST_NUMBERS else list(self.rows)


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by every column. The first cell of a row names it."""

    name: str
    """Of its CSV; no other table of the page has it."""
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    data: Data
    """What its CSV holds."""

    @property
    def numeric(self) -> list[bool]:
        """Per column: whether it holds numbers, which stand on the right."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.head)
        return [place > 0 and any(isinstance(cell, Value) for cell in column) for place, column in enumerate(columns)]


@dataclass(frozen=True)
class Tile:
    """A picture of a sheet with the words below it."""

    image: bytes
    """A WebP."""
    words: str
    alt: str
    heat: bytes = b""
    """A WebP shown on its right: where the detector looked."""
    tone: str = ""
    """"real", "fake" or "wrong": the colour of its edge."""


@dataclass(frozen=True)
class Drawing:
    """A figure with what the page says of it."""

    name: str
    """Of its files."""
    figure: Figure | None
    caption: str
    alt: str
    """Read aloud instead of it."""
    data: Data
    """The numbers that are drawn."""
    wide: bool = False
    """Whether it takes the whole width."""
    tiles: Sequence[Tile] = ()
    """Pictures that the page shows in place of the figure, which is then only a file."""


@dataclass(frozen=True)
class Block:
    """Drawings side by side, then tables."""

    title: str = ""
    """A heading, "" for none."""
    drawings: Sequence[Drawing] = ()
    tables: Sequence[Table] = ()
    folded: bool = False
    """Whether it is closed until its heading is pressed."""
    anchor: str = ""
    """What links lead to, "" for none."""


@dataclass(frozen=True)
class Section:
    """A part of the page. `code` and **bold** are marked in prose as here."""

    title: str
    anchor: str
    prose: Sequence[str]
    """How to read it."""
    blocks: Sequence[Block] = ()
    missing: str | None = None
    """Why it has no content and what makes it, None where it has."""
    finding: str = ""
    """What it found, in a sentence; the first screen repeats it."""
    caution: str = ""
    """What it must not be read as."""


@dataclass(frozen=True)
class Page:
    """What stands around the sections."""

    title: str
    subtitle: str
    answers: Mapping[str, tuple[str, str]]
    """Question -> answer in a few words, and the numbers that it rests on."""
    first: Drawing | None
    """The chart of the first screen."""
    sections: Sequence[Section]
    groups: Mapping[str, Sequence[str]]
    """Heading of the contents -> anchors."""
    provenance: Table
    command: str
    notes: Sequence[str] = ()
    """What is known of the suite's images."""
    svgs: Mapping[str, str] = field(default_factory=dict)
    """Drawing -> inline SVG."""


def render(page: Page) -> str:
    """The page as text. Raises ProtocolError where Jinja is not installed."""
    return rendered("page.html", page=page, svgs=page.svgs, by_anchor={section.anchor: section for section in page.sections})


def rendered(template: str, *, svgs: Mapping[str, str] | None = None, **values: Any) -> str:
    """A template of this folder with the house style. Raises ProtocolError where Jinja is not installed."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise ProtocolError(f"The report needs {error.name}, which is not installed. Run: pip install 'cnndetect[report]'") from error
    from cnndetect.report.figures.style import css_variables

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"marked": lambda text: Markup(marked(text)), "figure": lambda text: Markup(figure_html(text))}
    environment.filters |= {"number": number, "base64": _base64}
    environment.tests |= {"value": lambda cell: isinstance(cell, Value), "link": lambda cell: isinstance(cell, Link)}
    return environment.get_template(template).render(
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        light=Markup(css_variables(dark=False)),
        dark=Markup(css_variables(dark=True)),
        svgs={name: Markup(svg) for name, svg in (svgs or {}).items()},
        **values,
    )


def marked(text: str) -> str:
    """Plain text as HTML: `code` and **bold**, everything else escaped.

    >>> marked("a < b, **not** `a > b`")
    'a &lt; b, <strong>not</strong> <code>a &gt; b</code>'
    """
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)


def figure_html(text: str) -> str:
    """A figure whose interval stands back a little.

    >>> figure_html("90.2 [85.9, 92.3]")
    '90.2 <span class="interval">[85.9, 92.3]</span>'
    """
    return re.sub(r"(\[[^\]]*\])", r'<span class="interval">\1</span>', escape(text, quote=False))


def number(cell: Any) -> str:
    """A cell of a chart's numbers, to four significant digits.

    >>> number(0.123456), number(3), number("crn"), number(float("nan"))
    ('0.1235', '3', 'crn', '-')
    """
    if cell is None or isinstance(cell, float) and math.isnan(cell):
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _base64(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode("ascii")
