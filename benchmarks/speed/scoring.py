"""What scoring costs: every backend beside the official code's network, at several sizes, with the limit that the machine sets.

    python benchmarks/speed/scoring.py --out docs/figures/performance.json
    python benchmarks/speed/scoring.py --detector progan8-npr --sizes 64,224 --way onnxruntime/float32 --out npr.json

Every way of scoring runs in a process of its own, or with --one-process all in this one, which needs a fifth of the memory and
cannot tell their peaks apart. Their repetitions are interleaved, so that all of them meet the same load, and
what is compared is processor time, decoding included; the least of the repetitions counts. benchmarks/speed/page.py makes
docs/performance.md and its plot of the JSON file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import contender
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
OFFICIAL = "official"
WAYS = (
    "torch/float32", "torch/bfloat16", "onnxruntime/float32", "onnxruntime/int8", "openvino/float32", "openvino/bfloat16", "openvino/int8",
)  # fmt: skip
MIXED = "mixed"

# Images of each size in one repetition have about as many pixels: 32 of 224 px, one of 1,024 px.
PIXELS = 1_610_000


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", metavar="NAME|FILE", help="repeatable (default: the first bundled ResNet-50)")
    parser.add_argument("--sizes", default=f"64,224,1024,{MIXED}", metavar="PX,PX", help="sides, or mixed (default: %(default)s)")
    parser.add_argument("--way", action="append", metavar="BACKEND/PRECISION", help=f"repeatable (default: {', '.join(WAYS)})")
    parser.add_argument("--ranges", metavar="FILE", help="for int8, of weights that have none stored")
    parser.add_argument("--official-code", metavar="DIR", help="a checkout of the official code (default: torchvision's ResNet-50)")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="most images of a size (default: 32, a batch of the official program)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one-process", action="store_true", help="all ways in this process; no peak memory")
    parser.add_argument("--no-gemm", action="store_true", help="leave out the limit of the machine")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON; sizes and detectors are added to what it has")
    options = parser.parse_args()
    content = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {"detectors": {}}
    if not options.no_gemm:
        content["machine"] = machine()
    with tempfile.TemporaryDirectory() as folder:
        for detector in options.detector or [first_resnet50()]:
            for _ in measure(content, detector, options, Path(folder)):
                options.out.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def measure(content: dict[str, Any], detector: str, options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Every size by every way, for one detector; the sizes, as they are done."""
    from cnndetect.detectors.registry import load

    loaded = load(detector, device="cpu")
    kept = content["detectors"].setdefault(loaded.name, {"sizes": {}})
    kept |= {"network": type(loaded.network).__name__, "flops_224": flops(loaded.network)}
    ways = [*([OFFICIAL] if kept["network"] == "OneLogitResNet50" else []), *(options.way or WAYS)]
    started = {way: start(way, detector, options) for way in ways}
    workers = {way: worker for way, worker in started.items() if ready(way, worker)}
    for size in options.sizes.split(","):
        files = draw(folder / size, size, most=options.batch)
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in workers}
        for repetition in range(-1, options.repetitions):
            for way, worker in workers.items():
                if repetition >= 0:
                    found[way].append(ask(worker, files))
                elif len(files) > 1:  # what is built for a first image is small beside a very large one
                    ask(worker, files[:1])
        reference = np.array(found["torch/float32" if "torch/float32" in found else ways[0]][0]["logits"])
        kept["sizes"][size] = rows = {
            way: {
                "cpu_s": min(one["cpu_s"] for one in answers) / len(files),
                "wall_s": min(one["wall_s"] for one in answers) / len(files),
                "peak_gb": answers[-1].get("peak_gb"),
                "largest_difference": float(np.abs(np.array(answers[0]["logits"]) - reference).max()),
                "images": len(files),
            }
            for way, answers in found.items()
        }
        first = rows.get(OFFICIAL, rows.get("torch/float32"))
        for way, row in rows.items():
            ratio = f"{first['cpu_s'] / row['cpu_s']:6.2f}x" if first else ""
            print(
                f"{loaded.name} {size:>6} px {way:22} {1 / row['cpu_s']:9.2f} images/s of a core {ratio} "
                f"{row['peak_gb'] or float('nan'):5.2f} GB  off by {row['largest_difference']:.1e}",
                flush=True,
            )
        yield size
    for worker in workers.values():
        if isinstance(worker, subprocess.Popen):
            worker.communicate()


def start(way: str, detector: str, options: argparse.Namespace) -> subprocess.Popen | contender.Run:
    """The process of a way, or its function."""
    backend, _, precision = way.partition("/")
    spec = {
        "official": way == OFFICIAL, "detector": detector, "backend": backend, "precision": precision, "threads": options.threads,
        "ranges": options.ranges, "code": options.official_code,
    }  # fmt: skip
    if options.one_process:
        return contender.made(spec)
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    command = [sys.executable, str(HERE / "contender.py"), json.dumps(spec)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ready(way: str, worker: subprocess.Popen | contender.Run) -> bool:
    """Wait until a way can be asked; False, with its reason on stderr, where it cannot be had."""
    if not isinstance(worker, subprocess.Popen):
        return True
    if worker.stdout and worker.stdout.readline():
        return True
    words = (worker.communicate()[1].strip().splitlines() or ["it ended without a word"])[-1]
    print(f"{way}: not measured ({words})", file=sys.stderr)
    return False


def ask(worker: subprocess.Popen | contender.Run, files: list[str]) -> dict[str, Any]:
    """One request, answered."""
    if not isinstance(worker, subprocess.Popen):
        return contender.cost(worker, files)
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(json.dumps({"files": files}) + "\n")
    worker.stdin.flush()
    return json.loads(worker.stdout.readline())


def draw(folder: Path, size: str, *, most: int = 32) -> list[str]:
    """JPEG files of drawn photographs, smooth content and noise: of one side, or all of different sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    if size == MIXED:
        sides = [(int(rng.integers(96, 321)), int(rng.integers(96, 321))) for _ in range(12)]
    else:
        sides = [(int(size), int(size))] * min(most, max(1, PIXELS // int(size) ** 2))
    files = []
    for index, (height, width) in enumerate(sides):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
        noise = rng.integers(-8, 9, smooth.shape, dtype=np.int16)
        path = folder / f"{index}.jpg"
        Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)).save(path, quality=92)
        files.append(str(path))
    return files


def machine() -> dict[str, Any]:
    """What one core can do at most: the speed of large matrix products, in billions of operations a second of processor time."""
    import torch

    torch.set_num_threads(1)
    rates = {}
    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        a, b = (torch.randn(1024, 1024).to(kind) for _ in range(2))
        a @ b
        seconds = []
        for _ in range(5):
            started = time.process_time()
            a @ b
            seconds.append(time.process_time() - started)
        rates[name] = 2 * 1024**3 / min(seconds) / 1e9
    model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="ascii") if "model name" in line), "unknown")
    return {"processor": model, "cores": os.cpu_count(), "gemm_gflops": rates, "load": os.getloadavg()[0], "torch": torch.__version__}


def flops(network: Any) -> float:
    """Operations of one image of 224 px, multiplications and additions counted singly."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 224, 224))
    return counter.get_total_flops()


def first_resnet50() -> str:
    """The first bundled ResNet-50: the one whose weights the official network can take."""
    from cnndetect.detectors.records import registered

    return next((name for name, record in registered().items() if record.network == "resnet50"), "")


if __name__ == "__main__":
    main()
