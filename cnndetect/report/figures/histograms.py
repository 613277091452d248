"""Histograms of real against fake, a strip per detector, with the frozen threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cnndetect.metrics.intervals import SetScores
from cnndetect.report.figures.style import FAKE, GRID, INK, PANEL_INCHES, REAL, Axes, Figure, panels, shortened, styled

BINS = 40


@dataclass(frozen=True)
class Histogram:
    """Shares of images per bin of logits."""

    edges: np.ndarray  # [B + 1]
    real: np.ndarray  # real, fake: [B], each sums to 1
    fake: np.ndarray


def histogram(scores: SetScores, *, threshold: float | None = None, bins: int = BINS) -> Histogram:
    """Count both classes in the same bins; failed images (infinite logits) are in the outermost ones.

    threshold: a bin begins there, so that no bin stands on both sides of it.

    >>> histogram(SetScores(np.array([0, 1]), np.array([0.0, 1.0]), np.array(["a", "b"])), bins=2).fake.tolist()
    [0.0, 1.0]
    """
    finite = scores.logits[np.isfinite(scores.logits)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (-1.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = (high - low) / bins
    edges: np.ndarray = np.linspace(low, high, bins + 1)
    if threshold is not None and low < threshold < high:
        below = int(np.ceil((threshold - low) / width))
        edges = threshold + width * np.arange(-below, bins - below + 2)
    clipped = np.clip(scores.logits, edges[0], edges[-1])
    real, fake = (np.histogram(clipped[scores.labels == label], edges)[0] for label in (0, 1))
    return Histogram(edges, real / max(1, real.sum()), fake / max(1, fake.sum()))


@styled
def histograms(
    sets: Mapping[str, SetScores],
    *,
    thresholds: Mapping[str, float | None] | None = None,
    title: str = "Scores",
    bins: int = BINS,
) -> Figure:
    """One strip per detector: reals upward, fakes downward, on that detector's own scale of logits.

    thresholds: detector -> the logit frozen on validation, drawn as a line; where there is none, 0 is dotted.

    >>> one = SetScores(np.array([0, 1]), np.array([0.0, 1.0]), np.array(["a", "b"]))
    >>> len(histograms({"a": one, "b": one}).axes)
    2
    """
    height = 0.82 if len(sets) > 3 else 1.1
    figure, axes = panels(len(sets), columns=1, height=height + 0.35 / max(1, len(sets)), width=PANEL_INCHES)
    for strip, (name, scores) in zip(axes, sets.items(), strict=True):
        threshold = (thresholds or {}).get(name)
        _strip(strip, histogram(scores, threshold=threshold, bins=bins), threshold)
        strip.set_title(shortened(name, longest=30), fontweight="normal", fontsize=7.5, pad=2)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=8.5)
    for share, words, colour in ((0.8, "▲ real", REAL), (0.99, "▼ fake", FAKE)):
        figure.text(share, 0.99, words, ha="right", va="top", color=colour, fontsize=7.5)
    if axes:
        axes[-1].set_xlabel("logit: higher is more fake")
    return figure


def _strip(axes: Axes, found: Histogram, threshold: float | None) -> None:
    widths = np.diff(found.edges)
    axes.stairs(found.real, found.edges, fill=True, color=REAL, linewidth=0)
    axes.stairs(-found.fake, found.edges, fill=True, color=FAKE, linewidth=0)
    axes.axhline(0, color=GRID, linewidth=0.7)
    top = 1.15 * max(found.real.max(), found.fake.max(), 1e-9)
    axes.set_ylim(-top, top)
    axes.set_yticks([])
    axes.set_xlim(found.edges[0], found.edges[-1])
    axes.tick_params(axis="x", labelsize=6.5)
    axes.spines["left"].set_visible(False)
    # A frozen threshold is always in sight; 0 is no threshold, and is shown where it lies among the scores.
    if threshold is not None:
        axes.set_xlim(min(found.edges[0], threshold - widths[0]), max(found.edges[-1], threshold + widths[0]))
        axes.axvline(threshold, color=INK, linewidth=1.0)
    elif found.edges[0] < 0 < found.edges[-1]:
        axes.axvline(0.0, color=INK, linewidth=1.0, linestyle=(0, (1, 2)))
