"""Score images for traces of CNN generators, and compare detectors of them: see ``score``, ``load``, ``benchmark``.

The public names are the list below: functions first, then the records that they return, for annotations.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cnndetect.lazy import exports

if sys.argv[:1] == ["-m"]:  # only while `python -m cnndetect...` starts
    from cnndetect.programs import refuse_others

    refuse_others(sys.orig_argv)

if TYPE_CHECKING:
    from cnndetect.analysis.explain import explain
    from cnndetect.bench.results import Result
    from cnndetect.bench.run import Benchmark, benchmark
    from cnndetect.bench.suites import list_suites
    from cnndetect.bulk.run import score_dataset
    from cnndetect.detectors.base import Detector
    from cnndetect.detectors.registry import list_detectors, load
    from cnndetect.metrics.intervals import Interval
    from cnndetect.scoring import score

__all__ = [
    "benchmark", "explain", "list_detectors", "list_suites", "load", "score", "score_dataset", "Benchmark", "Detector", "Interval", "Result",
]  # fmt: skip
__version__ = "0.1.0"

__getattr__, __dir__ = exports(
    __name__,
    {
        "benchmark": "cnndetect.bench.run",
        "explain": "cnndetect.analysis.explain",
        "list_detectors": "cnndetect.detectors.registry",
        "list_suites": "cnndetect.bench.suites",
        "load": "cnndetect.detectors.registry",
        "score": "cnndetect.scoring",
        "score_dataset": "cnndetect.bulk.run",
        "Benchmark": "cnndetect.bench.run",
        "Detector": "cnndetect.detectors.base",
        "Interval": "cnndetect.metrics.intervals",
        "Result": "cnndetect.bench.results",
    },
)
