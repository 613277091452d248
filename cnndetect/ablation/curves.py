"""Training curves of an ablation grid: validation accuracy and learning rate against the number of images seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnndetect.report.figures.style import DASHES, GRID, Figure, colour_of, panels, styled


@dataclass(frozen=True)
class TrainingLog:
    """One run, epoch by epoch."""

    images: Sequence[int]  # seen until the end of the epoch
    accuracy: Sequence[float]  # fractions
    lr: Sequence[float]  # step size of the epoch


@styled
def training_curves(rows: Mapping[str, Sequence[TrainingLog]], *, title: str = "Training") -> Figure:
    """Two panels, one thin line per run; the runs of one row, its seeds, share hue and dashes.

    rows: label -> its runs.

    >>> log = TrainingLog([100, 200], [0.5, 0.9], [1e-3, 1e-4])
    >>> [axes.get_ylabel() for axes in training_curves({"none": [log, log]}).axes]
    ['validation accuracy, %', 'learning rate']
    """
    figure, (left, right) = panels(2, columns=2, height=2.5 + 0.16 * -(-len(rows) // 3))
    for place, (label, logs) in enumerate(rows.items()):
        stroke: dict[str, Any] = {"color": colour_of(place), "linestyle": DASHES[place % len(DASHES)], "linewidth": 1.0}
        for index, log in enumerate(logs):
            left.plot(log.images, [100 * value for value in log.accuracy], label="" if index else label, **stroke)
            # The rate of an epoch held from the end of the one before.
            right.plot([0, *log.images], [log.lr[0], *log.lr], drawstyle="steps-pre", **stroke)
    left.set_title(title)
    left.set_ylabel("validation accuracy, %")
    right.set_ylabel("learning rate")
    rates = [rate for logs in rows.values() for log in logs for rate in log.lr]
    if rates and max(rates) >= 10 * min(rates):
        right.set_yscale("log")
    else:
        right.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for axes in (left, right):
        axes.set_xlabel("training images seen")
        axes.set_xlim(left=0)
        axes.grid(color=GRID)
    figure.legend(loc="outside lower left", ncols=3, handlelength=2.6, labelspacing=0.25, borderpad=0.2)
    return figure
