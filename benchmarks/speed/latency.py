"""How long a user waits: one image in a warm process, the first call of a cold one, and the embedded suite.

    python benchmarks/speed/latency.py --out benchmarks/speed/latency.json

Processor seconds are of all threads; wall seconds count only where nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scoring import draw

# Wall seconds that the project asks for.
BARS = {"score() of one image, warm": 0.060, "first score() of a cold process": 4.0, "bench of mini": 15.0}
WARM, COLD, BENCH = BARS


def main() -> None:
    """Measure, print a line each, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", metavar="NAME|FILE", help="repeatable (default: the bundled one)")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--without-bench", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = []
    for detector in options.detector or [None]:
        rows += measure(detector, options)
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
    for row in rows:
        row |= {"detector": name, "backend": f"{backend}/{options.precision}", "bar_s": BARS[row["what"]]}
        print(f"{name} {backend}: {row['what']} {row['cpu_s']:.3f} s of processor, {row['wall_s']:.3f} s, bar {row['bar_s']}", flush=True)
    return rows


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
