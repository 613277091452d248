"""Frechet distance between sets of images, on ImageNet features that need no download.

Source: Heusel et al. 2017 (arXiv 1706.08500), equation 6. The features are EfficientNet-Lite0's last shared map, averaged
over the image (112 numbers), not Inception's: the distances rank generators of this package and compare with no other FID.
Few images make any such distance too large, so compare it with that of real photographs, in equal numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from cnndetect.data.folders import evenly, find_sets, scan
from cnndetect.errors import DataError
from cnndetect.features import PerceptualFeatures
from cnndetect.images import list_images, to_rgb_array
from cnndetect.progress import bar


def describe(files: Sequence[Path], *, features: PerceptualFeatures, batch: int = 16) -> np.ndarray:
    """Averaged features of image files of one size: [N, 112] float64."""
    rows = []
    for start in bar(range(0, len(files), batch), desc="features", unit="batch"):
        images = np.stack([to_rgb_array(file) for file in files[start : start + batch]])
        tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            rows.append(features(tensor)[-1].mean(dim=(2, 3)).double().numpy())
    return np.concatenate(rows)


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two sets of features [N, D], [M, D].

    Raises DataError where a set has fewer than two rows or the widths differ.

    >>> points = np.random.default_rng(0).normal(size=(500, 3))
    >>> round(frechet_distance(points, points + [2.0, 0, 0]), 6)
    4.0
    """
    if min(len(first), len(second)) < 2 or first.shape[1] != second.shape[1]:
        raise DataError(f"Features of shape {first.shape} and {second.shape} were given. Expected [N, D] and [M, D], N and M at least 2.")
    difference = first.mean(axis=0) - second.mean(axis=0)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    # The eigenvalues of a product of covariances are real and not negative, but for rounding.
    roots = np.sqrt(np.maximum(np.linalg.eigvals(one @ two).real, 0))
    return float(difference @ difference + np.trace(one) + np.trace(two) - 2 * roots.sum())


def suite_distances(suite: str | Path, *, floor: str | Path | None = None) -> dict[str, dict[str, float]]:
    """Distance of every test set's fakes to its reals, in equal numbers, by name; ``floor``: of other photographs.

    Returns {name: {"distance": ..., "images": ...}}; the floor has the name "photographs".
    """
    features, described = PerceptualFeatures(), dict[tuple[Path, ...], np.ndarray]()

    def of(files: list[Path]) -> np.ndarray:
        key = tuple(files)
        if key not in described:
            described[key] = describe(files, features=features)
        return described[key]

    if not find_sets(suite):
        raise DataError(f"{suite} holds no test set. Expected a suite folder, with one folder per family.")

    # Evenly spread when there are more than needed, so that every photograph is met.
    table = {}
    for folder in find_sets(suite):
        samples = scan(folder)
        reals = [sample.path for sample in samples if sample.label == 0]
        fakes = [sample.path for sample in samples if sample.label == 1]
        count = min(len(reals), len(fakes))
        table[folder.name] = {"distance": frechet_distance(of(evenly(fakes, count)), of(evenly(reals, count))), "images": count}
    if floor is not None:
        other = list_images(floor)
        count = min(len(reals), len(other))
        table["photographs"] = {"distance": frechet_distance(of(evenly(other, count)), of(evenly(reals, count))), "images": count}
    return table
