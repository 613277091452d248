"""Score images for traces of CNN generators, and compare detectors of them: see ``score``, ``load``, ``benchmark``.

The public names are the list below. They are imported when first used, so that ``import cnndetect`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnndetect.bench.run import benchmark
    from cnndetect.bench.suites import list_suites
    from cnndetect.bulk.run import score_dataset
    from cnndetect.detectors.registry import list_detectors, load
    from cnndetect.scoring import score

__all__ = ["benchmark", "list_detectors", "list_suites", "load", "score", "score_dataset"]
__version__ = "0.1.0"

_HOMES = {
    "benchmark": "cnndetect.bench.run",
    "list_detectors": "cnndetect.detectors.registry",
    "list_suites": "cnndetect.bench.suites",
    "load": "cnndetect.detectors.registry",
    "score": "cnndetect.scoring",
    "score_dataset": "cnndetect.bulk.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cnndetect' has no attribute {name!r}. Public: {', '.join(__all__)}.")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
