"""Which of several detectors is best on validation images: AP and AUC under each condition, and their means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

from cnndetect.data.folders import class_of, scan, spread
from cnndetect.detectors.registry import load
from cnndetect.fitting.validation import validation_logits
from cnndetect.metrics import average_precision, roc_auc
from cnndetect.transforms.conditions import CONDITIONS


@dataclass(frozen=True)
class Candidate:
    """A detector on validation images."""

    name: str
    weights_sha256: str | None
    images: int
    mean_ap: float
    mean_auc: float
    by_condition: dict[str, tuple[float, float]]  # name -> (AP, AUC)
    by_class: dict[str, float]  # class folder -> AUC of the first condition


def compare_detectors(
    detectors: Sequence[str | Path],
    val: str | Path,
    *,
    conditions: Sequence[str] = CONDITIONS,
    max_images: int | None = None,
    store: Path | None = None,
    device: str | None = None,
    progress: bool = False,
) -> list[Candidate]:
    """The detectors, best mean AUC first; ties by the mean AP.

    val: a folder in the official layout. A test suite is refused: what is chosen on it cannot be measured on it.
    conditions: names of transforms/degrade.py.  store: a folder of logits to reuse.  Raises ProtocolError, LayoutError.
    """
    found = []
    for given in detectors:
        detector = load(given, device=device)
        logits = validation_logits(
            detector, val, degradations=conditions, max_images=max_images, store=store, progress=progress
        )  # fmt: skip
        # The logits of one condition follow those of the other.
        parts = zip(*(np.split(column, len(conditions)) for column in (logits.labels, logits.logits)), strict=True)
        pairs = dict(zip(conditions, parts, strict=True))
        by_condition = {name: (float(average_precision(*pair)), float(roc_auc(*pair))) for name, pair in pairs.items()}
        groups = np.array([class_of(sample) for sample in spread(tuple(scan(val)), max_images)])
        labels, first = pairs[conditions[0]]
        by_class = {name: float(roc_auc(labels[groups == name], first[groups == name])) for name in sorted(set(groups.tolist()))}
        means = np.mean(list(by_condition.values()), axis=0)
        found.append(
            Candidate(detector.name, detector.weights_sha256, len(labels), float(means[0]), float(means[1]), by_condition, by_class)
        )
    return sorted(found, key=lambda one: (-one.mean_auc, -one.mean_ap))


def shown(found: Sequence[Candidate]) -> str:
    """Two tables in percent: AP / AUC by condition, and AUC by class folder."""
    conditions, classes = list(found[0].by_condition), list(found[0].by_class)
    rows = [
        [one.name, f"{100 * one.mean_ap:.1f} / {100 * one.mean_auc:.1f}"]
        + [f"{100 * one.by_condition[name][0]:.1f} / {100 * one.by_condition[name][1]:.1f}" for name in conditions]
        for one in found
    ]
    table = tabulate(rows, ["detector", "mean AP / AUC", *conditions], tablefmt="github")
    each = tabulate(
        [[one.name, *(f"{100 * one.by_class[name]:.1f}" for name in classes)] for one in found],
        [f"AUC, {conditions[0]}", *classes],
        tablefmt="github",
    )
    return f"{table}\n\n{each}\n\n{found[0].images} validation images under each condition"
