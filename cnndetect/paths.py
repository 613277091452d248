"""Where things lie: an argument, else an environment variable, else one documented default.

| what                    | environment variable | default                                        |
|-------------------------|----------------------|------------------------------------------------|
| embedded suite          | CNNDETECT_MINI       | benchmarks/mini of the checkout or the wheel   |
| bundled weights         | CNNDETECT_WEIGHTS    | weights of the checkout or the wheel           |
| official weights        | CNNDETECT_OFFICIAL   | ~/.cache/cnndetect/official                    |
| results shipped with us | CNNDETECT_REFERENCE  | benchmarks/results of the checkout or wheel    |
| published figures       | CNNDETECT_REPORTED   | benchmarks/reported.json of checkout or wheel  |
| what a run writes       | CNNDETECT_RESULTS    | ~/.cache/cnndetect/results                     |
| official data           | CNNDETECT_DATA       | ~/.cache/cnndetect/data                        |
"""

from __future__ import annotations

import os
from pathlib import Path

# Below a results folder every writer has a sub-folder of its own: the bench, its limited trials, false alarms, training runs.
RESULTS, TRIALS, ALARMS, RUNS = "results", "not-a-result", "alarms", "runs"
OLD_RUNS = "train"  # where older versions kept training runs

_PACKAGE = Path(__file__).resolve().parent


def mini_root(given: str | Path | None = None) -> Path:
    """Folder of the embedded suite."""
    return _choose(given, "CNNDETECT_MINI", _shipped("benchmarks/mini"))


def weights_root(given: str | Path | None = None) -> Path:
    """Folder of the bundled weights."""
    return _choose(given, "CNNDETECT_WEIGHTS", _shipped("weights"))


def official_root(given: str | Path | None = None) -> Path:
    """Folder of the official weights that the user fetched."""
    return _choose(given, "CNNDETECT_OFFICIAL", Path.home() / ".cache" / "cnndetect" / "official")


def reference_results_root(given: str | Path | None = None) -> Path:
    """Folder of the result files that ship with the package (read only for users)."""
    return _choose(given, "CNNDETECT_REFERENCE", _shipped("benchmarks/results"))


def reported_file(given: str | Path | None = None) -> Path:
    """File of the figures that others published."""
    return _choose(given, "CNNDETECT_REPORTED", _shipped("benchmarks/reported.json"))


def results_root(given: str | Path | None = None) -> Path:
    """Folder where a benchmark run writes scores and results."""
    return _choose(given, "CNNDETECT_RESULTS", Path.home() / ".cache" / "cnndetect" / "results")


def data_root(given: str | Path | None = None) -> Path:
    """Folder of the official data, one sub-folder per data set (see cnndetect/data/official/catalog.py)."""
    return _choose(given, "CNNDETECT_DATA", Path.home() / ".cache" / "cnndetect" / "data")


def _choose(given: str | Path | None, variable: str, default: Path) -> Path:
    if given is not None:
        return Path(given)
    return Path(os.environ[variable]) if os.environ.get(variable) else default


def _shipped(relative: str) -> Path:
    # A wheel carries the folders inside the package; a checkout has them beside it.
    inside = _PACKAGE / "_assets" / relative
    return inside if inside.exists() else _PACKAGE.parent / relative
