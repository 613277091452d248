"""A detector as an estimator of scikit-learn, for pipelines and its model selection."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin

from cnndetect.detectors.registry import DetectorLike
from cnndetect.errors import ProtocolError
from cnndetect.metrics.calibration import calibrate, fit_calibration
from cnndetect.scoring import load_detector, score


class FakenessClassifier(ClassifierMixin, BaseEstimator):
    """Tells 0 real from 1 fake. The network stays as it is; ``fit`` chooses the threshold and the temperature alone.

    detector, device, batch_size: see ``cnndetect.score``.
    X: images, whatever ``cnndetect.score`` takes a collection of, such as paths.  y: 0 real, 1 fake.

    >>> images = [np.full((8, 8, 3), level, np.uint8) for level in (10, 60, 200, 250)]
    >>> FakenessClassifier(lambda batch: batch.mean((1, 2, 3))).fit(images, [0, 0, 1, 1]).predict(images).tolist()
    [0, 0, 1, 1]
    """

    def __init__(self, detector: DetectorLike = None, *, device: str | None = None, batch_size: int = 32) -> None:
        self.detector, self.device, self.batch_size = detector, device, batch_size

    def fit(self, X: Any, y: Any = None) -> FakenessClassifier:
        """Choose threshold and temperature on labelled validation images; without y, take those frozen with the detector.

        Raises ProtocolError where the detector has none, MetricError where y lacks a class.
        """
        self.classes_ = np.array([0, 1])
        self.detector_ = load_detector(self.detector, device=self.device)
        if y is not None:
            fitted = fit_calibration(y, self._logits(X))
            self.threshold_, self.temperature_ = fitted.threshold_logit, fitted.temperature
        elif self.detector_.threshold_logit is None or self.detector_.temperature is None:
            raise ProtocolError(f"Detector {self.detector_.name} has no frozen threshold and temperature. Call fit(images, labels).")
        else:
            self.threshold_, self.temperature_ = self.detector_.threshold_logit, self.detector_.temperature
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Calibrated logits, above 0 for fake: [N]."""
        return calibrate(self._logits(X), threshold=self.threshold_, temperature=self.temperature_)

    def predict_proba(self, X: Any) -> np.ndarray:
        """[N, 2]; a probability only on images like those of ``fit``."""
        fake = expit(self.decision_function(X))
        return np.stack([1 - fake, fake], axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """0 real, 1 fake: [N]."""
        return (self.decision_function(X) > 0).astype(int)

    def _logits(self, X: Any) -> np.ndarray:
        return score(X, detector=self.detector_, return_logit=True, batch_size=self.batch_size)
