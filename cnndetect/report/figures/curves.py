"""Receiver operating characteristic and precision-recall curves of several detectors on one family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnndetect.metrics import figures, rank
from cnndetect.metrics.intervals import SetScores
from cnndetect.report.figures.style import DASHES, GRID, MUTED, Axes, Figure, colour_of, panels, shortened, styled


@dataclass(frozen=True)
class Curve:
    """Points of a curve at every threshold, highest first.

    thresholds are logits, +inf or -inf where failed images were put; true_rate is also the recall.
    """

    thresholds: np.ndarray  # thresholds, false_rate, true_rate, precision: [T]
    false_rate: np.ndarray
    true_rate: np.ndarray
    precision: np.ndarray


def curve(scores: SetScores) -> Curve:
    """Every distinct threshold of a test set once; equal logits are one step.

    >>> found = curve(SetScores(np.array([0, 1]), np.array([0.0, 1.0]), np.array(["a", "b"])))
    >>> found.true_rate.tolist(), found.false_rate.tolist()
    ([1.0, 1.0], [0.0, 1.0])
    """
    ranking = rank(scores.labels, scores.logits)
    ends = np.arange(len(ranking.fake)) if ranking.ends is None else ranking.ends
    true, seen = np.cumsum(ranking.fake)[ends], (ends + 1).astype(np.float64)
    false = seen - true
    return Curve(ranking.logits[ends], false / false[-1], true / true[-1], true / seen)


@styled
def roc(sets: Mapping[str, SetScores], *, detectors: Sequence[str] | None = None, title: str = "ROC") -> Figure:
    """Fakes found against reals accused, one curve per detector; the area stands in the legend, in percent.

    sets: detector -> scores of the same family.  detectors: all detectors in the order of their hues; default: sets' order.

    >>> one = SetScores(np.array([0, 1]), np.array([0.0, 1.0]), np.array(["a", "b"]))
    >>> roc({"a": one}).axes[0].get_xlabel()
    'reals called fake'
    """
    figure, axes = _panel(sets, title, "reals called fake", "fakes called fake")
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    for name, place in _places(sets, detectors):
        found = curve(sets[name])
        area = figures(rank(sets[name].labels, sets[name].logits)).auc
        x, y = np.append(0.0, found.false_rate), np.append(0.0, found.true_rate)
        axes.plot(x, y, label=f"{shortened(name)}  AUC {100 * area:.1f}", **_stroke(place))
    _legend(figure, len(sets))
    return figure


@styled
def precision_recall(sets: Mapping[str, SetScores], *, detectors: Sequence[str] | None = None, title: str = "Precision-recall") -> Figure:
    """Precision against recall, one step curve per detector; the area under the steps is the AP of the tables.

    sets, detectors: as for ``roc``.  The dotted line is chance: the share of fakes.

    >>> one = SetScores(np.array([0, 1]), np.array([0.0, 1.0]), np.array(["a", "b"]))
    >>> precision_recall({"a": one}).axes[0].get_xlabel()
    'recall: fakes called fake'
    """
    figure, axes = _panel(sets, title, "recall: fakes called fake", "precision: fakes among those called fake")
    for labels in list(sets.values())[:1]:
        axes.axhline(float((labels.labels == 1).mean()), color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    for name, place in _places(sets, detectors):
        found = curve(sets[name])
        ap = figures(rank(sets[name].labels, sets[name].logits)).ap
        # Between two recalls the precision is that of the higher one: this is what AP adds up.
        x, y = np.append(0.0, found.true_rate), np.append(found.precision[0], found.precision)
        axes.plot(x, y, drawstyle="steps-pre", label=f"{shortened(name)}  AP {100 * ap:.1f}", **_stroke(place))
    _legend(figure, len(sets))
    return figure


def _panel(sets: Mapping[str, SetScores], title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure, (axes,) = panels(1, columns=1, height=3.3 + 0.155 * len(sets))
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.grid(color=GRID)
    return figure, axes


def _legend(figure: Figure, count: int) -> None:
    if count:
        figure.legend(loc="outside lower left", ncols=1, handlelength=2.6, labelspacing=0.25, borderpad=0.2)


def _places(sets: Mapping[str, SetScores], detectors: Sequence[str] | None) -> list[tuple[str, int]]:
    order = list(sets) if detectors is None else list(detectors)
    return [(name, order.index(name)) for name in order if name in sets]


def _stroke(place: int) -> dict:
    return {"color": colour_of(place), "linestyle": DASHES[place % len(DASHES)]}
