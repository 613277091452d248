"""The training loop of all generators: it calls a step function, and writes checkpoints that survive a kill.

Every random number of step k comes from a generator seeded with (seed, k). A resumed run therefore draws
what the uninterrupted run would have drawn, and no random state needs to be stored.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import nn

from cnndetect.errors import DataError
from cnndetect.files import sha256_of, write_whole
from cnndetect.packing import unpacked
from cnndetect.progress import bar

Network = TypeVar("Network", bound=nn.Module)
Step = Callable[[int, torch.Generator], Mapping[str, "torch.Tensor | float"]]


@dataclass(frozen=True)
class Job:
    """Where a training runs and writes; nothing of it changes what is learned but ``start``."""

    out: Path
    device: str = "cpu"  # "cpu" or "cuda"
    checkpoint_seconds: float = 120.0  # time between checkpoints
    log_steps: int = 200  # steps a log line averages
    # a checkpoint of the same architecture whose networks a fresh run starts from (its optimisers are not taken), or the file of a
    # generator that was exported from one
    start: Path | None = None

    def place(self, module: Network) -> Network:
        """The module on the device, channels last: faster on a GPU and, for convolutions of few channels, on a CPU too."""
        return module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def mixed(self) -> AbstractContextManager:
        """bfloat16 where the device is a GPU, full precision elsewhere."""
        return nullcontext() if self.device == "cpu" else torch.autocast("cuda", torch.bfloat16)


def run(job: Job, steps: int, step: Step, state: Mapping[str, nn.Module | torch.optim.Optimizer], *, config: object, seed: int = 0) -> Path:
    """Call ``step`` until ``steps``, resuming from ``out/checkpoint.pt`` when it is there.

    step: (index, generator) -> losses by name.  state: what a checkpoint holds, by name.
    Returns the path of the checkpoint. Raises DataError where the checkpoint was made by another configuration.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    path = job.out / "checkpoint.pt"
    described = json.loads(json.dumps(asdict(config), default=str))  # type: ignore[call-overload]
    if job.start is not None:
        described["start"] = sha256_of(job.start)[:16]
    start = _restore(path, state, described)
    _cut_log(job.out, start)
    if job.start is not None and not path.exists():
        _take_networks(job.start, state)

    # One line per log interval goes to a file; the bar goes to stderr.
    saved, window, since = time.monotonic(), dict[str, list[torch.Tensor | float]](), time.monotonic()
    with bar(total=steps, initial=start, desc=job.out.name, unit="step", mininterval=5, leave=True) as shown:
        for index in range(start, steps):
            losses = step(index, generator_for(seed, index))
            for name, value in losses.items():
                # A tensor stays on its device until it is logged: reading it at every step would stall a GPU.
                window.setdefault(name, []).append(value.detach() if isinstance(value, torch.Tensor) else value)
            shown.update()
            if (index + 1) % job.log_steps == 0 or index + 1 == steps:
                line = {name: round(sum(map(float, values)) / len(values), 5) for name, values in window.items()}
                _log(job.out, {"step": index + 1, "seconds": round(time.monotonic() - since, 1), **line})
                shown.set_postfix(line)
                window, since = {}, time.monotonic()
            if time.monotonic() - saved > job.checkpoint_seconds or index + 1 == steps:
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
    network: nn.Module,
    loss_of: Callable[[torch.Generator], torch.Tensor],
    config: Schedule,
    job: Job,
    *,
    lr_drop: float,
    clip_norm: float | None = None,
) -> Path:
    """Train a network without an adversary: Adam on ``loss_of``, the learning rate times ``lr_drop`` for the last 30 %."""
    adam = torch.optim.Adam(network.parameters(), config.lr)

    def step(index: int, rng: torch.Generator) -> Mapping[str, torch.Tensor | float]:
        adam.param_groups[0]["lr"] = config.lr * (lr_drop if index >= 0.7 * config.steps else 1.0)
        with job.mixed():
            loss = loss_of(rng)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
        adam.step()
        return {"loss": loss}

    return run(job, config.steps, step, {"network": network, "adam": adam}, config=config, seed=config.seed)


def generator_for(seed: int, index: int, *, device: str = "cpu") -> torch.Generator:
    """A generator that depends on nothing but ``seed`` and ``index``.

    >>> bool(torch.rand(1, generator=generator_for(1, 2)) == torch.rand(1, generator=generator_for(1, 2)))
    True
    """
    mixed = (seed * 0x9E3779B97F4A7C15 + index * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**63
    return torch.Generator(device=device).manual_seed(mixed)


def augmented_batch(
    photos: torch.Tensor, batch: int, rng: torch.Generator, *, index: torch.Tensor | None = None, crop_px: int | None = None
) -> torch.Tensor:
    """Random photographs (or those of ``index``) with random flips: uint8 [N, 3, H, W] -> float [batch, 3, H, W] in [0, 1].

    crop_px: side of a random square, the same place for the whole batch, instead of the whole photograph.
    """
    if index is None:
        index = torch.randint(len(photos), (batch,), generator=rng)
    chosen = photos[index.to(photos.device)].float() / 255
    if crop_px is not None and crop_px < photos.shape[2]:
        top, left = torch.randint(photos.shape[2] - crop_px + 1, (2,), generator=rng).tolist()
        chosen = chosen[:, :, top : top + crop_px, left : left + crop_px]
    flip = (torch.rand(batch, generator=rng) < 0.5).to(photos.device)
    return torch.where(flip.view(-1, 1, 1, 1), chosen.flip(3), chosen)


def save(path: Path, content: object) -> None:
    """Write whole or not at all."""
    write_whole(path, lambda temporary: torch.save(content, temporary))


def save_generator(path: Path, content: object) -> None:
    """Write weights that ship, whole or not at all: a PyTorch file whose parts are deflated. ``torch.load`` reads it."""
    stored, deflated = io.BytesIO(), io.BytesIO()
    torch.save(content, stored)
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for part in source.infolist():
            target.writestr(zipfile.ZipInfo(part.filename), source.read(part), zipfile.ZIP_DEFLATED)
    write_whole(path, deflated.getvalue())


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


def _take_networks(path: Path, state: Mapping[str, nn.Module | torch.optim.Optimizer]) -> None:
    content = torch.load(path, map_location="cpu", weights_only=True)
    # The file of a generator that ships holds one network; a checkpoint holds all, and their optimisers.
    shipped = {"network": {key: unpacked(value) for key, value in content.get("weights", {}).items()}}
    content = content.get("state", shipped)
    for name, part in state.items():
        if isinstance(part, nn.Module):
            try:
                part.load_state_dict(content[name])
            except (KeyError, RuntimeError) as error:
                raise DataError(
                    f"{path} cannot be a start: it does not hold this family's {name} at this width. "
                    f"Give a checkpoint of the same family and recipe. ({error})"
                ) from error


def _cut_log(out: Path, start: int) -> None:
    """Drop what a killed run logged after its last checkpoint: those steps are done, and logged, again."""
    path = out / "log.jsonl"
    if path.exists():
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= start:
                    kept.append(line + "\n")
            except ValueError:  # torn by the kill
                continue
        write_whole(path, "".join(kept))


def _log(out: Path, line: Mapping[str, float]) -> None:
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
