"""The report: one self-contained HTML page with figures and tables, made from stored scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnndetect.lazy import exports

if TYPE_CHECKING:
    from cnndetect.report.build import build_report
    from cnndetect.report.figures.curves import roc
    from cnndetect.report.figures.histograms import histograms
    from cnndetect.report.inputs import read_inputs

__all__ = ["build_report", "histograms", "read_inputs", "roc"]

__getattr__, __dir__ = exports(
    __name__,
    {
        "build_report": "cnndetect.report.build",
        "histograms": "cnndetect.report.figures.histograms",
        "read_inputs": "cnndetect.report.inputs",
        "roc": "cnndetect.report.figures.curves",
    },
)
