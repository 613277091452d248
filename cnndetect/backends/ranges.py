"""Ranges of activations: what an int8 engine must know of a detector beside its weights.

They are measured on validation photographs by ``cnndetect detectors ranges``, and lie beside the bundled weights as
NAME.ranges.json, or in the cache folder for weights of the user's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from cnndetect import files
from cnndetect.detectors.base import Detector
from cnndetect.detectors.records import RANGES
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.files import write_whole
from cnndetect.paths import ranges_root, weights_root

# Smallest and largest value of an activation, by the name of its step.
Ranges = Mapping[str, tuple[float, float]]


class RangesRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ranges and what they were measured on."""

    detector: str
    weights_sha256: str
    images: int
    """Photographs that were looked at."""
    split: str
    """Of which split they were."""
    ranges: dict[str, tuple[float, float]]

    def save(self, path: Path) -> None:
        """Write JSON, whole or not at all."""
        write_whole(path, msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def stored_ranges(detector: Detector) -> Ranges:
    """The ranges that were stored for these very weights. Raises ProtocolError where there are none."""
    shipped = weights_root() / f"{detector.name}{RANGES}.json"
    for path in (shipped, own_path(detector)):
        if path is not None and path.is_file():
            record = read_ranges(path)
            if record.weights_sha256 == detector.weights_sha256:
                return record.ranges
    raise ProtocolError(
        f"int8 needs the ranges of the activations of {detector.name}, and none are stored for these weights. Measure them on "
        f"validation photographs with: cnndetect detectors ranges {detector.name} --photos FOLDER"
    )


def read_ranges(path: str | Path) -> RangesRecord:
    """The record of a file that ``RangesRecord.save`` wrote. Raises WeightsError."""
    advice = "Measure them again with: cnndetect detectors ranges"
    return files.read_record(path, RangesRecord, what="ranges of activations", advice=advice, error=WeightsError)


def own_path(detector: Detector) -> Path | None:
    """Where the ranges of weights of the user's own lie; None without a digest."""
    return None if detector.weights_sha256 is None else ranges_root() / f"{detector.weights_sha256[:16]}{RANGES}.json"
