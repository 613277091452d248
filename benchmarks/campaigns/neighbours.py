"""What the detectors of scripts/campaigns/neighbours.json reach: figures of stored scores and training records, as JSON.

    python benchmarks/campaigns/neighbours.py --train runs/train --results runs/neighbours --out benchmarks/campaigns/neighbours.json

RESULTS holds what the bench wrote for each TRAIN/NAME/best.safetensors on mini and on public, and on public after JPEG 90.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cnndetect.bench.results import read_result
from cnndetect.detectors.run_record import read_run
from cnndetect.errors import DataError
from cnndetect.files import write_json
from cnndetect.metrics.intervals import jackknife
from cnndetect.paths import RESULTS
from cnndetect.scoring.scores import read_scores


def main() -> int:
    """Read, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [row(folder, options.results / RESULTS) for folder in sorted(options.train.iterdir()) if (folder / "best.safetensors").exists()]
    write_json(options.out, rows)
    return 0


def row(run: Path, results: Path) -> dict:
    """One detector. Raises DataError where its results are of other weights."""
    record = read_run(run).as_json()
    found = results / run.name
    clean = {"mini": sorted(found.glob("*.nocrop.json")), "public": sorted((found / "public").glob("*.nocrop.json"))}
    for path in (path for paths in clean.values() for path in paths):
        if read_result(path).provenance.weights_sha256 != record["weights_sha256"]:
            raise DataError(f"{path} is of other weights than {run}. Run the bench again.")
    return {
        "detector": run.name,
        "seed": record["seed"],
        "images_seen": record["images_seen"],
        "validation_auc": record["best"]["val_auc"],
        "weights_sha256": record["weights_sha256"],
        **{
            f"{suite}_ap": asdict(jackknife([read_scores(path.with_suffix(".npz")).at_worst() for path in paths]).macro)
            for suite, paths in clean.items()
        },
        "public_auc": mean_auc(clean["public"]),
        "public_auc_jpeg_90": mean_auc(sorted((found / "public").glob("*.jpeg_90.json"))),
    }


def mean_auc(paths: list[Path]) -> float:
    """Over test sets."""
    return float(np.mean([read_result(path).metrics.auc.value for path in paths]))


if __name__ == "__main__":
    sys.exit(main())
