"""Figures and intervals of stored scores made again, where the way they are made has changed: no network, no image.

    python benchmarks/renew_results.py benchmarks/results

The figures may not move; a file whose figures would is named and left as it is.
"""

from __future__ import annotations

import math
import sys
from dataclasses import fields, replace
from pathlib import Path

import msgspec

from cnndetect.bench.results import Result, method_of, read_result, result_of
from cnndetect.bench.store import result_files
from cnndetect.metrics.intervals import SetMetrics
from cnndetect.scoring.scores import read_scores


def main(folders: list[str]) -> int:
    """Renew every result below the folders; 0 done, 1 where figures would have moved."""
    moved, renewed = 0, 0
    names = [field.name for field in fields(SetMetrics)]
    for path in [path for folder in folders for path in result_files(Path(folder))]:
        stored = read_result(path)
        scores = read_scores(path.with_suffix(".npz"))
        if stored.intervals == method_of(scores):
            continue
        fresh = result_of(scores, draws=stored.draws, seed=stored.seed)
        if any(abs(_value(stored, name) - _value(fresh, name)) > 1e-12 for name in names):
            print(f"{path}: the figures would move", file=sys.stderr)
            moved += 1
            continue
        # To the last digit: another processor's sums may differ there.
        kept = {name: replace(getattr(fresh.metrics, name), value=getattr(stored.metrics, name).value) for name in names}
        msgspec.structs.replace(stored, metrics=SetMetrics(**kept), intervals=fresh.intervals).save(path)
        renewed += 1
    print(f"renewed {renewed} results")
    return int(moved > 0)


def _value(result: Result, name: str) -> float:
    value = getattr(result.metrics, name).value
    return 0.0 if math.isnan(value) else value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
