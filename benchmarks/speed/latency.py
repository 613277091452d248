"""How long a user waits: one image in a warm process, the first call of a cold one, the embedded suite, and its report.

    python benchmarks/speed/latency.py --out benchmarks/speed/latency.json

Processor seconds are of all threads and processes; wall seconds count only where nothing else runs. The report is made from the stored
scores of every detector, with nothing kept from an earlier one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scoring import draw

# Seconds that the project asks for: of the wall, and of the processor for the report.
BARS = {"score() of one image, warm": 0.060, "first score() of a cold process": 4.0, "bench of mini": 15.0, "report of mini": 180.0}
WARM, COLD, BENCH, REPORT = BARS


def main() -> None:
    """Measure, print a line each, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", metavar="NAME|FILE", help="repeatable (default: the bundled one)")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--without-bench", action="store_true")
    parser.add_argument("--without-report", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = []
    for detector in options.detector or [None]:
        rows += measure(detector, options)
    if not options.without_report:
        rows.append(report())
    options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def measure(detector: str | None, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of one detector."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        (image,) = draw(Path(folder) / "image", "224")[:1]
        chosen = f"detector={detector!r}, device='cpu', backend={options.backend!r}, precision={options.precision!r}"
        cold = f"import cnndetect; cnndetect.score({image!r}, {chosen})"
        warm = (
            f"import json, time; from cnndetect import score; from cnndetect.scoring import load_detector; loaded = load_detector({chosen})\n"
            f"times = []\nfor _ in range(6):\n    cpu, wall = time.process_time(), time.perf_counter(); score({image!r}, detector=loaded)\n"
            "    times.append((time.process_time() - cpu, time.perf_counter() - wall))\n"
            "print(json.dumps([loaded.name, loaded.backend, min(t[0] for t in times[1:]), min(t[1] for t in times[1:])]))"
        )
        bench = (
            f"import cnndetect; cnndetect.benchmark({detector!r}, 'mini', results={folder!r}, device='cpu', "
            f"backend={options.backend!r}, precision={options.precision!r})"
        )
        name, backend, cpu, wall = json.loads(run(warm)[2])
        rows.append({"what": WARM, "cpu_s": cpu, "wall_s": wall})
        for what, code in ((COLD, cold), *([] if options.without_bench else [(BENCH, bench)])):
            cpu, wall, _ = run(code)
            rows.append({"what": what, "cpu_s": cpu, "wall_s": wall})
    return [told(row, name, f"{backend}/{options.precision}") for row in rows]


def report() -> dict[str, Any]:
    """The report of the embedded suite, all sections."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CNNDETECT_KEPT"] = f"{folder}/kept"
        words = ["report", "--suite", "mini", "--out", f"{folder}/report"]
        cpu, wall, _ = run(f"import sys; from cnndetect.cli.main import main; sys.exit(main({words!r}))")
    return told({"what": REPORT, "cpu_s": cpu, "wall_s": wall}, "all with stored scores", "-")


def told(row: dict[str, Any], detector: str, backend: str) -> dict[str, Any]:
    """The whole row, printed."""
    row |= {"detector": detector, "backend": backend, "bar_s": BARS[row["what"]]}
    print(f"{detector} {backend}: {row['what']} {row['cpu_s']:.3f} s of processor, {row['wall_s']:.3f} s, bar {row['bar_s']}", flush=True)
    return row


def run(code: str) -> tuple[float, float, str]:
    """Processor and wall seconds of a process of its own, and what it printed."""
    before, started = _children(), time.perf_counter()
    printed = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout
    return _children() - before, time.perf_counter() - started, printed


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
