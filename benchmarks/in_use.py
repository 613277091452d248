"""How the default behaves in use: real pictures that it calls fake, and how far the score of one photograph moves when it is sent on.

    apt-get download gimp-help-en && dpkg-deb -x gimp-help-en_*.deb screenshots
    python benchmarks/in_use.py --photos ../shared/photos --screenshots screenshots --out benchmarks/campaigns/in_use.json

PHOTOS: folders of numbered photographs; those of the test split are taken, which no threshold was fitted on. Night scenes are those of
them whose mean luma is below 60 of 255. Screenshots are PNG files of 200 to 400 px a side, one of each content. An interrupted run goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import expit

from cnndetect.analysis.alarms import alarms_of, false_alarms, scores_of_photographs
from cnndetect.bench.stability import DELIVERIES
from cnndetect.data.folders import evenly
from cnndetect.detectors.base import Detector
from cnndetect.detectors.registry import load
from cnndetect.errors import DataError
from cnndetect.files import sha256_of, write_json
from cnndetect.metrics.calibration import calibrate
from cnndetect.zoo.resynthesis.crops import files_of

ROOT = Path(__file__).resolve().parent.parent
CONDITIONS = ("none", "jpeg_75", "resize_0.5")
PHOTOGRAPHS, SCREENSHOTS, SENT_ON = 200, 60, 100
NIGHT_LUMA = 60
SIDES_PX = (200, 400)


def main() -> int:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--screenshots", type=Path, required=True, help="searched through")
    parser.add_argument("--detector", action="append", help="repeatable (default: the default detector)")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "in_use", metavar="DIR", help="default: runs/in_use")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    photographs = files_of(options.photos, "test")
    sets = {
        "photographs": evenly(photographs, PHOTOGRAPHS, ends=True),
        "night scenes": [file for file in photographs if luma(file) < NIGHT_LUMA],
        "screenshots": screenshots(options.screenshots),
    }
    folders = {name: linked(files, options.work / name.replace(" ", "-")) for name, files in sets.items()}
    sent_on = linked(evenly(photographs, SENT_ON, ends=True), options.work / "sent-on")
    rows, spreads = [], []
    for name in options.detector or (None,):
        detector = load(name)
        for kind, folder in folders.items():
            found = false_alarms(detector, [folder], degradations=CONDITIONS, results=options.work, progress=True)
            rows += [{"pictures": kind, **asdict(one)} for one in found]
        spreads.append(spread(detector, sent_on, options.work))
    write_json(options.out, {"alarms": rows, "sent_on": spreads}, indent=1)
    return 0


def luma(file: Path) -> float:
    """Mean of the grey image, 0 to 255."""
    with Image.open(file) as image:
        return float(np.asarray(image.convert("L")).mean())


def screenshots(root: Path) -> list[Path]:
    """PNG files of the sizes asked for, one of each content, evenly chosen. Raises DataError where there are none."""
    found: dict[str, Path] = {}
    for file in sorted(root.rglob("*.png")):
        with Image.open(file) as image:
            low, high = min(image.size), max(image.size)
        if SIDES_PX[0] <= low and high <= SIDES_PX[1]:
            found.setdefault(sha256_of(file), file)
    if not found:
        raise DataError(f"{root} has no PNG files of {SIDES_PX[0]} to {SIDES_PX[1]} px a side. Unpack a package of documentation there.")
    return evenly(list(found.values()), SCREENSHOTS, ends=True)


def linked(files: Iterable[Path], folder: Path) -> Path:
    """A folder of links to these files, under names of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        link = folder / f"{file.parent.name}_{file.name}"
        if not link.is_symlink():
            link.symlink_to(file.resolve())
    return folder


def spread(detector: Detector, folder: Path, work: Path) -> dict:
    """Quantiles of the deviation and range of a photograph's calibrated score over deliveries; the share called fake under each, and turned."""
    found = scores_of_photographs(detector, [folder], degradations=("none", *DELIVERIES), results=work, progress=True)
    threshold, temperature = detector.threshold_logit, detector.temperature
    assert threshold is not None and temperature is not None
    logits = np.stack([one.at_worst().logits for one in found], axis=1)  # [photographs, deliveries]
    scores = expit(calibrate(logits, threshold=threshold, temperature=temperature))
    deviation, width = scores.std(axis=1), np.ptp(scores, axis=1)
    called = logits > threshold
    return {
        "detector": detector.name, "photographs": len(scores), "deliveries": list(DELIVERIES),
        "deviation": {name: float(np.quantile(deviation, share)) for name, share in (("median", 0.5), ("95 %", 0.95))},
        "range": {name: float(np.quantile(width, share)) for name, share in (("median", 0.5), ("95 %", 0.95))},
        "called": {one.provenance.degradation: alarms_of(one, threshold=threshold).called_fake for one in found},
        "turned": float((called != called[:, :1]).any(axis=1).mean()),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
