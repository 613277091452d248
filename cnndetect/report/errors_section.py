"""The report's section on the worst errors: which images a detector gets most wrong, and where in them it looks."""

from __future__ import annotations

import numpy as np

import cnndetect.analysis.explain
from cnndetect.analysis.explain import Explanation, explain
from cnndetect.analysis.fakeness import Ranked, ranked
from cnndetect.data.folders import evenly
from cnndetect.detectors.base import Detector
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.registry import load
from cnndetect.errors import CnndetectError
from cnndetect.files import sha256_of
from cnndetect.images import packs, to_rgb_array
from cnndetect.kept import Arrays, kept_arrays
from cnndetect.report.figures.analysis import explanations
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Block, Data, Drawing, Section
from cnndetect.report.tiles import mapped_tiles

WORST_REALS = 8
PLACES = ("least fake", "median", "most fake")
_CODE = (cnndetect.analysis.explain,)

Row = tuple[str, Ranked, Explanation]


def explain_section(inputs: Inputs) -> Section:
    """The worst errors of the best detector that is no published one, or of those asked for, with maps of where the logit comes from."""
    title, prose = (
        "The worst errors, and where the detector looks",
        [
            "Every image stands beside the map of where its logit comes from: red speaks for fake, blue for real. A class-activation map "
            "is exact, its mean is the logit; occlusion, for other detectors, shows by how much the logit falls when a square is covered. "
            "The maps of one row of pictures share a scale.",
        ],
    )
    absent = inputs.no_images("cnndetect report --section explain --suite {suite} --limit none --out DIR")
    if absent:
        return Section(title, "explain", prose, missing=absent)
    found = _loadable(inputs)
    if not found:
        command = "cnndetect score IMAGE --detector FILE --explain OUT.png"
        missing = f"No detector of this page can be loaded by its name. Explain an image with: `{command}`"
        return Section(title, "explain", prose, missing=missing)
    blocks = [block for detector in found for block in _blocks(inputs, detector, alone=len(found) == 1)]
    finding = " ".join(_finding(inputs, detector.name) for detector in found)
    caution = (
        "A map is not a mask of what was forged. Wholly generated images have traces everywhere, and the map says where this "
        "detector found them, or missed them."
    )
    return Section(title, "explain", prose, blocks, finding=finding, caution=caution)


def _blocks(inputs: Inputs, detector: Detector, *, alone: bool) -> list[Block]:
    prefix, words = ("", f", by {detector.name}") if alone else (f"{detector.name}-", f", by {detector.name}")
    families: dict[str, list[Row]] = {}
    reals: dict[str, Ranked] = {}
    for test_set in inputs.sets(detector.name):
        scores = inputs.rows[detector.name][test_set.name].scores
        picked = evenly(ranked(scores, test_set.root, label=1), len(PLACES), ends=True)
        families[test_set.name] = [(name, one, _explained(one, detector)) for name, one in zip(PLACES, picked, strict=False)]
        reals |= {str(one.path): one for one in ranked(scores, test_set.root, label=0)}
    worst = sorted(reals.values(), key=lambda one: -one.logit)[:WORST_REALS]
    accused = [(f"real {place}", one, _explained(one, detector)) for place, one in enumerate(worst, 1)]
    missed = [(name, rows[0][1], rows[0][2]) for name, rows in families.items() if rows]
    return [
        Block(f"Reals that look most fake{words}", [_drawing(f"errors-{prefix}reals", "The reals with the highest logits.", accused)]),
        Block(
            f"The fake of every family that looks most real{words}",
            [_drawing(f"errors-{prefix}fakes", "The fake with the lowest logit, family by family.", missed)],
        ),
        Block(
            f"Every family: the least, the median and the most fake of its fakes{words}",
            [_drawing(f"explain-{prefix}{name}", f"**{name}**", rows) for name, rows in families.items()],
            folded=True,
        ),
    ]


def _drawing(name: str, caption: str, rows: list[Row]) -> Drawing:
    figure = explanations([(words, to_rgb_array(one.path), found) for words, one, found in rows], columns=4 if len(rows) > 3 else 1)
    alt = f"{len(rows)} images beside maps of where they look fake: {', '.join(words for words, _, _ in rows)}"
    cells = [[one.relative, found.logit, *place, float(heat)] for _, one, found in rows for place, heat in np.ndenumerate(found.heat)]
    data = Data(["image", "logit", "row", "column", "heat"], cells)
    return Drawing(name, figure, caption, alt, data, wide=True, tiles=mapped_tiles(rows))


def _finding(inputs: Inputs, detector: str) -> str:
    """Errors over all families at the frozen threshold; 0 where there is none."""
    runs = inputs.rows[detector]
    thresholds = {name: run.result.threshold_logit for name, run in runs.items()}
    missed = fakes = 0
    accused: dict[tuple[str, str], bool] = {}
    for name, run in runs.items():
        scores, threshold = run.scores, thresholds[name] or 0.0
        called = scores.logits > threshold
        fakes += int((scores.labels == 1).sum())
        missed += int(((scores.labels == 1) & ~called).sum())
        # Test sets that share their reals count them once.
        reals = scores.labels == 0
        accused |= dict(zip(zip(scores.clusters[reals], scores.paths[reals], strict=True), called[reals].tolist(), strict=True))
    where = "its frozen threshold" if any(value is not None for value in thresholds.values()) else "logit 0"
    return f"At {where}, {detector} calls {sum(accused.values())} of {len(accused)} reals fake and misses {missed} of {fakes} fakes."


def _loadable(inputs: Inputs) -> list[Detector]:
    """The detectors asked for that load by name with the weights of the stored scores; none asked for: the best that does.

    Without a choice, published detectors come last: most have no exact map, and occlusion takes minutes.
    """
    found = []
    for name in inputs.chosen or sorted(inputs.detectors, key=PUBLISHED.__contains__):
        try:
            detector = load(name)
        except CnndetectError:
            continue
        if {run.result.provenance.identity for run in inputs.rows[name].values()} == {detector.identity}:
            found.append(detector)
            if not inputs.chosen:
                break
    return found


def _explained(one: Ranked, detector: Detector) -> Explanation:
    """A map, read where it is kept; those of detectors without an identity are made every time."""

    def make() -> Arrays:
        made = explain(to_rgb_array(one.path), detector=detector)
        return {"method": np.array(made.method), "logit": np.array(made.logit), "heat": made.heat, "size_px": np.array(made.size_px)}

    packed = packs.find(one.path)
    content = sha256_of(one.path) if packed is None else packed.content_sha256()
    found = kept_arrays("maps", [detector.identity, content], _CODE, make) if detector.identity else make()
    height, width = found["size_px"].tolist()
    return Explanation(str(found["method"]), float(found["logit"]), found["heat"], (height, width))
