"""Results: the figures of one detector on one test set as one small JSON file, with what produced them."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cnndetect.bench.selection import Choice
from cnndetect.counting import counted
from cnndetect.files import plain, read_record, versions, write_json
from cnndetect.metrics import figures, rank
from cnndetect.metrics.calibration import calibrate
from cnndetect.metrics.deletion import GROUPS, photographs
from cnndetect.metrics.intervals import LEAST_AT_FPR, METHOD, Interval, SetMetrics, set_metrics
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores

NAMED_FAILURES = 20

# Fields of the provenance that a file repeats at its top, where people look for them.
REPEATED = ("detector", "test_set", "suite", "protocol", "degradation", "threshold_logit", "progan_only", "limit")


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures of one test set, each with its interval, and their provenance."""

    metrics: SetMetrics
    provenance: Provenance
    n_real: int
    n_fake: int
    n_failed: int
    failed: list[str]
    """The first failed images, each with its reason."""
    draws: int
    """0 where the figures have no intervals."""
    seed: int
    intervals: str = "percentile bootstrap over photographs"
    """How the intervals were made; what files say that do not name it."""
    selection: tuple[Choice, ...] = ()
    """What was chosen before, and on which data; empty in files of older versions and for detectors without a record."""
    ece_calibrated: float | None = None
    """Calibration error of the fakeness by the detector's frozen threshold and temperature; None where it has none."""
    versions: dict[str, str]
    commit: str | None
    time: str

    @property
    def detector(self) -> str:
        return self.provenance.detector

    @property
    def test_set(self) -> str:
        return self.provenance.test_set or ""

    @property
    def suite(self) -> str:
        return self.provenance.suite or ""

    @property
    def protocol(self) -> str:
        return self.provenance.protocol

    @property
    def degradation(self) -> str:
        return self.provenance.degradation

    @property
    def threshold_logit(self) -> float | None:
        return self.provenance.threshold_logit

    @property
    def progan_only(self) -> bool | None:
        return self.provenance.progan_only

    @property
    def limit(self) -> int | None:
        return self.provenance.limit

    @property
    def ap(self) -> Interval:
        return self.metrics.ap

    @property
    def is_result(self) -> bool:
        """A limited run is a trial, not a result."""
        return self.limit is None

    @property
    def trial(self) -> str:
        """How small a limited run was, as in "8 images per class"; empty for a result."""
        return "" if self.limit is None else f"{counted(self.limit, 'image')} per class"

    def save(self, path: Path) -> None:
        """Write sorted JSON, whole or not at all; NaN becomes null."""
        content = plain(self)
        for name in ("selection", "ece_calibrated"):
            if content[name] in (None, []):
                del content[name]  # as in files of older versions
        write_json(path, {**content, **{name: content["provenance"][name] for name in REPEATED}})


def read_result(path: str | Path) -> Result:
    """The Result of a file. Raises DataError that names the file and the field which does not fit."""
    return read_record(path, Result, what="a result", advice="Run the bench again.", unpack=_unpacked)


def method_of(scores: Scores) -> str:
    """How the intervals of these scores are made; another text in a stored result means that they are to be made again.

    What is said of many photographs (AP to first order) and of the threshold at a fixed FPR holds for large sets alone.
    """
    reals = photographs(scores.clusters[scores.labels == 0])
    large = len(np.unique(scores.clusters)) > GROUPS or reals >= min(LEAST_AT_FPR.values())
    return f"{METHOD}; AP to first order beyond {GROUPS} photographs, TPR with the error of its threshold" if large else METHOD


def calibrated_ece(scores: Scores, temperature: float | None) -> float | None:
    """Expected calibration error by the frozen threshold and a temperature; None where one of them is missing."""
    threshold = scores.provenance.threshold_logit
    if threshold is None or temperature is None:
        return None
    worst = scores.at_worst()
    return figures(rank(worst.labels, calibrate(worst.logits, threshold=threshold, temperature=temperature))).ece


def result_of(scores: Scores, *, draws: int, seed: int, selection: tuple[Choice, ...] = (), temperature: float | None = None) -> Result:
    """Figures of Scores; failed images count at their worst. Needs no network.

    selection, temperature: what the detector comes with.
    """
    worst = scores.at_worst()
    threshold = scores.provenance.threshold_logit
    return Result(
        metrics=set_metrics(worst.labels, worst.logits, clusters=worst.clusters, threshold=threshold, draws=draws, seed=seed),
        provenance=scores.provenance,
        n_real=int((scores.labels == 0).sum()),
        n_fake=int((scores.labels == 1).sum()),
        n_failed=int(scores.failed.sum()),
        failed=_named_failures(scores),
        draws=draws,
        seed=seed,
        intervals=method_of(scores),
        selection=selection,
        ece_calibrated=calibrated_ece(scores, temperature),
        versions=versions(),
        commit=_commit(),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _unpacked(content: dict[str, Any]) -> dict[str, Any]:
    """Without the repeated fields, which have to agree with the provenance; null figures as NaN."""
    differing = [name for name in REPEATED if content[name] != content["provenance"][name]]
    if differing:
        raise ValueError(f"{', '.join(differing)} and the provenance disagree")
    figures = {
        name: {key: float("nan") if number is None else number for key, number in figure.items()}
        for name, figure in content["metrics"].items()
    }
    return {name: value for name, value in content.items() if name not in REPEATED} | {"metrics": figures}


def _named_failures(scores: Scores) -> list[str]:
    pairs = zip(scores.paths[scores.failed][:NAMED_FAILURES], scores.errors[scores.failed], strict=False)
    # A file name may hold bytes that are no UTF-8, and this goes into files and to the screen.
    return [f"{path}: {error}".encode("utf-8", "backslashreplace").decode() for path, error in pairs]


@lru_cache(maxsize=1)
def _commit() -> str | None:
    """Commit of the checkout this package lies in, None in a wheel."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
