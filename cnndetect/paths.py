"""Where files are found: an argument decides, else an environment variable, else one documented default.

| what                    | environment variable | default                                        |
|-------------------------|----------------------|------------------------------------------------|
| embedded suite          | CNNDETECT_MINI       | benchmarks/mini of the checkout or the wheels  |
| bundled weights         | CNNDETECT_WEIGHTS    | weights of the checkout or the wheels          |
| official weights        | CNNDETECT_OFFICIAL   | CACHE/official                                 |
| results shipped with us | CNNDETECT_REFERENCE  | benchmarks/results of the checkout or wheels   |
| published figures       | CNNDETECT_REPORTED   | benchmarks/reported.json of checkout or wheels |
| what a run writes       | CNNDETECT_RESULTS    | CACHE/results                                  |
| data sets               | CNNDETECT_DATA       | CACHE/data                                     |
| ranges of own weights   | CNNDETECT_RANGES     | CACHE/ranges                                   |
| what is kept for later  | CNNDETECT_KEPT       | CACHE/kept                                     |

CACHE is the user's cache folder: ~/.cache/cnndetect on Linux, below XDG_CACHE_HOME where that is set. The wheels are cnndetect,
with the weights, and cnndetect-mini (packages/mini in a checkout), with the embedded suite and its stored results.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from platformdirs import user_cache_path

# Below a results folder every writer has a sub-folder of its own: the bench, its limited trials, false alarms, training runs,
# speeds of detectors, audits of test sets.
RESULTS, TRIALS, ALARMS, RUNS, SPEEDS, AUDITS = "results", "not-a-result", "alarms", "runs", "speed", "audits"
OLD_RUNS = "train"  # where older versions kept training runs

_PACKAGE = Path(__file__).resolve().parent

# The embedded suite is a distribution of its own, so that a wheel for scoring stays small.
GET_MINI = "python -m pip install ./packages/mini in a checkout of cnndetect, or CNNDETECT_MINI=FOLDER for a copy"


def mini_root(given: str | Path | None = None) -> Path:
    """Folder of the embedded suite."""
    return _choose(given, "CNNDETECT_MINI", _shipped("benchmarks/mini"))


def weights_root(given: str | Path | None = None) -> Path:
    """Folder of the bundled weights."""
    return _choose(given, "CNNDETECT_WEIGHTS", _shipped("weights"))


def official_root(given: str | Path | None = None) -> Path:
    """Folder of the official weights that the user fetched."""
    return _choose(given, "CNNDETECT_OFFICIAL", _cache() / "official")


def reference_results_root(given: str | Path | None = None) -> Path:
    """Folder of the result files that ship with the package (read only for users)."""
    return _choose(given, "CNNDETECT_REFERENCE", _shipped("benchmarks/results"))


def reported_file(given: str | Path | None = None) -> Path:
    """File of the figures that others published."""
    return _choose(given, "CNNDETECT_REPORTED", _shipped("benchmarks/reported.json"))


def results_root(given: str | Path | None = None) -> Path:
    """Folder where a benchmark run writes scores and results."""
    return _choose(given, "CNNDETECT_RESULTS", _cache() / "results")


def data_root(given: str | Path | None = None) -> Path:
    """Folder of the data sets, one sub-folder per data set (see cnndetect/data/official/catalog.py)."""
    return _choose(given, "CNNDETECT_DATA", _cache() / "data")


def ranges_root(given: str | Path | None = None) -> Path:
    """Folder of the ranges of activations of the user's own weights (backends/ranges.py)."""
    return _choose(given, "CNNDETECT_RANGES", _cache() / "ranges")


def kept_root(given: str | Path | None = None) -> Path:
    """Folder of what reports compute once; it may be deleted at any time."""
    return _choose(given, "CNNDETECT_KEPT", _cache() / "kept")


def _choose(given: str | Path | None, variable: str, default: Path) -> Path:
    if given is not None:
        return Path(given)
    return Path(os.environ[variable]) if os.environ.get(variable) else default


def _cache() -> Path:
    return user_cache_path("cnndetect", appauthor=False)


def _shipped(relative: str) -> Path:
    """The first that exists of: the installed package, the installed data package, the checkout (which need not)."""
    inside = _PACKAGE / "_assets" / relative
    data = find_spec("cnndetect_mini")
    beside = [Path(place) / relative for place in data.submodule_search_locations or ()] if data else []
    return next((place for place in (inside, *beside) if place.exists()), _PACKAGE.parent / relative)
