"""The report's section on robustness: AP under degradations, and apart from it what moved the two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnndetect.analysis.robustness import CLEAN, Point, Robustness, as_rows, robustness
from cnndetect.bench.stability import NOTE, Stability, stability
from cnndetect.bench.tables import percent
from cnndetect.report.figures.robustness import degradation_dots, paper_curves, shift_dots
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Block, Cell, Data, Drawing, Section, Table, Value
from cnndetect.scoring.scores import Scores
from cnndetect.transforms.degrade import PAPER_BLUR, PAPER_JPEG, in_order

DRAWS = 100  # dozens of points a detector, and their intervals are for the eye

_PROSE = (
    "The same images, degraded before scoring, each with a seed of its own. **Curves**: AP. **Shifts**: by how many logits the median "
    "real and the median fake moved, image by image; the grey band is the spread of the clean scores. `*` marks another size: the "
    "detector saw another number of pixels.",
)
_CAUTION = (
    "An AP that holds while only one class moves is not robustness. A transform that pushes reals down and leaves fakes where they were "
    "raises AP by a bias: in the wild both classes are degraded, and differently."
)


def robustness_section(inputs: Inputs) -> Section:
    """AP and shifts of every detector with stored scores under degradations."""
    title = "Stability: what re-saving and resizing do"
    found = {d: one for d in inputs.detectors if (one := _robustness(inputs, d)) is not None}
    if not found:
        options = f"--suite {inputs.given} --protocol {inputs.base.protocol} --degradation paper --degradation web --degradation hard"
        command = f"python -m cnndetect.bench robustness {options}"
        return Section(title, "robustness", _PROSE, missing=f"No degraded images were scored. Score some with: `{command}`")
    blocks = [Block("AP under every degradation", _paper(inputs, found) + _dots(inputs, found), [_table(found)])]
    shifts = [_shift(detector, one) for detector, one in found.items() if len(one.overall) > 1]
    blocks.append(Block("What moves: reals and fakes", shifts))
    steady = [turned for d in inputs.detectors if (turned := stability(inputs.runs, inputs.base, d)) is not None]
    if steady:
        blocks.append(Block("Stability: verdicts that turn when an image is delivered again", tables=[_stability(steady)]))
    return Section(title, "robustness", _PROSE, blocks, finding=_worst(found), caution=_CAUTION)


def _worst(found: Mapping[str, Robustness]) -> str:
    """What costs the first detector most."""
    detector, one = next(iter(found.items()))
    clean = next(point for point in one.overall if point.degradation == CLEAN)
    worst = min(one.overall, key=lambda point: point.ap.value)
    fall = 100 * (clean.ap.value - worst.ap.value)
    return f"Of {len(one.overall) - 1} degradations, **{worst.degradation}** costs {detector} most: {fall:.1f} points of macro mean AP."


def _stability(found: Sequence[Stability]) -> Table:
    rows: list[list[Cell]] = []
    data: list[list[object]] = []
    for one in found:
        for name, turned in {**one.by_delivery, **({"any of them": one.any} if one.any else {})}.items():
            rows.append([one.detector, name, *(Value(percent(share), share.value) for share in (turned.real, turned.fake))])
            data.append([one.detector, name, *(x for share in (turned.real, turned.fake) for x in (share.value, share.low, share.high))])
    bounds = [f"{label}{suffix}" for label in ("real", "fake") for suffix in ("", "_low", "_high")]
    head = ["detector", "delivered as", "reals that turn", "fakes that turn"]
    return Table("stability", f"In percent of the images. {NOTE}", head, rows, Data(["detector", "delivery", *bounds], data))


def _robustness(inputs: Inputs, detector: str) -> Robustness | None:
    """Curves of a detector over the test sets it has, or None where it was never scored on degraded images."""
    runs: dict[str, Mapping[str, Scores]] = {}
    here = {c.degradation: c for c in inputs.runs if (c.suite, c.protocol) == (inputs.base.suite, inputs.base.protocol)}
    for name in in_order(here):
        sets = inputs.runs[here[name]].get(detector, {})
        if sets:
            runs[name] = {family: sets[family].scores for family in inputs.families if family in sets}
    if CLEAN not in runs or len(runs) < 2:
        return None
    return robustness(runs, draws=min(DRAWS, inputs.draws), seed=inputs.seed)


def _paper(inputs: Inputs, found: Mapping[str, Robustness]) -> list[Drawing]:
    """The paper's two curves, where at least two strengths of blur or of JPEG were scored."""

    def curves(names: Sequence[str]) -> dict[str, dict[str, list[Point]]]:
        by_set = {
            family: {d: one.curve(names, test_set=family) for d, one in found.items() if family in one.by_set} for family in inputs.families
        }
        return {family: row for family, row in by_set.items() if any(len(points) > 2 for points in row.values())}

    blur, jpeg = curves(PAPER_BLUR), curves(PAPER_JPEG)
    if not blur or not jpeg:
        return []
    rows = [
        [family, detector, p.degradation, p.ap.value, p.ap.low, p.ap.high]
        for kind in (blur, jpeg)
        for family, row in kind.items()
        for detector, points in row.items()
        for p in points
    ]
    figure = paper_curves(blur, jpeg, detectors=inputs.detectors, columns=3)
    alt = f"AP against blur and against JPEG quality of {', '.join(found)} on {', '.join(blur)}"
    data = Data(["family", "detector", "degradation", "ap", "low", "high"], rows)
    return [Drawing("robustness-paper", figure, "The paper's figure 5: blur, then JPEG, a panel per family.", alt, data, wide=True)]


def _dots(inputs: Inputs, found: Mapping[str, Robustness]) -> list[Drawing]:
    curves = {detector: one.overall for detector, one in found.items()}
    words = "; ".join(f"{d}: " + ", ".join(f"{p.degradation} {percent(p.ap)}" for p in points) for d, points in curves.items())
    figure = degradation_dots(curves, detectors=inputs.detectors, title="Macro mean AP under degradations, %")
    return [Drawing("robustness-ap", figure, "Mean over families.", f"Macro mean AP under degradations. {words}", _data(found), wide=True)]


def _shift(detector: str, one: Robustness) -> Drawing:
    alt = f"Median shifts of {detector}: " + "; ".join(f"{p.degradation}: {p.reading}" for p in one.overall if p.degradation != CLEAN)
    figure = shift_dots(one.overall, title=detector, spread=one.spread)
    return Drawing(f"shift-{detector}", figure, "Median shift of both classes.", alt, _data({detector: one}))


def _data(found: Mapping[str, Robustness]) -> Data:
    """Every point as the bench writes it, the detector in front."""
    rows = [{"detector": detector, **row} for detector, one in found.items() for row in as_rows(one.overall)]
    return Data(list(rows[0]), [list(row.values()) for row in rows])


def _table(found: Mapping[str, Robustness]) -> Table:
    rows: list[list[Cell]] = []
    for detector, one in found.items():
        digits = 2 if one.spread >= 1 else 3  # detectors count in logits of their own
        clean = next(point for point in one.overall if point.degradation == CLEAN)
        for p in one.overall:
            change = p.ap.value - clean.ap.value
            shifts = [Value(f"{s.value:+.{digits}f}".replace("-", "−"), s.value) for s in (p.real_shift, p.fake_shift, p.gap)]
            above = [Value("-" if np.isnan(share) else f"{100 * share:.0f}", share) for share in (p.reals_above, p.fakes_above)]
            points = Value(f"{100 * change:+.1f}".replace("-", "−"), change)
            rows.append([detector, p.degradation, Value(percent(p.ap), p.ap.value), points, *shifts, *above, p.reading])
    head = [
        "detector",
        "degradation",
        "macro mean AP",
        "change",
        "reals move",
        "fakes move",
        "gap",
        "reals above",
        "fakes above",
        "reading",
    ]
    caption = (
        "AP and shares above the frozen threshold in percent, change in points, shifts in logits. gap: shift of the fakes minus that of "
        "the reals."
    )
    return Table("robustness", caption, head, rows, _data(found))
