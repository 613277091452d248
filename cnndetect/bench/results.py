"""Results: the figures of one (detector, test set, protocol, degradation) as one small JSON, with what produced them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from cnndetect.errors import DataError
from cnndetect.metrics.intervals import set_metrics
from cnndetect.scoring.scores import Scores

NAMED_FAILURES = 20


@dataclass(frozen=True)
class Result:
    """Figures of one test set. metrics: name -> {value, low, high}.  provenance: what was scored, and by what."""

    detector: str
    test_set: str
    suite: str
    protocol: str
    degradation: str
    threshold_logit: float | None
    progan_only: bool | None
    n_real: int
    n_fake: int
    n_failed: int
    failed: list[str]
    draws: int
    seed: int
    limit: int | None
    metrics: dict[str, dict[str, float]]
    provenance: dict[str, Any]
    versions: dict[str, str]
    commit: str | None
    time: str

    @property
    def is_result(self) -> bool:
        """A limited run is a trial, not a result."""
        return self.limit is None

    def save(self, path: Path) -> None:
        """Write sorted JSON, whole or not at all; NaN becomes null."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        text = json.dumps(_without_nan(asdict(self)), indent=1, sort_keys=True, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, path)


def read_result(path: str | Path) -> Result:
    """The Result of a file. Raises DataError that names the file and the fields which do not fit."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        known = {field.name for field in fields(Result)}
        if set(content) != known:
            wrong = sorted(set(content) ^ known)[:5]
            raise DataError(f"{path} is no result: fields {wrong} are missing or unknown. Run the bench again.")
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is not a result ({error}). Make it with: python -m cnndetect.bench") from error
    content["metrics"] = {
        name: {key: float("nan") if value is None else value for key, value in figure.items()}
        for name, figure in content["metrics"].items()
    }
    return Result(**content)


def result_of(scores: Scores, *, draws: int, seed: int) -> Result:
    """Figures of Scores; failed images count at their worst. Needs no network."""
    known = scores.provenance
    worst = scores.at_worst()
    found = set_metrics(worst.labels, worst.logits, clusters=worst.clusters, threshold=known["threshold_logit"], draws=draws, seed=seed)
    return Result(
        detector=known["detector"],
        test_set=known["test_set"],
        suite=known["suite"],
        protocol=known["protocol"],
        degradation=known["degradation"],
        threshold_logit=known["threshold_logit"],
        progan_only=known["progan_only"],
        n_real=int((scores.labels == 0).sum()),
        n_fake=int((scores.labels == 1).sum()),
        n_failed=int(scores.failed.sum()),
        failed=_named_failures(scores),
        draws=draws,
        seed=seed,
        limit=known["limit"],
        metrics=asdict(found),
        provenance=known,
        versions=_versions(),
        commit=_commit(),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _named_failures(scores: Scores) -> list[str]:
    pairs = zip(scores.paths[scores.failed][:NAMED_FAILURES], scores.errors[scores.failed], strict=False)
    # A file name may hold bytes that are no UTF-8, and this goes into files and to the screen.
    return [f"{path}: {error}".encode("utf-8", "backslashreplace").decode() for path, error in pairs]


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("cnndetect", "torch", "torchvision", "numpy", "scipy", "pillow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


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
