"""The benchmark: run detectors on suites, store their scores and results, and build the leaderboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnndetect.lazy import exports

if TYPE_CHECKING:
    from cnndetect.bench.results import Result
    from cnndetect.bench.run import Benchmark, benchmark
    from cnndetect.bench.standings import differences
    from cnndetect.bench.suites import find_suites

__all__ = ["Benchmark", "Result", "benchmark", "differences", "find_suites"]

__getattr__, __dir__ = exports(
    __name__,
    {
        "Benchmark": "cnndetect.bench.run",
        "Result": "cnndetect.bench.results",
        "benchmark": "cnndetect.bench.run",
        "differences": "cnndetect.bench.standings",
        "find_suites": "cnndetect.bench.suites",
    },
)
