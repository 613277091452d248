"""A matrix of paired differences between detectors, with signs and significance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Rectangle

from cnndetect.metrics.intervals import Interval
from cnndetect.report.figures.style import FAKE, GRID, INK, MUTED, PANEL_INCHES, REAL, Figure, panels, shortened, styled

_STRONGEST = 0.55  # opacity of the largest difference: text on it stays readable, light or dark


@styled
def difference_matrix(
    detectors: Sequence[str],
    differences: Mapping[tuple[str, str], Interval],
    *,
    title: str = "Row minus column, AP points",
) -> Figure:
    """Cell (a, b): AP of a minus AP of b, in points; bold and coloured where the 95 % interval excludes zero.

    differences: (a, b) -> Interval, at least one of (a, b) and (b, a) for every pair.

    >>> figure = difference_matrix(["a", "b"], {("a", "b"): Interval(0.1, 0.05, 0.2)})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['+10.0', '−10.0']
    """
    count = len(detectors)
    figure, (axes,) = panels(1, columns=1, width=max(PANEL_INCHES, 1.6 + 0.62 * count), height=1.3 + 0.34 * count)
    largest = max([abs(interval.value) for interval in differences.values()], default=0.0) or 1.0
    for row, a in enumerate(detectors):
        for column, b in enumerate(detectors):
            if a == b:
                axes.add_patch(Rectangle((column, row), 1, 1, facecolor=GRID, edgecolor="none"))
                continue
            interval = differences[a, b] if (a, b) in differences else -differences[b, a]
            sure = interval.excludes_zero
            if sure:
                colour = REAL if interval.value > 0 else FAKE
                strength = _STRONGEST * (0.25 + 0.75 * abs(interval.value) / largest)
                axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, alpha=strength, edgecolor="none"))
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{100 * interval.value:+.1f}".replace("-", "−"),
                ha="center",
                va="center",
                fontsize=7.5,
                color=INK if sure else MUTED,
                fontweight="bold" if sure else "normal",
            )
    axes.set_xlim(0, count)
    axes.set_ylim(count, 0)
    axes.set_yticks(np.arange(count) + 0.5, [shortened(name) for name in detectors])
    axes.set_xticks(np.arange(count) + 0.5, [shortened(name) for name in detectors], rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for place in range(count + 1):
        axes.axhline(place, color=GRID, linewidth=0.7)
        axes.axvline(place, color=GRID, linewidth=0.7)
    axes.set_title(title)
    return figure
