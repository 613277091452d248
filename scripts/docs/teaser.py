"""README's figure: a photograph and a fake of several families, their scores, and the spectra of their whole test sets.

Nothing is picked by eye. The fake is the one in the middle of its family's ranking by the default detector, the photograph the
one it was made from, or the one in the middle of the reals where it was made from none.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from blocks import default_detector
from PIL import Image

from cnndetect.analysis.fakeness import Ranked, ranked
from cnndetect.analysis.set_spectra import Known, set_spectra
from cnndetect.analysis.spectra import Spectrum
from cnndetect.bench.suites import TestSet
from cnndetect.data.folders import evenly
from cnndetect.images import to_rgb_array
from cnndetect.paths import reference_results_root
from cnndetect.report.figures.style import FAKE, INK, MUTED, REAL, Figure, panels, png_bytes, styled
from cnndetect.report.inputs import read_inputs
from cnndetect.zoo.sheets import save_compact

COLUMNS = 6
LIMIT = 60  # images a class, for the spectra


def make(target: Path) -> None:
    """Draw the figure from the stored scores of the embedded suite."""
    inputs = read_inputs("mini", protocol="nocrop", results=[reference_results_root()], draws=0)
    name = default_detector() if default_detector() in inputs.rows else inputs.detectors[0]
    sets = evenly(inputs.sets(name), COLUMNS, ends=True)
    known: Known = {}
    columns = [
        (one.name, *_pair(inputs.rows[name][one.name].scores, one), *set_spectra(one.root, limit=LIMIT, known=known)) for one in sets
    ]
    with Image.open(io.BytesIO(png_bytes(draw(columns, name), dots_per_inch=130))) as picture:
        save_compact(picture.convert("RGB"), target, quality=82)


def _pair(scores, test_set: TestSet) -> tuple[Ranked, Ranked]:  # noqa: ANN001  Scores
    """The photograph and the fake that are shown."""
    fakes = ranked(scores, test_set.root, label=1)
    fake = fakes[len(fakes) // 2]
    reals = ranked(scores, test_set.root, label=0)
    clusters = dict(zip(scores.paths.tolist(), scores.clusters.tolist(), strict=True))
    same = [real for real in reals if Path(real.relative).stem == Path(fake.relative).stem]
    same = same or [real for real in reals if clusters[real.relative] == clusters[fake.relative]]
    return (same or [reals[len(reals) // 2]])[0], fake


@styled
def draw(columns: list[tuple[str, Ranked, Ranked, Spectrum, Spectrum]], detector: str) -> Figure:
    """Rows: photograph, fake, spectrum of the reals, spectrum of the fakes. columns: name, photograph, fake, both spectra."""
    figure, axes = panels(4 * len(columns), columns=len(columns), width=1.45, height=1.55)
    figure.set_layout_engine("compressed")
    logs = [spectrum.log for *_, real, fake in columns for spectrum in (real, fake)]
    low, high = np.percentile(np.stack(logs), [2, 99.7])
    rows = ("photograph", "fake", "reals' spectrum", "fakes' spectrum")
    for place, (name, real, fake, *spectra) in enumerate(columns):
        for row, one in enumerate((real, fake)):
            panel = axes[row * len(columns) + place]
            panel.imshow(to_rgb_array(one.path), interpolation="none")
            score = 1 / (1 + math.exp(-one.logit))
            panel.set_xlabel(f"fakeness {score:.3f}", color=(REAL, FAKE)[row], fontweight="bold", labelpad=2)
        for row, spectrum in enumerate(spectra, 2):
            axes[row * len(columns) + place].imshow(spectrum.log, cmap="magma", vmin=low, vmax=high, interpolation="none")
        axes[place].set_title(name, loc="center", color=INK)
    for panel in axes:
        panel.set(xticks=[], yticks=[])
        for spine in panel.spines.values():
            spine.set_visible(False)
    for row, words in enumerate(rows):
        axes[row * len(columns)].set_ylabel(words, color=MUTED)
    figure.suptitle(f"Scores by {detector}; below, the mean spectra of the whole test sets", x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure
