"""The one training loop of all generators: a step function in, a checkpoint that survives a kill out.

Every random number of step k comes from a generator seeded with (seed, k). A resumed run therefore draws
what the uninterrupted run would have drawn, and no random state needs to be stored.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn
from tqdm import tqdm

from cnndetect.errors import DataError

Step = Callable[[int, torch.Generator], Mapping[str, float]]


@dataclass(frozen=True)
class Loop:
    """How long to train and where to write.

    steps: number of optimiser steps.  checkpoint_seconds: time between checkpoints.  log_steps: steps a log line averages.
    """

    steps: int
    out: Path
    seed: int = 0
    checkpoint_seconds: float = 120.0
    log_steps: int = 200


def run(loop: Loop, step: Step, state: Mapping[str, nn.Module | torch.optim.Optimizer], *, config: object) -> Path:
    """Call ``step`` until ``loop.steps``, resuming from ``out/checkpoint.pt`` when it is there.

    step: (index, generator) -> losses by name.  state: what a checkpoint holds, by name.
    Returns the path of the checkpoint. Raises DataError where the checkpoint was made by another configuration.
    """
    loop.out.mkdir(parents=True, exist_ok=True)
    path = loop.out / "checkpoint.pt"
    described = json.loads(json.dumps(asdict(config), default=str))  # type: ignore[call-overload]
    start = _restore(path, state, described)

    # One line per log interval goes to a file; the bar goes to stderr.
    saved, window, count, since = time.monotonic(), dict[str, float](), 0, time.monotonic()
    with tqdm(total=loop.steps, initial=start, file=sys.stderr, unit="step", mininterval=5) as bar:
        for index in range(start, loop.steps):
            losses = step(index, generator_for(loop.seed, index))
            for name, value in losses.items():
                window[name] = window.get(name, 0.0) + float(value)
            count += 1
            bar.update()
            if count == loop.log_steps or index + 1 == loop.steps:
                line = {name: round(total / count, 5) for name, total in window.items()}
                _log(loop.out, {"step": index + 1, "seconds": round(time.monotonic() - since, 1), **line})
                bar.set_postfix(line)
                window, count, since = {}, 0, time.monotonic()
            if time.monotonic() - saved > loop.checkpoint_seconds or index + 1 == loop.steps:
                save(path, {"step": index + 1, "config": described, "state": {k: v.state_dict() for k, v in state.items()}})
                saved = time.monotonic()
    return path


class Schedule(Protocol):
    """What ``fit`` needs of a family's configuration."""

    @property
    def steps(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def seed(self) -> int: ...


def fit(
    network: nn.Module, loss_of: Callable[[torch.Generator], torch.Tensor], config: Schedule, out: Path, *,
    lr_drop: float, clip_norm: float | None = None, checkpoint_seconds: float = 120.0,
) -> Path:
    """Train a network without an adversary: Adam on ``loss_of``, the learning rate times ``lr_drop`` for the last 30 %."""
    adam = torch.optim.Adam(network.parameters(), config.lr)

    def step(index: int, rng: torch.Generator) -> Mapping[str, float]:
        adam.param_groups[0]["lr"] = config.lr * (lr_drop if index >= 0.7 * config.steps else 1.0)
        loss = loss_of(rng)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
        adam.step()
        return {"loss": loss.item()}

    loop = Loop(config.steps, out, seed=config.seed, checkpoint_seconds=checkpoint_seconds)
    return run(loop, step, {"network": network, "adam": adam}, config=config)


def generator_for(seed: int, index: int, *, device: str = "cpu") -> torch.Generator:
    """A generator that depends on nothing but ``seed`` and ``index``.

    >>> bool(torch.rand(1, generator=generator_for(1, 2)) == torch.rand(1, generator=generator_for(1, 2)))
    True
    """
    mixed = (seed * 0x9E3779B97F4A7C15 + index * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**63
    return torch.Generator(device=device).manual_seed(mixed)


def augmented_batch(photos: torch.Tensor, batch: int, rng: torch.Generator) -> torch.Tensor:
    """Random photographs with random flips: uint8 [N, 3, H, W] -> float [batch, 3, H, W] in [0, 1]."""
    index = torch.randint(len(photos), (batch,), generator=rng)
    chosen = photos[index.to(photos.device)].float() / 255
    flip = (torch.rand(batch, generator=rng) < 0.5).to(photos.device)
    return torch.where(flip.view(-1, 1, 1, 1), chosen.flip(3), chosen)


def save(path: Path, content: object) -> None:
    """Write whole or not at all."""
    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    os.replace(temporary, path)


def _restore(path: Path, state: Mapping[str, nn.Module | torch.optim.Optimizer], described: dict) -> int:
    if not path.exists():
        return 0
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["config"] != described:
        changed = sorted(k for k in described if content["config"].get(k) != described[k])
        raise DataError(
            f"{path} was trained with another configuration: {', '.join(changed)} differ. Expected the same options as the "
            "interrupted run; give them again, or choose another --out."
        )
    for name, part in state.items():
        part.load_state_dict(content["state"][name])
    return int(content["step"])


def _log(out: Path, line: Mapping[str, float]) -> None:
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
