"""The configuration of a training run: one record that validates itself. Its defaults are those of the reference."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from cnndetect.errors import ProtocolError
from cnndetect.train.plateau import PlateauRule
from cnndetect.train.stages import OPTIMIZERS, Stage
from cnndetect.transforms.augment import AugmentConfig
from cnndetect.transforms.degrade import steps
from cnndetect.transforms.pairs import PairConfig

AMP = ("none", "bf16")
BALANCES = ("none", "over", "under")

# What may change between two starts of one run: where it reads and writes, how fast, until when.
FREE_FIELDS = (
    "data", "out", "workers", "cache_mb", "checkpoint_seconds", "checkpoint_steps",
    "max_epochs", "max_seconds", "tensorboard",
)  # fmt: skip


@dataclass(frozen=True)
class TrainConfig:
    """One training run; a figure that is not given here is given nowhere else."""

    # What enters and where the result goes: ROOT/{train,val}/class/{0_real,1_fake} -> OUT/NAME.
    data: Path
    name: str
    out: Path
    classes: tuple[str, ...] = ()  # empty: every class that is there
    max_images: int | None = None  # of the training split, real and fake together, spread over classes; None: all
    max_val_images: int | None = None  # of the validation split, likewise

    # The recipe.
    recipe: str = "wang2020-none"
    augment: AugmentConfig = AugmentConfig()
    arch: str = "resnet50"
    init: str = "imagenet"  # "imagenet", "random" or a weights file
    fc_deviation: float = 0.02
    freeze_batchnorm: bool = False
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    batch_size: int = 64  # over all processes together
    optimizer: str = "adam"
    momentum: float = 0.9  # of sgd
    weight_decay: float = 0.0
    lr_step_epochs: int | None = None  # fall by plateau.lr_factor every so many epochs; None: on plateaus
    stages: tuple[Stage, ...] = ()  # staged unfreezing, before the main part
    balance: str = "none"  # over- or undersampling of the classes real and fake, anew in every epoch
    plateau: PlateauRule = PlateauRule()
    max_epochs: int | None = None
    max_seconds: float | None = None  # summed over all starts of the run
    seed: int = 0

    # Training on pairs (pairs.py): a photograph's crop and its resynthesis in one batch, under the same augmentation.
    pairs: PairConfig | None = None
    epoch_images: int | None = None  # of pairs: images of an epoch, equal shares of every decoder; None: each pair once
    conditions: tuple[str, ...] = ()  # of validation; given, the best weights are those of the best mean over them
    average: float | None = None  # decay of an exponential moving average of the weights; what is validated and kept

    # The machine.
    device: str = "auto"
    amp: str = "none"
    channels_last: bool = False
    compile: bool = False
    threads: int | None = None  # None: torch's own choice
    workers: int = 0
    cache_mb: int = 4096
    checkpoint_seconds: float = 300.0
    checkpoint_steps: int | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        plain = bool(self.name) and Path(self.name).name == self.name and self.name not in (".", "..")
        _expect(plain, "name", self.name, "a plain name without slashes; it becomes a folder of --out")
        _expect(self.amp in AMP, "amp", self.amp, f"one of {', '.join(AMP)}")
        _expect(self.optimizer in OPTIMIZERS, "optimizer", self.optimizer, f"one of {', '.join(OPTIMIZERS)}")
        _expect(self.balance in BALANCES, "balance", self.balance, f"one of {', '.join(BALANCES)}")
        _expect(0 <= self.momentum < 1, "momentum", self.momentum, "a fraction in [0, 1)")
        _expect(self.weight_decay >= 0, "weight_decay", self.weight_decay, "a number >= 0")
        _expect(self.seed >= 0, "seed", self.seed, "a whole number >= 0")
        _expect(self.lr > 0, "lr", self.lr, "a number > 0")
        for field in (
            "batch_size",
            "lr_step_epochs",
            "max_epochs",
            "max_images",
            "max_val_images",
            "max_seconds",
            "threads",
            "checkpoint_steps",
            "checkpoint_seconds",
            "epoch_images",
        ):
            value = getattr(self, field)
            _expect(value is None or value > 0, field, value, "a number > 0")
        ends = self.lr_step_epochs is None or self.max_epochs is not None or self.max_seconds is not None
        _expect(ends, "lr_step_epochs", self.lr_step_epochs, "max_epochs or max_seconds beside it, or the run never ends")
        for field in ("workers", "cache_mb"):
            _expect(getattr(self, field) >= 0, field, getattr(self, field), "a whole number >= 0")
        _expect(self.average is None or 0 < self.average < 1, "average", self.average, "a fraction between 0 and 1")
        _expect(self.epoch_images is None or self.pairs is not None, "epoch_images", self.epoch_images, "none without pairs")
        for condition in self.conditions:
            steps(condition)
        if self.pairs is not None:
            _expect(self.batch_size % 2 == 0, "batch_size", self.batch_size, "an even number: pairs are not split")
            _expect(self.balance == "none", "balance", self.balance, "none: pairs are balanced")
        _expect(self.plateau.patience >= 1, "patience", self.plateau.patience, "a whole number >= 1")
        _expect(0 < self.plateau.lr_factor < 1, "lr_factor", self.plateau.lr_factor, "a fraction between 0 and 1")

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return Path(self.out) / self.name


def as_plain(config: TrainConfig | PairConfig) -> dict:
    """The record as JSON values, to be stored and compared."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def with_defaults(before: dict) -> dict:
    """A stored configuration with the fields that came after it, at the defaults that it was run with."""
    defaults = as_plain(TrainConfig(data=Path("."), name="x", out=Path(".")))
    filled = {**defaults, **before}
    for field in ("augment", "plateau"):
        filled[field] = {**defaults[field], **before.get(field, {})}
    if before.get("pairs"):
        filled["pairs"] = {**as_plain(PairConfig()), **before["pairs"]}
    return filled


def changed_fields(before: dict, after: dict) -> list[str]:
    """Names of the fields that differ and may not, nested ones dotted.

    >>> changed_fields({"lr": 1, "augment": {"flip": True}}, {"lr": 1, "augment": {"flip": False}})
    ['augment.flip']
    """
    names = []
    for field in sorted(before.keys() | after.keys()):
        old, new = before.get(field), after.get(field)
        if isinstance(old, dict) and isinstance(new, dict):
            names += [f"{field}.{inner}" for inner in changed_fields(old, new)]
        elif old != new and field not in FREE_FIELDS:
            names.append(field)
    return names


def _expect(holds: bool, field: str, given: object, expected: str) -> None:
    if not holds:
        raise ProtocolError(f"TrainConfig got {field}={given!r}. Expected {expected}.")
