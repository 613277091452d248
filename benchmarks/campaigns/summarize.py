"""Logs of a campaign in, Markdown tables out: ``python benchmarks/campaigns/summarize.py benchmarks/campaigns/first``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tabulate import tabulate

DETECTOR = "detector"


def main(folder: Path) -> None:
    """Print one table of the generators and one of the detector's epochs."""
    rows = []
    for file in sorted(folder.glob("*.jsonl")):
        if file.stem == DETECTOR:
            continue
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        losses = [key for key in lines[0] if key not in ("step", "seconds", "px", "alpha")]
        first, last = (", ".join(f"{key} {line[key]:.3f}" for key in losses if key in line) for line in (lines[0], lines[-1]))
        rows.append([file.stem, lines[-1]["step"], round(sum(line["seconds"] for line in lines) / 60), first, last])
    print(tabulate(rows, ["generator", "steps", "minutes logged", "first loss", "last loss"], tablefmt="github"), end="\n\n")

    if not (folder / f"{DETECTOR}.jsonl").exists():
        return
    names = {
        "epoch": "epoch", "lr": "lr", "train_loss": "train loss", "val_loss": "val loss", "val_accuracy": "val accuracy",
        "val_accuracy_real": "real", "val_accuracy_fake": "fake", "val_ap": "val AP", "images_per_second": "images/s",
    }
    lines = [json.loads(line) for line in (folder / f"{DETECTOR}.jsonl").read_text(encoding="utf-8").splitlines()]
    print(tabulate([[line[key] for key in names] for line in lines], names.values(), tablefmt="github", floatfmt=".4g"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
