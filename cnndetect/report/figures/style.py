"""One look for every figure: colours that have a dark twin, small panels, no pyplot state.

Figures are drawn in light colours, named below. A page that shows an SVG inline exchanges every name's colour for a CSS
variable, so that the same drawing reads on a dark page; ``DARK`` has the twins. Colours outside this file do not change.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from functools import wraps
from html import escape
from typing import Any, ParamSpec

from cnndetect.images import open_image

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"Figures need {error.name}, which is not installed. Run: pip install 'cnndetect[report]'", name=error.name
    ) from error

Given = ParamSpec("Given")

INK, MUTED, GRID, SURFACE = "#1d2025", "#5d646e", "#dcdfe4", "#fcfcfb"
REAL, FAKE = "#2f6fb5", "#d1572b"

# One hue per detector, in this order, never more; the markers and dashes say the same without colour.
SERIES = ("#2a78d6", "#c9490b", "#15905f", "#8a4fc4", "#b07a00", "#c93a75", "#0d8a94", "#6b5b3e")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "d")
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (6, 1.5, 1.5, 1.5)),
    (0, (3, 1)),
    (0, (8, 2)),
    (0, (1, 2)),
    (0, (4, 1, 1, 1, 1, 1)),
)

# What a colour becomes on a dark page.
DARK = {
    INK: "#e9ebee",
    MUTED: "#a5adb8",
    GRID: "#3a4049",
    SURFACE: "#1a1d22",
    REAL: "#6aa7ea",
    FAKE: "#f08a5d",
    SERIES[0]: "#5ba0ee",
    SERIES[1]: "#f28049",
    SERIES[2]: "#3fbf8a",
    SERIES[3]: "#b68ae8",
    SERIES[4]: "#d6a02c",
    SERIES[5]: "#ee7aa8",
    SERIES[6]: "#41bcc6",
    SERIES[7]: "#b9a57f",
}

PANEL_INCHES = 3.4  # a phone's width at 96 px an inch

_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "figure.facecolor": SURFACE,
    "axes.facecolor": SURFACE,
    "savefig.facecolor": SURFACE,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "butt",
    "svg.fonttype": "none",
    "svg.hashsalt": "cnndetect",
}


def styled(draw: Callable[Given, Figure]) -> Callable[Given, Figure]:
    """Draw under the house style, and leave the caller's matplotlib settings as they were."""

    @wraps(draw)
    def drawn(*args: Given.args, **kwargs: Given.kwargs) -> Figure:
        with matplotlib.rc_context(_RC):
            return draw(*args, **kwargs)

    return drawn


class Shown(Figure):
    """A Figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        return png_bytes(self)


def panels(count: int, *, columns: int, height: float, width: float = PANEL_INCHES) -> tuple[Figure, list[Axes]]:
    """A Figure of ``count`` panels in rows of ``columns``. width, height: inches of one panel."""
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    figure = Shown(figsize=(width * columns, height * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    return figure, axes


def colour_of(place: int) -> str:
    """Hue of the detector at ``place``; muted where the hues are used up.

    >>> colour_of(0) == SERIES[0], colour_of(99) == MUTED
    (True, True)
    """
    return SERIES[place] if place < len(SERIES) else MUTED


def shortened(name: str, *, longest: int = 22) -> str:
    """A detector's name for a narrow panel: start and end are kept, they tell names apart.

    >>> shortened("progan8-r50-bj01"), shortened("a-very-long-name-of-a-detector-b")
    ('progan8-r50-bj01', 'a-very-lon…-detector-b')
    """
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[:half]}…{name[-(longest - 1 - half) :]}"


def svg_text(figure: Figure) -> str:
    """The SVG of a figure, the same for the same figure: no date, fixed ids."""
    memory = io.StringIO()
    with matplotlib.rc_context(_RC):
        figure.savefig(memory, format="svg", metadata={"Date": None, "Creator": None})
    return memory.getvalue()


def png_bytes(figure: Figure, *, dots_per_inch: int = 144) -> bytes:
    """The PNG of a figure."""
    memory = io.BytesIO()
    with matplotlib.rc_context(_RC):
        figure.savefig(memory, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return memory.getvalue()


def inline_svg(svg: str, *, prefix: str, label: str) -> str:
    """An ``<svg>`` to put into a page: house colours as CSS variables, ids of its own, a label that is read aloud.

    svg: what ``svg_text`` gave.  prefix: a name no other figure of the page has.  label: the alternative text, plain.
    """
    svg = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]+)"', svg)
    assert box is not None
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", body)
    for colour, name in CSS_NAMES.items():
        body = re.sub(re.escape(colour), f"var({name})", body, flags=re.IGNORECASE)
    body = re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", lambda found: _as_webp(found[1]), body)
    # An SVG of matplotlib counts in points, 72 an inch; a page counts 96.
    width, height = (float(side) * 96 / 72 for side in box[1].split()[2:])
    # Enlarged a little where there is room, as more would shout; wide ones scroll before their words get too small.
    least = f" min-width: {0.85 * width:.0f}px;" if width > 1.3 * 96 * PANEL_INCHES else ""
    size = f'width="{width:.0f}" height="{height:.0f}" style="max-width: {1.35 * width:.0f}px;{least}"'
    return f'<svg role="img" aria-label="{escape(label)}" viewBox="{box[1]}" {size}>{body}'


def _as_webp(png: str) -> str:
    """The data URL of a PNG in base64 as that of a WebP, a few times smaller."""
    memory = io.BytesIO()
    open_image(base64.b64decode(png)).save(memory, "WEBP", quality=88)
    return f"data:image/webp;base64,{base64.b64encode(memory.getvalue()).decode('ascii')}"


def css_variables(*, dark: bool) -> str:
    """CSS declarations of every house colour, light or dark.

    >>> css_variables(dark=False).startswith("--f-ink: #1d2025;")
    True
    """
    return " ".join(f"{name}: {DARK[colour] if dark else colour};" for colour, name in CSS_NAMES.items())


CSS_NAMES = {
    INK: "--f-ink",
    MUTED: "--f-muted",
    GRID: "--f-grid",
    SURFACE: "--f-surface",
    REAL: "--f-real",
    FAKE: "--f-fake",
    **{colour: f"--f-series-{place}" for place, colour in enumerate(SERIES)},
}
