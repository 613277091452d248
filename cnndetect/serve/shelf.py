"""The detectors that a server offers by name, loaded when they are first asked for."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from scipy.special import expit

from cnndetect.backends import accelerated
from cnndetect.detectors.base import Detector
from cnndetect.detectors.records import registered
from cnndetect.detectors.registry import list_detectors, load
from cnndetect.errors import UnknownNameError, lookup
from cnndetect.serve.answers import Band, DetectorRow, Used
from cnndetect.serve.limits import Refusal

# A ResNet-50 takes about 100 MB.
_KEPT = 2


class Shelf:
    """Detectors by name, each with its fastest exact engine. Only names are taken from requests: never a file, never an import.

    first: the default, loaded at once; a name, a weights file, ``package.module:factory``, or a Detector.
    """

    def __init__(self, first: str | Path | Detector | None = None, *, device: str | None = None) -> None:
        self.device = device
        self.first = accelerated(load(first, device=device))
        self._kept: OrderedDict[str, Detector] = OrderedDict()
        names = [self.first.name, *(name for name in list_detectors() if name != self.first.name)]
        self._names = dict.fromkeys(names, None)

    def rows(self) -> list[DetectorRow]:
        """What can be asked for, the default first."""
        return [DetectorRow(name, _title(name, self.first), name == self.first.name) for name in self._names]

    def check(self, name: str | None) -> None:
        """Raise Refusal 422 for a name that is not offered."""
        try:
            lookup("detector", self._names, name or self.first.name)
        except UnknownNameError as error:
            raise Refusal(422, "unknown_detector", str(error)) from error

    def get(self, name: str | None) -> Detector:
        """The detector of a checked name; the default for None or ""."""
        if not name or name == self.first.name:
            return self.first
        if name not in self._kept:
            self._kept[name] = accelerated(load(name, device=self.device))
        self._kept.move_to_end(name)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[name]


def used(detector: Detector) -> Used:
    """What an answer says of its detector."""
    title = detector.record.get("title")
    return Used(detector.name, title if isinstance(title, str) else None, detector.weights_sha256, detector.protocol, band_of(detector))


def band_of(detector: Detector) -> Band | None:
    """The thresholds of its verdict as fakeness; None without any."""
    return None if detector.band is None else Band(*(float(expit(logit)) for logit in detector.band))


def _title(name: str, first: Detector) -> str | None:
    record = first.record if name == first.name else registered()[name].as_plain() if name in registered() else {}
    title = record.get("title")
    return title if isinstance(title, str) else None
