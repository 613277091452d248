"""Stored scores of a detector and its frozen calibration enter, the calibration error before and after leaves, per test set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cnndetect.bench.store import read_runs
from cnndetect.detectors.base import Detector
from cnndetect.detectors.calibration import calibrated
from cnndetect.errors import DataError
from cnndetect.metrics import accuracy_at, figures, rank
from cnndetect.metrics.calibration import calibrate
from cnndetect.metrics.intervals import SetScores


@dataclass(frozen=True)
class CalibrationRow:
    """One test set. ece_before: of sigmoid(logit).  ece_after: of the calibrated fakeness.  accuracy_*: at the frozen threshold."""

    test_set: str
    n_real: int
    n_fake: int
    ece_before: float
    ece_after: float
    accuracy_real: float
    accuracy_fake: float


def calibration_row(name: str, scores: SetScores, *, threshold: float, temperature: float) -> CalibrationRow:
    """Figures of one test set; failed images count at their worst."""
    after = calibrate(scores.logits, threshold=threshold, temperature=temperature)
    real, fake = accuracy_at(scores.labels, scores.logits, threshold)
    return CalibrationRow(
        test_set=name,
        n_real=int((scores.labels == 0).sum()),
        n_fake=int((scores.labels == 1).sum()),
        ece_before=figures(rank(scores.labels, scores.logits)).ece,
        ece_after=figures(rank(scores.labels, after)).ece,
        accuracy_real=real,
        accuracy_fake=fake,
    )


def calibration_rows(detector: Detector, results: Path, *, protocol: str = "nocrop") -> list[CalibrationRow]:
    """One row for every undegraded test set that this very detector was scored on.

    Raises ProtocolError for a detector without calibration, DataError where there are no scores of it.
    """
    calibrated(detector)  # says what is missing
    assert detector.threshold_logit is not None and detector.temperature is not None
    rows = []
    runs = read_runs([results], detectors=[detector.name], protocol=protocol, degradation="none")
    for condition in sorted(runs):
        for name, run in runs[condition][detector.name].items():
            if run.result.provenance.identity == detector.identity:
                title = name if len(runs) == 1 else f"{condition.suite}/{name}"
                scores = run.scores.at_worst()
                rows.append(calibration_row(title, scores, threshold=detector.threshold_logit, temperature=detector.temperature))
    if not rows:
        raise DataError(
            f"{results / detector.name} has no scores of these weights of {detector.name} under {protocol}. "
            f"Make them with: python -m cnndetect.bench --detector ... --protocol {protocol} --results {results}"
        )
    return rows
