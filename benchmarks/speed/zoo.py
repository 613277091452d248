"""Seconds per 1,000 images and peak memory of generators: ``python benchmarks/speed/zoo.py weights/zoo/*.pt``.

Each generator is measured in a process of its own, on one thread, over 30 images after a warm-up; the peak is of the process.
With ``--together`` before the files, eight images are made one by one and in one batch instead: processor time of both, and how many
values of the pixels differ.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from cnndetect.errors import WeightsError

IMAGES = 30


def measure(weights: str) -> dict[str, object]:
    """Cost of one generator, in this process."""
    import numpy as np
    import torch

    from cnndetect.zoo.registry import load_generator

    torch.set_num_threads(1)
    generator = load_generator(weights)
    photo = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    generator.fake(0, seed=0, photo=photo)
    start = time.perf_counter()
    for index in range(IMAGES):
        generator.fake(index, seed=0, photo=photo)
    seconds = (time.perf_counter() - start) / IMAGES * 1000
    return {
        "generator": Path(weights).stem,
        "family": generator.family.name,
        "parameters": sum(parameter.numel() for parameter in generator.network.parameters()),
        "seconds_per_1000": round(seconds, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def together(weights: str, count: int = 8) -> dict[str, object]:
    """Images one by one and in one batch, by a generator whose network is called once an image and draws no noise of its own."""
    import numpy as np
    import torch

    from cnndetect.zoo.registry import load_generator

    torch.set_num_threads(1)
    generator = load_generator(weights)
    photos = np.random.default_rng(0).integers(0, 256, (count, 128, 128, 3), dtype=np.uint8)
    seen: list[tuple[tuple, dict, torch.Tensor]] = []
    hook = generator.network.register_forward_hook(lambda _, given, named, image: seen.append((given, named, image)), with_kwargs=True)
    for index in range(count):
        generator.fake(index, seed=0, photo=photos[index])
    hook.remove()
    if len(seen) != count:
        return {"generator": Path(weights).stem, "note": "its network is called in parts"}
    if any(isinstance(one, torch.Generator) for one in (*seen[0][0], *seen[0][1].values())):
        return {"generator": Path(weights).stem, "note": "draws noise inside its network"}
    inputs, named = [torch.cat(column) for column in zip(*(given for given, _, _ in seen), strict=True)], seen[0][1]
    seconds: dict[str, list[float]] = {"singly": [], "together": []}
    with torch.inference_mode():
        for _ in range(3):
            for kind, size in (("singly", 1), ("together", count)):
                start = time.process_time()
                batches = zip(*(column.split(size) for column in inputs), strict=True)
                images = torch.cat([generator.network(*batch, **named) for batch in batches])
                seconds[kind].append(1000 * (time.process_time() - start) / count)
    pairs = ((value * 0.5 + 0.5).clamp(0, 1).mul(255).round() for value in (images, torch.cat([image for _, _, image in seen])))
    values = [*pairs]
    differing = int((values[0] != values[1]).sum())
    costs = {f"{kind}_ms": round(min(times), 2) for kind, times in seconds.items()}
    return {"generator": Path(weights).stem, "images": count, **costs, "differing": differing, "values": values[0].numel()}


def alone(way: str, weights: str) -> dict[str, object]:
    """One generator in this process; what paints photographs is named. Raises WeightsError for a file that is neither."""
    from cnndetect.zoo.resynthesis.painter import load_painter

    try:
        return _ALONE[way](weights)
    except WeightsError:
        load_painter(weights)
        return {"generator": Path(weights).stem, "note": "a decoder that paints photographs"}


def main() -> None:
    """One line of JSON per generator."""
    if sys.argv[1] in _ALONE:
        print(json.dumps(alone(*sys.argv[1:3])))
        return
    way, *files = sys.argv[1:] if sys.argv[1] == "--together" else ["--one", *sys.argv[1:]]
    for weights in files:
        command = [sys.executable, __file__, way + "-here", weights]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="")


_ALONE = {"--one-here": measure, "--together-here": together}


if __name__ == "__main__":
    main()
