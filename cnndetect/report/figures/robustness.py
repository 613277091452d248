"""Curves of robustness, and what degradations shift. The points are those of analysis/robustness.py, known here by their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from cnndetect.metrics.intervals import Interval
from cnndetect.report.figures.style import FAKE, GRID, MARKERS, MUTED, REAL, Axes, Figure, colour_of, panels, shortened, styled


class PointLike(Protocol):
    """What a figure reads of bench.robustness.Point."""

    @property
    def degradation(self) -> str: ...
    @property
    def ap(self) -> Interval: ...
    @property
    def real_shift(self) -> Interval: ...
    @property
    def fake_shift(self) -> Interval: ...
    @property
    def resized(self) -> bool: ...


Curves = Mapping[str, Sequence[PointLike]]


@styled
def paper_curves(
    blur: Mapping[str, Curves], jpeg: Mapping[str, Curves], *, detectors: Sequence[str], columns: int = 4, width: float = 2.3
) -> Figure:
    """The paper's figure 5: AP against the blur's sigma, and against the JPEG's quality, a panel per test set.

    blur, jpeg: test set -> detector -> points along the axis, the image itself ("none") first.  detectors: order of hues.
    The quality falls from left to right, and the image without JPEG stands left of 100. Bands are 95 % intervals.

    >>> paper_curves({"crn": {}}, {"crn": {}}, detectors=[]).axes[0].get_title(loc="left")
    'crn'
    """
    shown = [(name, curves, _sigma, "blur, sigma in px") for name, curves in blur.items()]
    shown += [(name, curves, _quality, "JPEG quality") for name, curves in jpeg.items()]
    figure, axes = panels(len(shown), columns=min(columns, max(1, len(blur))), height=1.9, width=width)
    for panel, (name, curves, place, label) in zip(axes, shown, strict=True):
        for hue, detector in enumerate(detectors):
            points = [point for point in curves.get(detector, ()) if place(point.degradation) is not None]
            _curve(panel, [place(point.degradation) for point in points], points, hue, detector)
        panel.set(title=name, xlabel=label, ylabel="AP, %")
        panel.grid(color=GRID)
        if place is _quality:
            panel.set_xlim(107, 27)
            panel.set_xticks([105, 90, 75, 60, 45, 30], ["none", "90", "75", "60", "45", "30"])
    _share_left_end(axes)
    _legend(figure, detectors)
    return figure


@styled
def degradation_dots(curves: Curves, *, detectors: Sequence[str], title: str = "AP under degradations, %") -> Figure:
    """One row a degradation, one dot a detector: AP with its interval. A star marks another size.

    >>> degradation_dots({}, detectors=[]).axes[0].get_title(loc="left")
    'AP under degradations, %'
    """
    names = list(dict.fromkeys(point.degradation for name in detectors for point in curves.get(name, ())))
    figure, (panel,) = panels(1, columns=1, width=4.4, height=0.9 + 0.06 * len(names) * (1 + max(1, len(detectors))))
    step = 0.7 / max(1, len(detectors))
    for hue, detector in enumerate(detectors):
        points = list(curves.get(detector, ()))
        rows = [names.index(point.degradation) + (hue - (len(detectors) - 1) / 2) * step for point in points]
        marker = MARKERS[hue % len(MARKERS)]
        _bars(panel, [point.ap for point in points], rows, colour_of(hue), marker, scale=100, label=shortened(detector))
    _rows(panel, names, {point.degradation for row in curves.values() for point in row if point.resized})
    panel.set_title(title)
    _legend(figure, detectors)
    return figure


@styled
def shift_dots(points: Sequence[PointLike], *, title: str = "Median shift of the logit", spread: float | None = None) -> Figure:
    """One row a degradation: how far reals and fakes move. Two dots apart mean a bias, two together a common drift.

    spread: of the clean logits; a grey band of that width on both sides of 0 gives the measure.

    >>> shift_dots([]).axes[0].get_xlabel()
    'logits, above 0: judged more fake'
    """
    shown = [point for point in points if point.degradation != "none"]
    figure, (panel,) = panels(1, columns=1, width=4.4, height=0.9 + 0.19 * max(2, len(shown)))
    if spread is not None:
        panel.axvspan(-spread, spread, color=GRID, alpha=0.5, linewidth=0)
    panel.axvline(0, color=MUTED, linewidth=0.8)
    _bars(panel, [point.real_shift for point in shown], np.arange(len(shown)) - 0.14, REAL, "o", scale=1, label="real")
    _bars(panel, [point.fake_shift for point in shown], np.arange(len(shown)) + 0.14, FAKE, "s", scale=1, label="fake")
    _rows(panel, [point.degradation for point in shown], {point.degradation for point in shown if point.resized})
    panel.set(title=title, xlabel="logits, above 0: judged more fake")
    _legend(figure, ["real", "fake"])
    return figure


def _curve(panel: Axes, places: Sequence[float | None], points: Sequence[PointLike], hue: int, name: str) -> None:
    if points:
        x = np.array(places, dtype=np.float64)
        low, value, high = (100 * np.array([getattr(point.ap, part) for point in points]) for part in ("low", "value", "high"))
        colour = colour_of(hue)
        panel.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        panel.plot(x, value, color=colour, marker=MARKERS[hue % len(MARKERS)], markersize=3, label=shortened(name))


def _bars(
    panel: Axes, intervals: Sequence[Interval], rows: Sequence[float] | np.ndarray, colour: str, marker: str, *, scale: float, label: str
) -> None:
    for row, interval in zip(rows, intervals, strict=True):
        panel.plot([scale * interval.low, scale * interval.high], [row, row], color=colour, linewidth=1.2)
    values = [scale * interval.value for interval in intervals]
    panel.plot(values, list(rows), color=colour, marker=marker, markersize=3.5, linestyle="", label=label)


def _rows(panel: Axes, names: Sequence[str], resized: set[str]) -> None:
    panel.set_yticks(range(len(names)), [f"{name} *" if name in resized else name for name in names])
    panel.set_ylim(max(len(names), 1) - 0.5, -0.5)
    panel.grid(color=GRID, axis="x")


def _share_left_end(axes: Sequence[Axes]) -> None:
    ends = [panel.get_ylim() for panel in axes if panel.lines]
    for panel in axes if ends else ():
        panel.set_ylim(min(low for low, _ in ends), 101)


def _legend(figure: Figure, names: Sequence[str]) -> None:
    handles: dict[str, Any] = {}
    for panel in figure.axes:
        handles |= dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    if handles and names:
        figure.legend(list(handles.values()), list(handles), loc="outside lower left", ncols=min(4, len(handles)))


def _sigma(name: str) -> float | None:
    return 0.0 if name == "none" else float(name.removeprefix("blur_")) if name.startswith("blur_") else None


def _quality(name: str) -> float | None:
    # The image without JPEG stands a step beyond quality 100.
    return 105.0 if name == "none" else float(name.removeprefix("jpeg_")) if name.startswith("jpeg_") else None
