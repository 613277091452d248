"""The state of a training run: created from its configuration, or restored from its last checkpoint."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cnndetect.data.folders import Sample, fingerprint
from cnndetect.errors import DataError
from cnndetect.train.architectures import build_network
from cnndetect.train.checkpoint import load_checkpoint, save_checkpoint
from cnndetect.train.config import TrainConfig, as_plain, changed_fields, with_defaults
from cnndetect.train.data import describe
from cnndetect.train.distributed import World, share_gradients
from cnndetect.train.growth import check_growth
from cnndetect.train.plateau import Plateau
from cnndetect.train.stages import first_rate, make_optimizer, stage_at

LAST, BEST, LOG = "last.ckpt", "best.safetensors", "log.jsonl"


@dataclass
class Run:
    """What a training run carries from step to step."""

    config: TrainConfig
    world: World
    network: nn.Module  # the plain network: validated, saved
    parallel: nn.Module  # the same parameters, compiled and shared between processes as asked: trained
    optimizer: torch.optim.Optimizer
    initialisation: str
    facts: dict[str, Any]  # what must be the same on resume beside the configuration: data, processes
    fingerprints: dict[str, str]  # split -> sha256 over every image; read once, at the first start
    plateau: Plateau
    average: AveragedModel | None = None  # of the weights, where config.average asks for it
    growth: list[dict[str, Any]] = field(default_factory=list)  # from which image on the run has seen which classes
    images_before: int = 0  # seen in earlier epochs, by all processes
    epoch: int = 0
    step: int = 0  # steps done in this epoch
    loss_sum: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    images_seen: int = 0  # in this epoch, by this process
    seconds_in_epoch: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    stop_reason: str | None = None
    seconds_before: float = 0.0  # of earlier starts of this run
    started: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time spent on this run, over all its starts."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def images_total(self) -> int:
        """Images seen since the run began, by all processes, repeats counted."""
        return self.images_before + self.images_seen * self.world.size

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and saved: the average where there is one."""
        return self.network if self.average is None else self.average.module


def start_or_resume(
    config: TrainConfig, world: World, samples: dict[str, tuple[Sample, ...]], *, started: float, grow: bool = False
) -> Run:
    """Continue from OUT/NAME/last.ckpt when it is there and belongs to this configuration, else begin.

    grow: the data may have more classes than before (growth.py).
    """
    facts: dict[str, Any] = {"data": {split: describe(found) for split, found in samples.items()}, "processes": world.size}
    path = config.folder / LAST
    state = load_checkpoint(path) if path.is_file() else None
    if state is not None:
        _check_same_run(path, state, config, facts, grow=grow)

    network, initialisation = build_network(
        config.arch, "random" if state else config.init, seed=config.seed, fc_deviation=config.fc_deviation
    )
    network.to(world.device)
    if config.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    epoch = state["epoch"] if state else 0
    optimizer = make_optimizer(config, network, epoch)

    grown = state is not None and state["facts"]["data"] != facts["data"]
    prints = state["fingerprints"] if state and not grown else {name: fingerprint(found) for name, found in samples.items()}
    run = Run(
        config=config, world=world, network=network, parallel=network, optimizer=optimizer,
        initialisation=initialisation, facts=facts, fingerprints=prints, plateau=Plateau(lr=first_rate(config, epoch)),
        started=started,
    )  # fmt: skip
    run.loss_sum = run.loss_sum.to(world.device)
    if config.average is not None:
        # Buffers too: the statistics of batch norm belong to the averaged weights.
        run.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.average), use_buffers=True)
    if state is not None:
        _restore(run, state)
        if grown:
            _begin_again(run, same_validation=state["facts"]["data"]["val"] == facts["data"]["val"])
    if state is None or grown:
        run.growth.append({"from_image": run.images_total, "classes": sorted(facts["data"]["train"]["classes"])})

    _make_parallel(run)
    return run


def begin_epoch(run: Run) -> None:
    """Where the current epoch is the first of a stage: train other parts, by a fresh optimiser."""
    if run.epoch > 0 and stage_at(run.config, run.epoch) != stage_at(run.config, run.epoch - 1):
        run.optimizer = make_optimizer(run.config, run.network, run.epoch)
        _make_parallel(run)


def save(run: Run) -> None:
    """Write OUT/NAME/last.ckpt; only the first process does."""
    run.saved = time.monotonic()
    if not run.world.is_first:
        return
    save_checkpoint(
        run.config.folder / LAST,
        {
            "version": 1,
            "config": as_plain(run.config),
            "facts": run.facts,
            "fingerprints": run.fingerprints,
            "initialisation": run.initialisation,
            "model": run.network.state_dict(),
            "optimizer": run.optimizer.state_dict(),
            "plateau": asdict(run.plateau),
            "epoch": run.epoch,
            "step": run.step,
            "loss_sum": float(run.loss_sum),
            "images_seen": run.images_seen,
            "images_before": run.images_before,
            "growth": run.growth,
            "average": run.average.state_dict() if run.average is not None else None,
            "seconds_in_epoch": run.seconds_in_epoch,
            "history": run.history,
            "best": run.best,
            "stop_reason": run.stop_reason,
            "seconds": run.seconds,
            # Samples need no generator state, (seed, epoch, step) say it all; networks with dropout do.
            "torch_rng": torch.get_rng_state(),
        },
    )


def _make_parallel(run: Run) -> None:
    # Gradients are shared between processes by what is trained, so this is made anew with every stage.
    run.parallel = share_gradients(run.network, run.world, freeze_batchnorm=run.config.freeze_batchnorm)
    if run.config.compile:
        run.parallel = torch.compile(run.parallel)  # type: ignore[assignment]


def _restore(run: Run, state: dict[str, Any]) -> None:
    run.network.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["torch_rng"])

    run.initialisation = state["initialisation"]
    run.plateau = Plateau(**state["plateau"])
    run.epoch, run.step = state["epoch"], state["step"]
    run.loss_sum.fill_(state["loss_sum"])
    run.images_seen, run.seconds_in_epoch = state["images_seen"], state["seconds_in_epoch"]
    run.history, run.best, run.stop_reason = state["history"], state["best"], state["stop_reason"]
    run.images_before, run.growth = state.get("images_before", 0), state.get("growth", [])
    if run.average is not None:
        run.average.load_state_dict(state["average"])
    run.seconds_before = state["seconds"]


def _begin_again(run: Run, *, same_validation: bool) -> None:
    """The epoch that was under way has another order with the new classes: its images count, its place does not."""
    run.images_before = run.images_total
    run.step, run.images_seen, run.seconds_in_epoch = 0, 0, 0.0
    run.loss_sum.zero_()
    if not same_validation:
        run.best = None  # figures on other images cannot be compared


def _check_same_run(path: Path, state: dict[str, Any], config: TrainConfig, facts: dict[str, Any], *, grow: bool) -> None:
    before = {**with_defaults(state["config"]), **state["facts"]}
    changed = changed_fields(before, {**as_plain(config), **facts})
    if grow:
        check_growth(before["data"], facts["data"])
        changed = [name for name in changed if not name.startswith("data.")]
    if changed:
        now = {**as_plain(config), **facts}
        shown = "; ".join(f"{name}: {_at(before, name)!r} -> {_at(now, name)!r}" for name in changed)
        raise DataError(
            f"{path} belongs to a run with another configuration ({shown}). Give this run another --name, "
            "use the old options to continue, or start over with --rerun."
        )


def _at(tree: dict[str, Any], dotted: str) -> Any:
    for part in dotted.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None  # type: ignore[assignment]
    return tree
