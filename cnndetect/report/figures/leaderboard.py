"""Dots with bars for average precisions and their intervals: the leaderboard, and one panel per generator family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cnndetect.metrics.intervals import Interval
from cnndetect.report.figures.style import (
    GRID,
    INK,
    MARKERS,
    MUTED,
    PANEL_INCHES,
    Axes,
    Figure,
    colour_of,
    panels,
    shortened,
    styled,
)

ROW_INCHES = 0.2
_AROUND_INCHES = 0.62  # title and axis of a panel


@styled
def leaderboard(means: Mapping[str, Interval], *, title: str = "Macro mean AP, %", width: float = 1.2 * PANEL_INCHES) -> Figure:
    """One row per detector, in the given order: mean AP over the families, with its interval. width: inches.

    >>> leaderboard({"a": Interval(0.9, 0.8, 0.95)}).axes[0].get_title(loc="left")
    'Macro mean AP, %'
    """
    figure, axes = panels(1, columns=1, width=width, height=_AROUND_INCHES + 1.3 * ROW_INCHES * max(2, len(means)))
    _rows(axes[0], means, {name: place for place, name in enumerate(means)})
    axes[0].set_title(title)
    return figure


@styled
def forest(
    families: Mapping[str, Mapping[str, Interval]],
    *,
    detectors: Sequence[str],
    chance: Mapping[str, float] | None = None,
    only: Sequence[str] | None = None,
    columns: int = 3,
) -> Figure:
    """One panel per family, in it one row per detector: AP with its interval, and a dotted line at chance.

    families: family -> detector -> AP; a detector may be missing.  detectors: the order of rows, which also gives the hues.
    chance: AP of random scores per family, its share of fakes.  only: families to draw; the axis covers all families always.

    >>> len(forest({"crn": {"a": Interval(0.9, 0.8, 0.95)}, "san": {}}, detectors=["a"]).axes)
    2
    """
    height = _AROUND_INCHES + ROW_INCHES * max(2, len(detectors))
    drawn = list(families) if only is None else list(only)
    figure, axes = panels(len(drawn), columns=columns, height=height)
    places = {name: place for place, name in enumerate(detectors)}
    left = _left_end(interval for row in families.values() for interval in row.values())
    for panel, family in zip(axes, drawn, strict=True):
        _rows(panel, {name: families[family].get(name, _NOTHING) for name in detectors}, places, left=left)
        panel.set_title(f"{family}: AP, %")
        if chance and family in chance:
            panel.axvline(100 * chance[family], color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    return figure


_NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def _rows(axes: Axes, intervals: Mapping[str, Interval], places: Mapping[str, int], *, left: float | None = None) -> None:
    heights = [float(row) for row in range(len(intervals))]
    for height, (name, interval) in zip(heights, intervals.items(), strict=True):
        place = places[name]
        colour, marker = colour_of(place), MARKERS[place % len(MARKERS)]
        value, low, high = (100 * part for part in (interval.value, interval.low, interval.high))
        axes.plot([low, high], [height, height], color=colour, linewidth=1.6, zorder=2)
        axes.plot([value], [height], marker=marker, color=colour, markersize=5, linestyle="none", zorder=3)
        words = "no result" if np.isnan(value) else f"{value:.1f}"
        axes.text(1.015, height, words, transform=axes.get_yaxis_transform(), va="center", color=INK, fontsize=7.5)
    left = _left_end(intervals.values()) if left is None else left
    axes.set_xlim(left, 101)
    axes.set_ylim(len(intervals) - 0.4, -0.6)
    axes.set_yticks(heights, [shortened(name) for name in intervals])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID)


def _left_end(intervals: Iterable[Interval]) -> float:
    """The axis ends at 100 and begins at the ten below the lowest interval, so that differences can be seen."""
    lows = [part for interval in intervals for part in (interval.low, interval.value) if not np.isnan(part)]
    return max(0.0, 10 * np.floor(10 * min(lows) - 0.2)) if lows else 0.0
