"""Fit a fusion: the weights of a sum of logits, from stored validation logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnndetect.detectors.fusion import FusionRecord, Member
from cnndetect.errors import DataError
from cnndetect.fitting.validation import ValidationLogits
from cnndetect.metrics.calibration import fit_calibration


def fit_weights(labels: Any, logits: Any) -> tuple[np.ndarray, float]:
    """Weights [M] and bias of a logistic regression, both classes weighing the same.

    labels: [N] of 0/1.  logits: [N, M], one column a detector.  Every column is divided by its deviation before the fit, with
    a ridge penalty of one on these columns: where validation is separated without error, the likelihood alone has no
    maximum, and the penalty prefers equal weights of equally scaled logits.  Raises DataError.

    >>> weights, bias = fit_weights([0, 1] * 20, [[-1.0, 0.0], [1.0, 0.1]] * 20)
    >>> weights.shape, bool(weights[0] > 0)
    ((2,), True)
    """
    from sklearn.linear_model import LogisticRegression

    y, (columns, scale) = np.asarray(labels), _scaled(logits)
    if len(np.unique(y)) != 2:
        raise DataError(f"Got labels {np.unique(y).tolist()}. Expected images of both classes, 0 and 1.")
    fitted = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-8, max_iter=10_000).fit(columns / scale, y)
    return fitted.coef_[0] / scale, float(fitted.intercept_[0])


def equal_weights(logits: Any) -> tuple[np.ndarray, float]:
    """Weights [M] of a mean of logits that are each divided by their deviation, and its bias, 0.  logits: [N, M].  Raises DataError.

    >>> equal_weights([[-1.0, -4.0], [1.0, 4.0]])
    (array([0.5  , 0.125]), 0.0)
    """
    columns, scale = _scaled(logits)
    return 1 / (columns.shape[1] * scale), 0.0


def _scaled(logits: Any) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, M] and the deviation of every column. Raises DataError."""
    columns = np.asarray(logits, dtype=np.float64)
    scale = columns.std(axis=0)
    if columns.ndim != 2 or not np.isfinite(columns).all() or not scale.all():
        raise DataError(f"Got logits {columns.shape} with deviations {scale}. Expected finite ones [N, M] that are not constant.")
    return columns, scale


def fit_fusion(detectors: Sequence[tuple[str, str]], stored: Sequence[ValidationLogits], *, equal: bool = False) -> FusionRecord:
    """Fit on stored validation logits, one entry per detector; threshold and temperature come from the fused logits.

    detectors: (name or file, SHA-256) of each.  equal: ``equal_weights`` instead of ``fit_weights``.
    Raises DataError where the logits are of different images.
    """
    origins = [{key: value for key, value in one.origin.items() if key not in ("detector", "identity")} for one in stored]
    if any(origin != origins[0] for origin in origins):
        raise DataError(f"The validation logits are of different images or conditions: {origins}. Score all members on the same folder.")
    labels, logits = stored[0].labels, np.stack([one.logits for one in stored], axis=1)  # [N, M]
    weights, bias = equal_weights(logits) if equal else fit_weights(labels, logits)
    frozen = fit_calibration(labels, logits @ weights + bias)
    members = tuple(Member(name, digest, float(weight)) for (name, digest), weight in zip(detectors, weights, strict=True))
    return FusionRecord(members, bias, frozen.threshold_logit, frozen.temperature, {**origins[0], "images": len(labels)})
