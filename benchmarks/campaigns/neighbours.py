"""What the detectors of scripts/campaigns/neighbours.json reach: figures of stored scores and training records, as JSON.

    python benchmarks/campaigns/neighbours.py --train runs/train --results runs/neighbours --out benchmarks/campaigns/neighbours.json

RESULTS holds what the bench wrote for each TRAIN/NAME/best.safetensors and TRAIN/NAME.fusion.json on mini and on public, and on public
after JPEG 90. Rows of OUT that were not measured again stay.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np

from cnndetect.bench.results import read_result
from cnndetect.detectors.fusion import read_fusion
from cnndetect.detectors.run_record import read_run
from cnndetect.errors import DataError
from cnndetect.files import sha256_of, write_json
from cnndetect.metrics.intervals import jackknife
from cnndetect.paths import RESULTS
from cnndetect.scoring.scores import read_scores

FUSION_FILE = ".fusion.json"


def main() -> int:
    """Read, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="folder of the runs, and of NAME.fusion.json")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = options.results / RESULTS
    runs = [
        folder for folder in sorted(options.train.iterdir()) if (found / folder.name).is_dir() and (folder / "best.safetensors").exists()
    ]
    rows = [figures(found / run.name, **of_run(run)) for run in runs]
    sums = {path: found / path.name.removesuffix(FUSION_FILE) for path in sorted(options.train.glob("*" + FUSION_FILE))}
    rows += [figures(folder, **of_fusion(path)) for path, folder in sums.items() if folder.is_dir()]
    measured = {row["detector"] for row in rows}
    earlier = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else []
    write_json(options.out, sorted([*rows, *(row for row in earlier if row["detector"] not in measured)], key=lambda row: row["detector"]))
    return 0


def of_run(run: Path) -> dict:
    """What the record of a training says."""
    record = read_run(run)
    return {
        "weights_sha256": record.weights_sha256, "seed": record.seed, "images_seen": record.best.get("images_seen", record.images_seen),
        "validation_auc": record.best.get("val_auc"),
    }  # fmt: skip


def of_fusion(path: Path) -> dict:
    """What the file of a sum says. Its members are trained, it is not."""
    members = {Path(member.detector).parent.name: member.weight for member in read_fusion(path).members}
    return {"weights_sha256": sha256_of(path), "members": members, "images_seen": None, "validation_auc": None}


def figures(found: Path, *, weights_sha256: str | None, **known: object) -> dict:
    """One row. Raises DataError where a stored result is of other weights."""
    sets = {
        "mini": sorted(found.glob("*.nocrop.json")),
        "public": sorted((found / "public").glob("*.nocrop.json")),
        "jpeg_90": sorted((found / "public").glob("*.jpeg_90.json")),
    }
    results = {name: [read_result(path) for path in paths] for name, paths in sets.items()}
    for path, result in zip(chain(*sets.values()), chain(*results.values()), strict=True):
        if result.provenance.weights_sha256 != weights_sha256:
            raise DataError(f"{path} is of other weights than the run. Run the bench again.")

    def macro(name: str) -> dict:
        return asdict(jackknife([read_scores(path.with_suffix(".npz")).at_worst() for path in sets[name]]).macro)

    def auc(name: str) -> float:
        return float(np.mean([result.metrics.auc.value for result in results[name]]))

    return {
        "detector": found.name, "weights_sha256": weights_sha256, **known, "mini_ap": macro("mini"), "public_ap": macro("public"),
        "public_auc": auc("public"), "public_auc_jpeg_90": auc("jpeg_90"),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
