"""A page per family with its pictures, ranked by any detector: what a press on a figure of the report leads to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnndetect.bench.suites import TestSet
from cnndetect.data.folders import Sample, evenly, scan
from cnndetect.errors import CnndetectError
from cnndetect.files import write_whole
from cnndetect.images import to_rgb_array
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import rendered
from cnndetect.report.tiles import webp

# A page holds its pictures; larger classes show some, evenly spread over the first detector's ranking.
MOST_IMAGES = 150
LONGEST_PX = 128


@dataclass(frozen=True)
class Shown:
    """One picture of a page."""

    name: str
    image: bytes
    """A WebP."""
    logits: tuple[str, ...]
    """One per detector, "-" where it has none."""


def write_image_pages(inputs: Inputs, out: Path) -> list[Path]:
    """Write OUT/images/FAMILY.html for every family whose images are here; an image that cannot be read is left out."""
    known: dict[Path, bytes] = {}  # shared reals are drawn once
    return [_write(inputs, test_set, out, known) for test_set in inputs.sets()]


def _write(inputs: Inputs, test_set: TestSet, out: Path, known: dict[Path, bytes]) -> Path:
    detectors = [name for name in inputs.detectors if test_set.name in inputs.rows[name]]
    runs = [inputs.rows[name][test_set.name] for name in detectors]
    logits = [dict(zip(run.scores.paths.tolist(), run.scores.logits.tolist(), strict=True)) for run in runs]
    classes: dict[str, list[Shown]] = {}
    hidden = 0
    for label, kind in enumerate(("real", "fake")):
        samples = [sample for sample in scan(test_set.root) if sample.label == label]
        samples.sort(key=lambda sample: (logits[0].get(sample.relative, np.nan), sample.relative))
        some = evenly(samples, MOST_IMAGES, ends=True)
        hidden += len(samples) - len(some)
        classes[kind] = [one for sample in some if (one := _shown(sample, logits, known)) is not None]
    count = sum(map(len, classes.values()))
    rest = f"; {hidden} more are not on this page" if hidden else ""
    text = rendered(
        "images.html",
        title=f"{test_set.name}, {inputs.base.title}",
        subtitle=f"{count} pictures, drawn anew and no input for a detector{rest}.",
        detectors=detectors,
        thresholds=[run.result.threshold_logit for run in runs],
        classes=classes,
    )
    path = out / "images" / f"{test_set.name}.html"
    write_whole(path, text, flush=False)
    return path


def _shown(sample: Sample, logits: list[dict[str, float]], known: dict[Path, bytes]) -> Shown | None:
    try:
        if sample.path not in known:
            known[sample.path] = webp(to_rgb_array(sample.path), longest_px=LONGEST_PX)
    except CnndetectError:
        return None
    found = (of.get(sample.relative, np.nan) for of in logits)
    return Shown(sample.relative.rpartition("/")[2], known[sample.path], tuple("-" if np.isnan(x) else f"{x:.4g}" for x in found))
