"""Scores of single images: a dot each, or a histogram where they are many."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnndetect.report.figures.leaderboard import ROW_INCHES
from cnndetect.report.figures.style import PANEL_INCHES, Figure, panels, shortened, styled

MOST_DOTS = 40


@styled
def scores(names: Mapping[int, str], values: np.ndarray, *, kind: str = "fakeness") -> Figure:
    """One row per image, the highest score above; more than 40 images as a histogram.

    names: by the place in values.  values: [N], NaN for an image that failed, which is counted in the title.  kind: of the values.

    >>> scores({0: "a.png", 1: "b.png"}, np.array([0.1, np.nan])).axes[0].get_title(loc="left")
    'fakeness of 1 image, 1 failed'
    """
    kept = np.flatnonzero(~np.isnan(values))
    order = kept[np.argsort(values[kept])]
    many = len(order) > MOST_DOTS
    height = PANEL_INCHES if many else 0.62 + 1.3 * ROW_INCHES * max(2, len(order))
    figure, (axes,) = panels(1, columns=1, width=1.2 * PANEL_INCHES, height=height)
    if many:
        axes.hist(values[order], bins=40)
        axes.set_ylabel("images")
    else:
        axes.plot(values[order], np.arange(len(order)), "o")
        axes.set_yticks(np.arange(len(order)), [shortened(names[int(place)]) for place in order])
        axes.margins(y=0.1)
    if kind == "fakeness":
        axes.set_xlim(-0.02, 1.02)
    failed = len(values) - len(order)
    axes.set_title(f"{kind} of {len(order):,} image{'s' * (len(order) != 1)}" + (f", {failed:,} failed" if failed else ""))
    return figure
