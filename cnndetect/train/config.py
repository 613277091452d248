"""Everything a training run can be told, in one record that checks itself; defaults are the reference's."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from cnndetect.errors import ProtocolError
from cnndetect.train.plateau import PlateauRule
from cnndetect.transforms.augment import AugmentConfig

AMP = ("none", "bf16")

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
    plateau: PlateauRule = PlateauRule()
    max_epochs: int | None = None
    max_seconds: float | None = None  # summed over all starts of the run
    seed: int = 0

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
        _expect(self.seed >= 0, "seed", self.seed, "a whole number >= 0")
        _expect(self.lr > 0, "lr", self.lr, "a number > 0")
        for field in (
            "batch_size",
            "max_epochs",
            "max_seconds",
            "threads",
            "checkpoint_steps",
            "checkpoint_seconds",
        ):
            value = getattr(self, field)
            _expect(value is None or value > 0, field, value, "a number > 0")
        for field in ("workers", "cache_mb"):
            _expect(getattr(self, field) >= 0, field, getattr(self, field), "a whole number >= 0")
        _expect(self.plateau.patience >= 1, "patience", self.plateau.patience, "a whole number >= 1")
        _expect(
            0 < self.plateau.lr_factor < 1, "lr_factor", self.plateau.lr_factor, "a fraction between 0 and 1"
        )

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return Path(self.out) / self.name


def as_plain(config: TrainConfig) -> dict:
    """The record as JSON values, to be stored and compared."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


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
