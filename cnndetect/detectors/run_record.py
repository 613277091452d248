"""The record of a training run: what ``OUT/NAME/record.json`` says of the weights beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from cnndetect.counting import counted
from cnndetect.errors import WeightsError
from cnndetect.files import plain, read_record

RECORD = "record.json"


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was trained on what, how, and how it ended. Fields of other versions are passed over."""

    weights_sha256: str | None  # of the best weights; None before the first epoch has ended
    threshold_logit: float | None  # frozen on validation images
    name: str = ""
    arch: str = ""  # in detectors/networks.py
    recipe: str = ""
    config: dict[str, Any] = {}  # every field of the TrainConfig, without paths of this machine
    initialisation: str = ""
    data: dict[str, Any] = {}  # split -> its counts, classes and fingerprint
    seed: int | None = None
    seconds: float = 0.0
    max_seconds: float | None = None
    epochs: int = 0
    stop_reason: str | None = None  # None while the run goes on
    best_epoch: int | None = None
    best: dict[str, Any] = {}  # the row of the best epoch
    weights: str = ""
    batchnorm: str = ""
    processes: int = 1
    images_seen: int = 0
    growth: list[dict[str, Any]] = []
    device: str = ""
    versions: dict[str, str] = {}
    differences_to_reference: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """JSON values, no path of this machine among them."""
        return plain(self)

    def summary(self) -> str:
        """Three lines for people."""
        best = self.best
        return (
            f"{self.name}: {self.stop_reason} after {counted(self.epochs, 'epoch')}, {self.seconds:.0f} s\n"
            f"started from {self.initialisation}\n"
            f"best epoch {self.best_epoch}: val accuracy {best.get('val_accuracy', float('nan')):.4f}, "
            f"ap {best.get('val_ap', float('nan')):.4f} -> {self.weights} (sha256 {self.weights_sha256})"
        )


def read_run(folder: Path) -> RunRecord:
    """The record of a run's folder. Raises WeightsError that names the field which is wrong."""
    return read_record(folder / RECORD, RunRecord, what="a record of a training run", advice="Mend or move it.", error=WeightsError)


def run_beside(weights: Path, digest: str) -> RunRecord | None:
    """The record beside a weights file where it is of these very bytes, else None. digest: their SHA-256. Raises WeightsError."""
    if not weights.with_name(RECORD).is_file():
        return None
    record = read_run(weights.parent)
    return record if record.weights_sha256 == digest else None
