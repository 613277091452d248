"""Analyses of scored sets: robustness, false alarms, fakeness and quality, explanations, spectra, and the audit of a test set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnndetect.lazy import exports

if TYPE_CHECKING:
    from cnndetect.analysis.audit.verdict import audit_set

__all__ = ["audit_set"]

__getattr__, __dir__ = exports(
    __name__,
    {
        "audit_set": "cnndetect.analysis.audit.verdict",
    },
)
