"""The selection log: which choices a detector comes with, and on which data each was made, as its record says.

A figure measures something only where nothing was chosen on its images. So every result carries the log, and what a record leaves out
is shown as left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cnndetect.detectors.base import Detector

UNSAID = "its record does not say"


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One choice that was made before the result, with what is known of its data."""

    what: str
    """threshold, temperature, verdict, fusion or checkpoint."""
    on: str
    """The data in words: a folder, its images and conditions, or what the record says of them."""
    fingerprint: str | None = None
    """Of the images, where the fit kept it."""


def selection_of(detector: Detector) -> tuple[Choice, ...]:
    """Every choice that a detector's record tells of.

    >>> from cnndetect.detectors.base import Detector
    >>> selection_of(Detector("mine", lambda images: images.mean(dim=(1, 2, 3)), threshold_logit=0.5))[0].on
    'its record does not say'
    """
    record = detector.record
    fitted = record.get("fitted_on") or {}
    frozen = {"threshold": detector.threshold_logit, "temperature": detector.temperature, "verdict": record.get("verdict")}
    on, fingerprint = _fitted_words(fitted) or record.get("note") or UNSAID, fitted.get("fingerprint")
    found = [Choice(what=what, on=on, fingerprint=fingerprint) for what, value in frozen.items() if value is not None]
    if record.get("network") == "fusion" or "members" in record:
        found.append(Choice(what="fusion", on=_fitted_words(fitted) or record.get("training_data") or UNSAID, fingerprint=fingerprint))
    elif record.get("recipe") or record.get("training_data"):
        found.append(Choice(what="checkpoint", on=record.get("training_data") or UNSAID))
    return tuple(found)


def selection_lines(selection: Sequence[Choice]) -> list[str]:
    """One line for every data, with the choices that were made on it.

    >>> selection_lines([Choice(what="threshold", on="val"), Choice(what="temperature", on="val")])
    ['threshold, temperature: val']
    """
    by_data: dict[str, list[str]] = {}
    for choice in selection:
        by_data.setdefault(choice.on, []).append(choice.what)
    return [f"{', '.join(names)}: {on}" for on, names in by_data.items()]


def _fitted_words(fitted: dict) -> str:
    """What a fit kept of its images, in words; "" where it kept nothing."""
    if not fitted:
        return ""
    images = f"{fitted['images']} logits of " if "images" in fitted else ""
    conditions = ", ".join(fitted.get("degradations", ()))
    alarms = f", at most {100 * fitted['max_false_alarms']:g} % false alarms" if "max_false_alarms" in fitted else ""
    words = f"{images}validation images {fitted.get('data', '')}".rstrip()
    return f"{words}{f' ({conditions})' if conditions else ''}{alarms}"
