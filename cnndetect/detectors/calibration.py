"""A detector whose logits are calibrated by its frozen threshold and temperature (metrics/calibration.py fits them)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from cnndetect.detectors.base import Detector
from cnndetect.detectors.networks import strips
from cnndetect.errors import ProtocolError
from cnndetect.metrics.calibration import calibrate


def calibrated(detector: Detector) -> Detector:
    """The same detector with calibrated logits: its threshold is 0, and sigmoid(logit) the calibrated fakeness.

    Raises ProtocolError where the detector has no temperature and threshold.
    """
    threshold, temperature = detector.threshold_logit, detector.temperature
    if threshold is None or temperature is None:
        raise ProtocolError(
            f"Detector {detector.name} has no calibration (threshold_logit={threshold}, temperature={temperature}). Fit one on "
            f"its validation images with: cnndetect detectors calibrate FILE --val FOLDER --write"
        )
    identity = None if detector.identity is None else f"{detector.identity} calibrated {threshold!r} {temperature!r}"
    network = Calibrated(detector.network, threshold, temperature)
    engine = detector.engine
    if engine is not None:
        run = engine.run
        engine = replace(engine, run=lambda images: calibrate(run(images), threshold=threshold, temperature=temperature))
    bounds = {
        name: calibrate(value, threshold=threshold, temperature=temperature)
        for name, value in (detector.record.get("verdict") or {}).items()
    }
    record = {**detector.record, "verdict": bounds or None}
    return replace(detector, network=network, threshold_logit=0.0, temperature=1.0, identity=identity, engine=engine, record=record)


class Calibrated(nn.Module):
    """A network whose logits are moved and divided: [N, 3, H, W] -> [N]."""

    def __init__(self, network: Any, threshold: float, temperature: float) -> None:
        super().__init__()
        self.network, self.threshold, self.temperature = network, threshold, temperature

    def forward(self, images: Tensor) -> Tensor:
        return calibrate(self.network(images), threshold=self.threshold, temperature=self.temperature)

    def heat(self, images: Tensor) -> Tensor:
        """What every place adds to the mean that is the calibrated logit; the network must have such a map."""
        return calibrate(self.network.heat(images), threshold=self.threshold, temperature=self.temperature)

    @property
    def whole_pixels(self) -> int:
        """An engine takes an image of no more pixels whole."""
        return strips.whole_pixels_of(self.network)
