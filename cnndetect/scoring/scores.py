"""Scores: what a detector said of every image of a test set. The waist between networks and tables."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from cnndetect.errors import DataError
from cnndetect.metrics import impute_failures
from cnndetect.metrics.intervals import SetScores


@dataclass(frozen=True)
class Scores:
    """Logits of one detector on one test set under one protocol and degradation.

    paths, clusters, errors: [N] str.  labels: [N] int8.  logits: [N] float64, NaN where failed.  provenance: see run.py.
    """

    paths: np.ndarray
    clusters: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    errors: np.ndarray
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        lengths = {len(self.paths), len(self.clusters), len(self.labels), len(self.logits), len(self.errors)}
        if len(lengths) != 1:
            raise DataError(f"Scores got columns of lengths {sorted(lengths)}. Expected equal lengths.")

    @property
    def failed(self) -> np.ndarray:
        """[N] bool: the image or the detector failed, or the logit was NaN."""
        return np.isnan(self.logits)

    def at_worst(self) -> SetScores:
        """What metrics may see: every failed image at the worst of its class."""
        return SetScores(self.labels, impute_failures(self.labels, self.logits, self.failed), self.clusters)

    def save(self, path: Path) -> None:
        """Write whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                paths=self.paths.astype(str),
                clusters=self.clusters.astype(str),
                labels=self.labels.astype(np.int8),
                logits=self.logits.astype(np.float64),
                errors=self.errors.astype(str),
                provenance=np.array(json.dumps(self.provenance, sort_keys=True)),
            )
        os.replace(temporary, path)


def read_scores(path: str | Path) -> Scores:
    """Scores of a file that ``Scores.save`` wrote. Raises DataError."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            columns = {key: content[key] for key in ("paths", "clusters", "labels", "logits", "errors")}
            return Scores(**columns, provenance=json.loads(str(content["provenance"])))
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} is not a file of scores ({error}). Make it with: python -m cnndetect.bench") from error
