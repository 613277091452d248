"""One way of scoring, in a process of its own, for benchmarks/speed/scoring.py: it answers every request on stdin with its cost.

A process of its own has its own peak memory, and requests to several processes can be interleaved, so that all of them meet the
same load of the machine.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Run = Callable[[Sequence[str]], list[float]]


def main() -> None:
    """Read {"files": [...]} line by line; print the logits with processor seconds, wall seconds and peak memory."""
    run = made(json.loads(sys.argv[1]))
    print(json.dumps({"ready": usage()}), flush=True)
    for line in sys.stdin:
        print(json.dumps({**cost(run, json.loads(line)["files"]), **usage()}), flush=True)


def made(spec: dict[str, Any]) -> Run:
    """The way of scoring that a specification describes."""
    return official(**spec) if spec.pop("official") else ours(**spec)


def cost(run: Run, files: Sequence[str]) -> dict[str, Any]:
    """Score files; their logits with processor and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    logits = run(files)
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall, "logits": logits}


def usage() -> dict[str, float]:
    """Processor seconds of the process so far, and its peak memory."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"process_s": used.ru_utime + used.ru_stime, "peak_gb": used.ru_maxrss * 1024 / 1e9}  # Linux counts kibibytes


def ours(*, detector: str, backend: str, precision: str, threads: int, ranges: str | None, code: str | None) -> Run:
    """``score_stream``, as ``cnndetect score`` calls it."""
    import torch

    torch.set_num_threads(threads)
    from cnndetect.backends import accelerated
    from cnndetect.backends.ranges import read_ranges
    from cnndetect.detectors.registry import load
    from cnndetect.scoring import score_stream

    found = read_ranges(ranges).ranges if ranges else None
    loaded = accelerated(load(detector, device="cpu"), backend, precision, ranges=found)
    return lambda files: [scored.logit for scored in score_stream([Path(file) for file in files], detector=loaded)]


def official(*, detector: str, backend: str, precision: str, threads: int, ranges: str | None, code: str | None) -> Run:
    """What the official demo_dir.py computes: ToTensor and Normalize, batches of 32, a ResNet-50 in float32 with the same weights.

    code: a checkout of the official code, whose network is used; torchvision's, which has the same layers, where there is none.
    """
    import torch
    from PIL import Image
    from torchvision import models, transforms

    torch.set_num_threads(threads)
    from cnndetect.detectors.registry import load

    if code:
        sys.path.insert(0, code)
        from networks.resnet import resnet50  # type: ignore[import-not-found]
    else:
        resnet50 = models.resnet50
    network = resnet50(num_classes=1)
    source: Any = load(detector, device="cpu").network
    network.load_state_dict(source.state_dict())
    network.eval()
    prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])])

    def run(files: Sequence[str]) -> list[float]:
        images = (prepare(Image.open(file).convert("RGB")) for file in files)
        logits: list[float] = []
        with torch.no_grad():
            batch: list[Any] = []
            for image in images:
                if batch and (len(batch) == 32 or image.shape != batch[0].shape):
                    logits += network(torch.stack(batch)).flatten().tolist()
                    batch = []
                batch.append(image)
            logits += network(torch.stack(batch)).flatten().tolist()
        return logits

    return run


if __name__ == "__main__":
    main()
