"""Logs of a campaign in, Markdown tables out: ``python benchmarks/campaigns/summarize.py benchmarks/campaigns/first``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tabulate import tabulate

EPOCH = {
    "epoch": "epoch", "lr": "lr", "train_loss": "train loss", "val_loss": "val loss", "val_accuracy": "val accuracy",
    "val_accuracy_real": "real", "val_accuracy_fake": "fake", "val_ap": "val AP", "images_per_second": "images/s",
}  # fmt: skip


def main(folder: Path) -> None:
    """Print one table of the generators and one of the detectors' epochs, where there are any."""
    files = sorted(folder.glob("*.jsonl"), key=lambda file: file.stem)
    logs = {file.stem: [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] for file in files}
    generators = {name: lines for name, lines in logs.items() if "step" in lines[0]}
    detectors = {name: lines for name, lines in logs.items() if "epoch" in lines[0]}
    if generators:
        print(tabulate([_losses(*item) for item in generators.items()], ["generator", "steps", "minutes logged", "first loss", "last loss"],
                       tablefmt="github"), end="\n\n")  # fmt: skip
    if detectors:
        # One detector needs no column for its name.
        named = {"name": "detector"} if len(detectors) > 1 else {}
        lines = [{**line, "name": name} for name, epochs in detectors.items() for line in epochs]
        rows = [[line[key] for key in (named | EPOCH)] for line in lines]
        print(tabulate(rows, (named | EPOCH).values(), tablefmt="github", floatfmt=".4g"))


def _losses(name: str, lines: list[dict]) -> list[object]:
    losses = [key for key in lines[0] if key not in ("step", "seconds", "px", "alpha")]
    first, last = (", ".join(f"{key} {line[key]:.3f}" for key in losses if key in line) for line in (lines[0], lines[-1]))
    return [name, lines[-1]["step"], round(sum(line["seconds"] for line in lines) / 60), first, last]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
