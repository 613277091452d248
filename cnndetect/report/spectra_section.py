"""The report's section on spectra: what generators leave in the frequencies, family by family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

import cnndetect.analysis.set_spectra
import cnndetect.analysis.spectra
from cnndetect.analysis.set_spectra import Known, set_spectra
from cnndetect.analysis.spectra import Spectrum, peaks_between, radial_profile
from cnndetect.bench.suites import TestSet
from cnndetect.data.folders import scan
from cnndetect.kept import Arrays, content_of, kept_arrays
from cnndetect.report.figures.analysis import radial_profiles, spectra
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Block, Data, Drawing, Section

TOGETHER = 4  # families a figure
_CODE = (cnndetect.analysis.spectra, cnndetect.analysis.set_spectra)

Pair = tuple[Spectrum, Spectrum]


def spectra_section(inputs: Inputs) -> Section:
    """Mean spectra of what a median filter takes away, per family."""
    title, prose = (
        "Spectra: what generators leave",
        [
            "Mean log magnitude of the Fourier transform of the image minus its median, over all images of a class: the paper's figure 7. "
            "Zero frequency is in the middle, the edge is half a cycle a pixel. Bright points off the middle are grids that upsampling leaves.",
        ],
    )
    absent = inputs.no_images("cnndetect report --section spectra --suite {suite} --limit none --out DIR")
    if absent:
        return Section(title, "spectra", prose, missing=absent)
    known: Known = {}  # shared reals are read once
    found = {one.name: _spectra(one, known) for one in inputs.sets()}
    names, peaks = list(found), {name: _peaks(*pair) for name, pair in found.items()}
    drawings = []
    for place in range(0, len(names), TOGETHER):
        part = {name: found[name] for name in names[place : place + TOGETHER]}
        rows = [[name, *peak] for name in part for peak in peaks[name]]
        alt = f"Mean spectra of fakes and reals, and their difference, of {', '.join(part)}"
        data = Data(["family", "cycles_down", "cycles_right", "factor_fake_over_real"], rows)
        caption = "Fakes, reals, fakes minus reals; one scale in this figure. Numbers: the points that stand out of the difference."
        drawings.append(Drawing(f"spectra-{1 + place // TOGETHER}", spectra(part), caption, alt, data, wide=True))
    blocks = [Block(drawings=drawings), Block("Profiles over circles", [_profile(*item) for item in found.items()], folded=True)]
    caution = (
        "A spectrum does not show what a detector uses. A difference between the classes that is smooth, without points, is sharpness: "
        "the fakes are softer or crisper than the reals."
    )
    return Section(title, "spectra", prose, blocks, finding=_finding(peaks), caution=caution)


def _spectra(test_set: TestSet, known: Known) -> Pair:
    def make() -> Arrays:
        pair = set_spectra(test_set.root, known=known)
        arrays = {"counts": np.array([one.count for one in pair])}
        return arrays | {f"{part}{place}": getattr(one, part) for place, one in enumerate(pair) for part in ("magnitude", "windowed")}

    found = kept_arrays("spectra", [content_of(scan(test_set.root))], _CODE, make)
    real, fake = (Spectrum(found[f"magnitude{k}"], int(found["counts"][k]), found[f"windowed{k}"]) for k in (0, 1))
    return real, fake


def _profile(name: str, pair: Pair) -> Drawing:
    rows = [[name, kind, *point] for kind, one in zip(("real", "fake"), pair, strict=True)
            for point in zip(*radial_profile(one.log), strict=True)]  # fmt: skip
    data = Data(["family", "class", "cycles_a_pixel", "log_magnitude"], rows)
    alt = f"Mean log magnitude against frequency of the reals and fakes of {name}"
    return Drawing(f"profile-{name}", radial_profiles({name: pair}, columns=1), f"{pair[1].count} fakes.", alt, data)


def _peaks(real: Spectrum, fake: Spectrum) -> list[tuple[float, float, float]]:
    return [(peak.down, peak.right, peak.factor) for peak in peaks_between(fake, real)]


def _finding(peaks: Mapping[str, Sequence[object]]) -> str:
    some = [name for name, found in peaks.items() if found]
    none = [name for name, found in peaks.items() if not found]
    if not some:
        return "No family has points in its spectrum that its reals lack."
    without = f"; {', '.join(none)} {'have' if len(none) > 1 else 'has'} none" if none else ""
    return f"**{len(some)} of {len(peaks)}** families leave points in the spectrum that the reals lack{without}."
