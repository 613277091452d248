"""Scores: the logit of a detector for every image of a test set. All tables are computed from them, none from a network."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from cnndetect.errors import DataError
from cnndetect.files import write_whole
from cnndetect.metrics import impute_failures
from cnndetect.metrics.intervals import SetScores
from cnndetect.scoring.provenance import Provenance


@dataclass(frozen=True)
class Scores:
    """Logits of one detector on one test set under one protocol and degradation."""

    paths: np.ndarray  # paths, clusters, errors: [N] str
    clusters: np.ndarray
    labels: np.ndarray  # [N] int8
    logits: np.ndarray  # [N] float64, NaN where failed
    errors: np.ndarray
    provenance: Provenance

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
        columns = {
            "paths": self.paths.astype(str),
            "clusters": self.clusters.astype(str),
            "labels": self.labels.astype(np.int8),
            "logits": self.logits.astype(np.float64),
            "errors": self.errors.astype(str),
            "provenance": np.array(self.provenance.to_json()),
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **columns)  # type: ignore[arg-type]
        write_whole(path, buffer.getvalue())


def read_scores(path: str | Path) -> Scores:
    """Scores of a file that ``Scores.save`` wrote. Raises DataError."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            columns = {key: content[key] for key in ("paths", "clusters", "labels", "logits", "errors")}
            return Scores(**columns, provenance=Provenance.from_json(str(content["provenance"])))
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} is not a file of scores ({error}). Make it with: python -m cnndetect.bench") from error
