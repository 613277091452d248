"""What was measured of the zoo in, the table of docs/zoo.md out.

python benchmarks/speed/zoo.py weights/zoo/*.pt > costs.jsonl
python -m cnndetect.zoo distance SUITE --floor FREE/generators > distances.json
python -m cnndetect.audit SUITE --json > audit.json
python benchmarks/campaigns/zoo_table.py weights/zoo costs.jsonl distances.json audit.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from tabulate import tabulate

from cnndetect.zoo.registry import FAMILIES


def main(weights: Path, costs: Path, distances: Path, audit: Path) -> None:
    """Print the table of families, in the order of the registry."""
    cost = {line["generator"]: line for line in map(json.loads, costs.read_text(encoding="utf-8").splitlines())}
    distance = json.loads(distances.read_text(encoding="utf-8"))
    audits = {one["name"]: one["ap"] for one in json.loads(audit.read_text(encoding="utf-8"))}
    rows = []
    for name, family in FAMILIES.items():
        if name not in cost:
            continue
        measured, checked = cost[name], audits.get(name)
        record = torch.load(weights / f"{name}.pt", map_location="cpu", weights_only=True)
        rows.append([
            f"`{name}`", family.title, family.trace, record["step"], f"{measured['parameters'] / 1e6:.2f} M",
            measured["seconds_per_1000"], measured["peak_mb"],
            f"{distance[name]['distance']:.0f}" if name in distance else "-",
            _figure(checked["metadata"]) if checked else "-", _figure(checked["statistics"]) if checked else "-",
        ])  # fmt: skip
    head = ["family", "after", "trace", "steps", "weights", "s / 1,000 images", "peak MB", "distance", "AP by files", "AP by statistics"]
    print(tabulate(rows, head, tablefmt="github", disable_numparse=True))
    floor = distance.get("photographs")
    if floor:
        print(f"\nDistance of other photographs to the same reals, the floor: {floor['distance']:.0f} ({floor['images']} images).")


def _figure(interval: dict[str, float]) -> str:
    return f"{interval['value']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
