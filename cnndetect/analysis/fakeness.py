"""Rank images from least to most fake by stored scores, and correlate fakeness with visible quality.

The paper ranks images by the detector's score and asks whether the fakest look worst. Two measures stand in for the eye:
sharpness, and how far an image's ImageNet features lie from those of real photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from cnndetect.analysis.audit.pixels import STATISTICS, global_statistics
from cnndetect.data.folders import Sample, scan
from cnndetect.errors import CnndetectError, DataError
from cnndetect.images import to_rgb_array
from cnndetect.metrics.intervals import DRAWS, Interval
from cnndetect.metrics.shares import correlation_interval
from cnndetect.progress import bar
from cnndetect.scoring.scores import Scores

SHARPNESS, FEATURES = "sharpness", "feature distance"

# An image's distance is the mean to so many nearest reals of other photographs.
NEIGHBOURS = 5

# Below this the network's strides leave nothing.
LEAST_PX = 32


@dataclass(frozen=True)
class Ranked:
    """One image in its class."""

    place: int  # 0 is the least fake
    relative: str
    path: Path  # where the file lies
    label: int  # 0 real, 1 fake
    logit: float


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of the logit with a measure, within one class."""

    measure: str
    label: int  # 0 real, 1 fake
    rho: Interval
    count: int


def ranked(scores: Scores, root: str | Path, *, label: int | None = None) -> list[Ranked]:
    """Images from least to most fake, by logit; failed ones are left out; equal logits go by name.

    root: the test set's folder.  label: one class only, None for both.  Raises DataError where an image is no longer there.
    """
    files = {sample.relative: sample.path for sample in scan(root)}
    missing = [name for name in scores.paths if name not in files]
    if missing:
        raise DataError(f"{root} has no {missing[0]} ({len(missing)} such images). The scores are of another version of the set.")
    chosen = ~scores.failed if label is None else ~scores.failed & (scores.labels == label)
    rows = sorted(zip(scores.logits[chosen].tolist(), scores.paths[chosen].tolist(), scores.labels[chosen].tolist(), strict=True))
    return [Ranked(place, name, files[name], kind, logit) for place, (logit, name, kind) in enumerate(rows)]


# What was measured of a file: sharpness, and its pooled features where they were asked for.
Known = dict[Path, tuple[float, np.ndarray | None]]


def quality_measures(
    root: str | Path, *, features: bool = True, known: Known | None = None, progress: bool = False
) -> dict[str, dict[str, float]]:
    """Measure -> image (its name inside the set) -> value; an image that cannot be read has none.

    sharpness: log of the Laplacian's variance.  feature distance: mean Euclidean distance to the 5 nearest reals of other
    photographs, in pooled EfficientNet-Lite0 features that are standardised over the reals; it needs 'cnndetect[zoo]'.
    known: filled on the way, for the next test set with the same reals.
    """
    done: Known = {} if known is None else known
    network = _network() if features else None
    samples: list[Sample] = []
    for sample in bar(scan(root), desc=f"measure {Path(root).name}", shown=progress):
        if sample.path not in done or (network is not None and done[sample.path][1] is None):
            try:
                array = to_rgb_array(sample.path)
            except CnndetectError:
                continue  # the bench has named it
            sharpness = float(global_statistics(array)[STATISTICS.index(SHARPNESS)])
            done[sample.path] = sharpness, None if network is None else _pooled(network, array)
        samples.append(sample)
    found = {SHARPNESS: {sample.relative: done[sample.path][0] for sample in samples}}
    if network is not None:
        pooled = np.stack([vector for vector in (done[sample.path][1] for sample in samples) if vector is not None])
        distances = feature_distances(pooled, samples).tolist()
        found[FEATURES] = {sample.relative: distance for sample, distance in zip(samples, distances, strict=True)}
    return found


def feature_distances(features: np.ndarray, samples: Sequence[Sample]) -> np.ndarray:
    """Mean distance of every image to its nearest reals of other photographs: [N]; NaN where there is none.

    features: [N, F], standardised here over the reals.
    """
    labels, names = np.array([sample.label for sample in samples]), np.array([sample.cluster for sample in samples])
    reals = features[labels == 0]
    scaled = (features - reals.mean(axis=0)) / np.maximum(reals.std(axis=0), 1e-6)
    anchors, anchor_names = scaled[labels == 0], names[labels == 0]
    found = np.full(len(samples), np.nan)
    for row, (vector, name) in enumerate(zip(scaled, names, strict=True)):
        others = anchors[anchor_names != name]
        if len(others):
            distances = np.sort(np.linalg.norm(others - vector, axis=1))
            found[row] = distances[:NEIGHBOURS].mean()
    return found


def correlations(scores: Scores, measures: dict[str, dict[str, float]], *, draws: int = DRAWS, seed: int = 0) -> list[Correlation]:
    """Of fakeness with every measure, in each class apart, with 95 % intervals over photographs.

    Across both classes together it would mostly say that the classes differ. Positive: the fakest have more of it.
    """
    found = []
    for name, values in measures.items():
        column = np.array([values.get(path, np.nan) for path in scores.paths])
        for label in (0, 1):
            known = (scores.labels == label) & ~scores.failed & ~np.isnan(column)
            if known.sum() > 2:
                rho = spearman(scores.logits[known], column[known], scores.clusters[known], draws=draws, seed=seed)
                found.append(Correlation(name, label, rho, int(known.sum())))
    return found


def spearman(first: np.ndarray, second: np.ndarray, clusters: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Spearman's rank correlation with its interval over clusters; 0 where a draw leaves a constant column.

    first, second: [N].  clusters: [N] names that are drawn together.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 8.0, 27.0]), np.array(["a", "b", "c"]), draws=0).value
    1.0
    """

    def statistic(times: np.ndarray) -> float:
        ranks = [rankdata(np.repeat(column, times)) for column in (first, second)]
        a, b = (rank - rank.mean() for rank in ranks)
        scale = np.sqrt((a @ a) * (b @ b))
        return float(a @ b / scale) if scale else 0.0

    return correlation_interval(statistic, clusters, draws=draws, seed=seed)


def _network() -> torch.nn.Module:
    from cnndetect.features import PerceptualFeatures

    return PerceptualFeatures()


@torch.inference_mode()
def _pooled(network: torch.nn.Module, array: np.ndarray) -> np.ndarray:
    """Mean over places of the last feature map: [H, W, 3] -> [F]. An image that the network cannot take is continued at its edge."""
    missing = [max(0, LEAST_PX - side) for side in array.shape[:2]]
    array = np.pad(array, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    image = torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255
    return network(image)[-1].mean(dim=(2, 3))[0].numpy()
