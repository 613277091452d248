"""Stages of training: which layers are trained in an epoch, with which optimiser and learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnndetect.errors import ProtocolError
from cnndetect.train import plateau
from cnndetect.train.plateau import Plateau

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cnndetect.train.config import TrainConfig

OPTIMIZERS = ("adam", "sgd")


@dataclass(frozen=True)
class Stage:
    """Epochs before the whole network is trained."""

    epochs: int
    lr: float
    trained: tuple[str, ...]  # names of the only sub-modules that move, such as ("layer4", "fc")
    optimizer: str = "sgd"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.lr <= 0 or not self.trained or self.optimizer not in OPTIMIZERS:
            raise ProtocolError(f"Got {self}. Expected epochs >= 1, lr > 0, names of sub-modules, and one of {', '.join(OPTIMIZERS)}.")


def stage_at(config: TrainConfig, epoch: int) -> int:
    """Number of the stage that ``epoch`` (from 0) is in; len(config.stages) is the main part, where everything is trained.

    >>> from pathlib import Path
    >>> from cnndetect.train.config import TrainConfig
    >>> head = Stage(epochs=2, lr=1e-3, trained=("fc",))
    >>> config = TrainConfig(data=Path("d"), name="n", out=Path("o"), stages=(head,))
    >>> [stage_at(config, epoch) for epoch in range(4)]
    [0, 0, 1, 1]
    """
    end = 0
    for number, stage in enumerate(config.stages):
        end += stage.epochs
        if epoch < end:
            return number
    return len(config.stages)


def first_rate(config: TrainConfig, epoch: int) -> float:
    """The learning rate that the stage of ``epoch`` begins with."""
    number = stage_at(config, epoch)
    return config.stages[number].lr if number < len(config.stages) else config.lr


def make_optimizer(config: TrainConfig, network: nn.Module, epoch: int) -> torch.optim.Optimizer:
    """Mark what is trained in the stage of ``epoch``, and a fresh optimiser over it.

    Raises ProtocolError for a sub-module that the network does not have.
    """
    import torch  # here, so that a command line can read the configuration without it

    number = stage_at(config, epoch)
    stage = config.stages[number] if number < len(config.stages) else None
    prefixes = tuple(f"{name}." for name in stage.trained) if stage else ("",)
    names = [name for name, _ in network.named_parameters()]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            known = sorted({name.split(".")[0] for name in names})
            raise ProtocolError(f"A stage trains {prefix[:-1]!r}, which {config.arch} does not have. Expected some of {known}.")

    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(prefixes))
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    lr, kind = first_rate(config, epoch), stage.optimizer if stage else config.optimizer
    if kind == "sgd":
        return torch.optim.SGD(trained, lr=lr, momentum=config.momentum, weight_decay=config.weight_decay)
    return torch.optim.Adam(trained, lr=lr, betas=config.betas, weight_decay=config.weight_decay)


def next_rate(config: TrainConfig, state: Plateau, *, finished_epoch: int, score: float) -> Plateau:
    """The state of the learning rate after an epoch: constant in a stage, then by steps of epochs or by plateaus."""
    following = finished_epoch + 1
    if stage_at(config, finished_epoch) != stage_at(config, following):
        return Plateau(lr=first_rate(config, following))
    if stage_at(config, following) < len(config.stages):
        return state
    if config.lr_step_epochs is None:
        return plateau.step(state, score, config.plateau)
    falls = (following - sum(stage.epochs for stage in config.stages)) // config.lr_step_epochs
    return Plateau(lr=config.lr * config.plateau.lr_factor**falls, falls=falls)


def set_training(network: nn.Module, *, freeze_batchnorm: bool) -> None:
    """Training mode, but for batch norm that is frozen or belongs to a part that is not trained."""
    from torch import nn

    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            moves = module.weight is None or module.weight.requires_grad
            if freeze_batchnorm or not moves:
                module.eval()
