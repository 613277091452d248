"""Draws a finished ablation grid without training: records, logs, and results of cells with known quality."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from cnndetect.ablation.cells import Condition, cell_name
from cnndetect.bench.results import result_of
from tests.drawn_results import drawn_scores

FAMILIES = ("crn", "san", "deepfake")
CLASS_NAMES = ("bird", "cat", "dog", "horse", "sheep", "table", "train", "zebra")

# Gap between the logits of reals and fakes, on most families and on SAN and Deepfake: what the paper found.
AS_PUBLISHED = {
    ("none", "all"): (1.0, 2.6), ("blur", "all"): (0.2, 0.6), ("jpeg", "all"): (2.4, 2.2), ("blur-jpeg-0.5", "all"): (3.6, 0.2),
    ("blur-jpeg-0.1", "all"): (3.4, 0.4), ("blur-jpeg-0.1", "2"): (0.1, 0.1), ("blur-jpeg-0.1", "4"): (3.4, 0.4),
}  # fmt: skip

Gaps = Mapping[tuple[str, str], tuple[float, float]]


def draw_grid(root: Path, *, gaps: Gaps = AS_PUBLISHED, seeds: Sequence[int] = (0, 1, 2), per_class: int = 60, twins: bool = False) -> Path:
    """ROOT/runs and ROOT/results of trunk npr. twins: cells with equal gaps and seeds have equal logits."""
    for (augmentation, classes), (most, blurred) in gaps.items():
        for seed in seeds:
            name = cell_name(Condition("npr", augmentation, classes), seed)
            digest = hashlib.sha256(name.encode()).hexdigest()
            _draw_run(root / "runs" / name, classes, seed, digest)
            for family in FAMILIES:
                gap = (blurred if family in ("san", "deepfake") else most) + 0.05 * seed
                scores = drawn_scores(f"s{seed}" if twins else name, family, "none", "nocrop", "drawn@1", per_class, gap=gap)
                scores = replace(scores, provenance=msgspec.structs.replace(scores.provenance, detector=name, weights_sha256=digest))
                path = root / "results" / name / f"{family}.nocrop.json"
                scores.save(path.with_suffix(".npz"))
                result_of(scores, draws=5, seed=0).save(path)
    return root


def _draw_run(folder: Path, classes: str, seed: int, digest: str) -> None:
    folder.mkdir(parents=True)
    names = CLASS_NAMES if classes == "all" else CLASS_NAMES[: int(classes)]
    counts = {name: {"real": 40, "fake": 40} for name in names}
    images = 40 * len(names)
    log = [
        {"epoch": epoch, "steps": -(-2 * images // 64), "lr": 2e-4 * 0.9 ** (epoch // 2), "val_accuracy": 0.5 + 0.04 * epoch + 0.01 * seed,
         "val_ap": 0.6 + 0.03 * epoch, "seconds": 3.0, "partial": False}
        for epoch in range(8)
    ]  # fmt: skip
    record = {
        "recipe": "mini-npr", "arch": "npr", "initialisation": f"random (seed {seed})", "config": {"batch_size": 64, "balance": "none"},
        "data": {
            "train": {"real": images, "fake": images, "classes": counts, "fingerprint": "f" * 64},
            "val": {"real": 10, "fake": 10, "classes": counts, "fingerprint": "e" * 64},
        },
        "epochs": 8, "best_epoch": 7, "best": log[-1], "seconds": 24.0, "stop_reason": "max_epochs", "device": "cpu",
        "weights_sha256": digest, "threshold_logit": 0.0,
    }  # fmt: skip
    command = f"python -m cnndetect.train --data DATA --out RUNS --name {folder.name} --recipe mini-npr --seed {seed}"
    (folder / "record.json").write_text(json.dumps(record))
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    (folder / "cell.json").write_text(json.dumps({"command": command}))
