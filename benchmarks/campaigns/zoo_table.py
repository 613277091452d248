"""Print the tables of docs/zoo.md: the families of a suite, then the decoders that painted the resynthesised ones.

python -m cnndetect.audit mini --json > audit.json
python benchmarks/campaigns/zoo_table.py benchmarks/mini audit.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tabulate import tabulate

from cnndetect.data.folders import scan
from cnndetect.images import packs
from cnndetect.zoo.registry import FAMILIES

HEAD = ["family", "after", "made", "trace", "photographs", "AP by files", "AP by statistics", "strongest statistic (AUC)"]
DECODERS = ["family", "seed", "first map", "width", "weights", "steps", "L1", "sharpness"]


def main(suite: Path, audit: Path) -> None:
    """Print both tables, families in the order of the registry."""
    audits = {one["name"]: one for one in json.loads(audit.read_text(encoding="utf-8"))}
    families, decoders = [], []
    for name, family in FAMILIES.items():
        if name not in audits:
            continue
        record = json.loads(packs.read(suite / name / "record.json"))
        alone = audits[name]["auc_of_each_statistic"]
        strongest = max(alone, key=lambda key: abs(alone[key] - 0.5))
        figures = [_figure(audits[name]["ap"][key]) for key in ("metadata", "statistics")]
        photographs = len({sample.cluster for sample in scan(suite / name)})
        families.append(
            [f"`{name}`", family.title, record["mode"], family.trace, photographs, *figures, f"{strongest} {alone[strongest]:.2f}"]
        )
        for one in record.get("decoders", ()):
            quality, config = one["quality"], one["config"]
            decoders.append([
                name, one["seed"], f"{config['start_px']} px", config["width"], one["weights"], one["steps"], f"{quality['l1']:.3f}",
                f"{quality['sharpness']:.2f}",
            ])  # fmt: skip
    print(tabulate(families, HEAD, tablefmt="github", disable_numparse=True))
    print()
    print(tabulate(decoders, DECODERS, tablefmt="github", disable_numparse=True))


def _figure(interval: dict[str, float | None]) -> str:
    if interval["low"] is None:
        return f"{interval['value']:.2f} [-]"
    return f"{interval['value']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
