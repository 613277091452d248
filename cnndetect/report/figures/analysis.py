"""Figures of spectra, rankings and heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnndetect.analysis.explain import Explanation, overlay
from cnndetect.analysis.spectra import Spectrum, log_ratio, radial_profile
from cnndetect.metrics.intervals import Interval
from cnndetect.report.figures.style import FAKE, GRID, MUTED, REAL, Figure, colour_of, panels, shortened, styled

# Shades that read on light and on dark pages; images are no house colours.
_MAGNITUDE, _DIFFERENCE = "magma", "RdBu_r"


@styled
def spectra(sets: Mapping[str, tuple[Spectrum, Spectrum]], *, width: float = 1.55) -> Figure:
    """The paper's figure 7: a column per test set; rows: fakes, reals, and fakes minus reals, all as logarithms.

    sets: test set -> spectrum of the reals, spectrum of the fakes.  Zero frequency is in the middle, the edge is half a cycle a
    pixel. Fakes and reals share one scale over all sets, and so do the differences; both end at their 1st and 99.5th percentile.

    >>> flat = Spectrum(np.ones((8, 8)), 1)
    >>> len(spectra({"crn": (flat, flat)}).axes)
    5
    """
    names, size = list(sets), len(sets)
    figure, axes = panels(3 * size, columns=size, width=width, height=0.84 * width)
    figure.set_layout_engine("compressed")  # squares in rows, close together
    logs = [spectrum.log for pair in sets.values() for spectrum in pair]
    low, high = np.percentile(np.stack([_percentiles(log) for log in logs]), [0, 100])
    ratios = [log_ratio(fake, real) for real, fake in sets.values()]
    most = max(float(np.percentile(np.abs(ratio), 99.5)) for ratio in ratios) or 1.0
    box = (-0.5, 0.5, 0.5, -0.5)
    for column, name in enumerate(names):
        real, fake = sets[name]
        shade = axes[column].imshow(fake.log, cmap=_MAGNITUDE, vmin=low, vmax=high, extent=box, interpolation="none")
        axes[size + column].imshow(real.log, cmap=_MAGNITUDE, vmin=low, vmax=high, extent=box, interpolation="none")
        change = axes[2 * size + column].imshow(ratios[column], cmap=_DIFFERENCE, vmin=-most, vmax=most, extent=box, interpolation="none")
        axes[column].set_title(name)
    for panel in axes:
        panel.set_xticks([])
        panel.set_yticks([])
    for row, label in enumerate(("fake", "real", "fake − real")):
        axes[row * size].set_ylabel(label)
    figure.colorbar(shade, ax=axes[: 2 * size], label="log magnitude", shrink=0.8)
    figure.colorbar(change, ax=axes[2 * size :], label="log ratio", shrink=0.8)
    return figure


@styled
def radial_profiles(sets: Mapping[str, tuple[Spectrum, Spectrum]], *, columns: int = 3) -> Figure:
    """A panel per test set: mean log magnitude over circles against cycles a pixel, reals and fakes.

    >>> flat = Spectrum(np.ones((8, 8)), 1)
    >>> radial_profiles({"crn": (flat, flat)}).axes[0].get_xlabel()
    'cycles a pixel'
    """
    figure, axes = panels(len(sets), columns=columns, width=2.4, height=1.9)
    for panel, (name, (real, fake)) in zip(axes, sets.items(), strict=True):
        for spectrum, colour, label, dash in ((real, REAL, "real", "-"), (fake, FAKE, "fake", (0, (5, 1.5)))):
            at, mean = radial_profile(spectrum.log)
            panel.plot(at, mean, color=colour, label=label, linestyle=dash)
        panel.set(title=name, xlabel="cycles a pixel", ylabel="log magnitude")
        panel.grid(color=GRID)
    axes[0].legend()
    return figure


@styled
def contact_sheet(images: Sequence[tuple[np.ndarray, float]], *, title: str, columns: int = 10, inches: float = 0.95) -> Figure:
    """Thumbnails in the given order, least fake first, each with its logit. images: (uint8 [H, W, 3], logit).

    A thumbnail is drawn anew at another size: it is no input for a detector.

    >>> contact_sheet([(np.zeros((8, 8, 3), np.uint8), -1.25)], title="crn").axes[0].get_title()
    '−1.2'
    """
    figure, axes = panels(len(images), columns=columns, width=inches, height=inches + 0.14)
    for panel, (array, logit) in zip(axes, images, strict=True):
        panel.imshow(array, interpolation="nearest" if max(array.shape) < 64 else "antialiased")
        panel.set_title(_signed(logit), loc="center", fontweight="normal", fontsize=7)
        panel.set_axis_off()
    figure.suptitle(title, x=0.01, ha="left", fontsize=8.5, fontweight="bold")
    return figure


@styled
def correlation_dots(rows: Mapping[str, Mapping[str, Interval]], *, title: str = "Fakeness and quality") -> Figure:
    """A row per test set, a dot per series: Spearman's rank correlation with its interval.

    rows: test set -> series (such as "sharpness, fake") -> correlation.

    >>> correlation_dots({"crn": {"sharpness, fake": Interval(0.1, -0.1, 0.3)}}).axes[0].get_xlabel()
    "Spearman's rank correlation with the logit"
    """
    series = list(dict.fromkeys(name for row in rows.values() for name in row))
    figure, (panel,) = panels(1, columns=1, width=4.2, height=1.0 + 0.09 * len(rows) * (1 + len(series)))
    panel.axvline(0, color=MUTED, linewidth=0.8)
    for hue, name in enumerate(series):
        for place, row in enumerate(rows.values()):
            if name in row:
                at, rho = place + (hue - (len(series) - 1) / 2) * 0.7 / len(series), row[name]
                panel.plot([rho.low, rho.high], [at, at], color=colour_of(hue), linewidth=1.2)
                panel.plot(
                    [rho.value],
                    [at],
                    color=colour_of(hue),
                    marker="o",
                    markersize=3.5,
                    linestyle="",
                    label=shortened(name, longest=40) if place == 0 else None,
                )
    panel.set_yticks(range(len(rows)), list(rows))
    panel.set(title=title, xlabel="Spearman's rank correlation with the logit", xlim=(-1.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
    panel.grid(color=GRID, axis="x")
    figure.legend(loc="outside lower left", ncols=2)
    return figure


@styled
def explanations(rows: Sequence[tuple[str, np.ndarray, Explanation]], *, columns: int = 3) -> Figure:
    """Images beside their maps, on one scale. rows: (title, uint8 [H, W, 3], what ``explain`` gave).

    >>> image = np.zeros((8, 8, 3), np.uint8)
    >>> one = Explanation("cam", 0.5, np.ones((1, 1)), (8, 8))
    >>> len(explanations([("a", image, one)]).axes)
    3
    """
    figure, axes = panels(2 * len(rows), columns=2 * min(columns, len(rows)), width=1.4, height=1.65)
    most = max(float(np.abs(found.heat).max()) for _, _, found in rows) or 1.0
    for place, (title, array, found) in enumerate(rows):
        left, right = axes[2 * place], axes[2 * place + 1]
        left.imshow(array)
        right.imshow(overlay(array, found, scale=most))
        left.set_title(title)
        right.set_title(f"{found.method}, logit {_signed(found.logit)}", fontweight="normal")
        left.set_axis_off()
        right.set_axis_off()
    bar = figure.colorbar(_scale(most), ax=axes, orientation="horizontal", shrink=0.5, aspect=40)
    bar.set_label("logits: blue for real, red for fake")
    return figure


def _scale(most: float):
    """A colour scale of the overlay's own colours, from -most to most."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    # As overlay does on a grey of 128.
    ends = [np.array([40, 100, 190]) * 0.75 + 32, np.array([128] * 3), np.array([214, 60, 30]) * 0.75 + 32]
    return ScalarMappable(Normalize(-most, most), LinearSegmentedColormap.from_list("overlay", [tuple(end / 255) for end in ends]))


def _signed(logit: float) -> str:
    # No minus before a zero.
    return f"{round(logit, 1) + 0.0:.1f}".replace("-", "−")


def _percentiles(values: np.ndarray) -> np.ndarray:
    return np.percentile(values, [1, 99.5])
