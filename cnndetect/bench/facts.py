"""Facts about a detector for tables: training images, licence, number of parameters, measured speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnndetect.bench.speed import Speed, parameters_of
from cnndetect.detectors.networks import NETWORKS, unfilled
from cnndetect.detectors.official import OFFICIAL
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.records import registered
from cnndetect.scoring.provenance import Provenance


@dataclass(frozen=True)
class Facts:
    """Of one detector; None where no record and no measurement says it."""

    trained_on: str | None = None
    licence: str | None = None
    parameters: int | None = None
    speed: Speed | None = None

    @property
    def images_per_second(self) -> float | None:
        return None if self.speed is None else self.speed.images_per_second


def facts_of(provenance: Provenance, speeds: Mapping[tuple[str, str | None], Speed]) -> Facts:
    """The facts of the detector that made some scores. A record counts for the weights it names, not for its name alone."""
    name, digest = provenance.detector, provenance.weights_sha256
    speed = speeds.get((name, provenance.identity))
    counted = None if speed is None else speed.parameters
    bundled = registered().get(name)
    if bundled is not None and bundled.sha256 == digest:
        if counted is None and bundled.network in NETWORKS:
            counted = parameters_of(unfilled(bundled.network))
        return Facts(bundled.training_data or None, bundled.licence or None, counted, speed)
    official = OFFICIAL.get(name)
    if official is not None and official.sha256 in (None, digest):
        return Facts(official.training_data, official.licence, counted, speed)
    published = PUBLISHED.get(name)
    # Its file was checked against the record when it was loaded.
    if published is not None and digest is not None:
        if counted is None and published.millions is not None:
            counted = round(1e6 * published.millions)
        return Facts(published.trained_on, published.licence, counted, speed)
    return Facts(parameters=counted, speed=speed)
