"""Where things lie: an argument, else an environment variable, else one documented default.

| what                    | environment variable | default                                        |
|-------------------------|----------------------|------------------------------------------------|
| embedded suite          | CNNDETECT_MINI       | benchmarks/mini of the checkout or the wheel   |
| bundled weights         | CNNDETECT_WEIGHTS    | weights of the checkout or the wheel           |
| results shipped with us | CNNDETECT_REFERENCE  | benchmarks/results of the checkout or wheel    |
| what a run writes       | CNNDETECT_RESULTS    | ~/.cache/cnndetect/results                     |
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def mini_root(given: str | Path | None = None) -> Path:
    """Folder of the embedded suite."""
    return _choose(given, "CNNDETECT_MINI", _shipped("benchmarks/mini"))


def weights_root(given: str | Path | None = None) -> Path:
    """Folder of the bundled weights."""
    return _choose(given, "CNNDETECT_WEIGHTS", _shipped("weights"))


def reference_results_root(given: str | Path | None = None) -> Path:
    """Folder of the result files that ship with the package (read only for users)."""
    return _choose(given, "CNNDETECT_REFERENCE", _shipped("benchmarks/results"))


def results_root(given: str | Path | None = None) -> Path:
    """Folder where a benchmark run writes scores and results."""
    return _choose(given, "CNNDETECT_RESULTS", Path.home() / ".cache" / "cnndetect" / "results")


def _choose(given: str | Path | None, variable: str, default: Path) -> Path:
    if given is not None:
        return Path(given)
    return Path(os.environ[variable]) if os.environ.get(variable) else default


def _shipped(relative: str) -> Path:
    # A wheel carries the folders inside the package; a checkout has them beside it.
    inside = _PACKAGE / "_assets" / relative
    return inside if inside.is_dir() else _PACKAGE.parent / relative
