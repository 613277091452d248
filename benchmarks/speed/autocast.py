"""What bfloat16 gains in training: ``python benchmarks/speed/autocast.py --out benchmarks/speed/autocast.json``.

A step is forward, backward and Adam on drawn crops, channels last, on one thread. Steps in float32 and bfloat16 alternate, and the
least processor time of each counts. Weights are random: the figures do not depend on them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

RECONSTRUCTOR = "reconstructor"


def main() -> None:
    """Measure each network, print a line, write JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--network", action="append", help=f"repeatable (default: resnet50, npr, efficientnet-lite0, {RECONSTRUCTOR})")
    parser.add_argument("--crop-px", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.network or ["resnet50", "npr", "efficientnet-lite0", RECONSTRUCTOR]:
        step = step_of(name, options.batch, options.crop_px)
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for index in range(1 + options.steps):
            for half in (False, True):
                started = time.process_time()
                step(half)
                if index:
                    seconds[half].append(time.process_time() - started)
        rates = {"float32": options.batch / min(seconds[False]), "bfloat16": options.batch / min(seconds[True])}
        rows.append({"network": name, "crop_px": options.crop_px, "batch": options.batch, **rates})
        print(
            f"{name}: {rates['float32']:.1f} and {rates['bfloat16']:.1f} crops/s, {rates['bfloat16'] / rates['float32']:.2f}x", flush=True
        )
    options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def step_of(name: str, batch: int, crop_px: int) -> Callable[[bool], None]:
    """A training step of a network; True for bfloat16."""
    network, loss = reconstructor() if name == RECONSTRUCTOR else detector(name)
    network = network.to(memory_format=torch.channels_last).train()
    adam = torch.optim.Adam(network.parameters())
    images = torch.randn(batch, 3, crop_px, crop_px).contiguous(memory_format=torch.channels_last)

    def step(half: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            value = loss(images)
        adam.zero_grad(set_to_none=True)
        value.backward()
        adam.step()

    return step


def detector(name: str) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """A detector's network and its loss."""
    from cnndetect.detectors.networks import build

    network = build(name)
    criterion = nn.BCEWithLogitsLoss()
    return network, lambda images: criterion(network(images).float(), (torch.arange(len(images)) % 2).float())


def reconstructor() -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The encoder and decoder that paint photographs again, and the mean absolute error."""
    from cnndetect.zoo.resynthesis.config import DrivenConfig
    from cnndetect.zoo.resynthesis.model import Resynthesiser

    network, rng = Resynthesiser(DrivenConfig("progan")), torch.Generator().manual_seed(0)
    return network, lambda images: (network(images.clamp(-1, 1), rng).float() - images).abs().mean()


if __name__ == "__main__":
    main()
