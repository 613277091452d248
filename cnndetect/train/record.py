"""A run enters, the record that travels with its weights leaves: trained on what, how, and how it ended."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import PIL
import scipy
import torch

from cnndetect.train.config import FREE_FIELDS, as_plain
from cnndetect.train.distributed import batchnorm_kind
from cnndetect.train.recipes import RECIPES
from cnndetect.train.run_state import BEST, Run

DIFFERENCES = (
    "the best weights are those of the best validation (accuracy, then AP, then loss) over all epochs; the "
    "reference overwrites its best checkpoint after each fall of the learning rate",
    "validation blur and JPEG are drawn once per image; the reference draws them anew in every epoch",
)


@dataclass(frozen=True)
class TrainRecord:
    """What OUT/NAME/record.json holds; ``stop_reason`` is None while the run goes on."""

    name: str
    arch: str
    recipe: str
    config: dict[str, Any]
    initialisation: str
    data: dict[str, Any]
    seed: int
    seconds: float
    max_seconds: float | None
    epochs: int
    stop_reason: str | None
    best_epoch: int | None
    best: dict[str, Any]
    threshold_logit: float | None
    weights: str
    weights_sha256: str | None
    batchnorm: str
    processes: int
    images_seen: int
    growth: list[dict[str, Any]]
    device: str
    versions: dict[str, str]
    differences_to_reference: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON values, no path of this machine among them."""
        return asdict(self)

    def summary(self) -> str:
        """Three lines for people."""
        best = self.best
        return (
            f"{self.name}: {self.stop_reason} after {self.epochs} epochs, {self.seconds:.0f} s\n"
            f"started from {self.initialisation}\n"
            f"best epoch {self.best_epoch}: val accuracy {best.get('val_accuracy', float('nan')):.4f}, "
            f"ap {best.get('val_ap', float('nan')):.4f} -> {self.weights} (sha256 {self.weights_sha256})"
        )


def make_record(run: Run) -> TrainRecord:
    """The record of a run as it stands."""
    best = run.best or {}
    return TrainRecord(
        name=run.config.name,
        arch=run.config.arch,
        recipe=recipe_name(run),
        config=_without_paths(run),
        initialisation=run.initialisation,
        data={split: {**run.facts["data"][split], "fingerprint": run.fingerprints[split]} for split in run.fingerprints},
        seed=run.config.seed,
        seconds=round(run.seconds, 1),
        max_seconds=run.config.max_seconds,
        epochs=run.epoch,
        stop_reason=run.stop_reason,
        best_epoch=best.get("row", {}).get("epoch"),
        best=best.get("row", {}),
        threshold_logit=best.get("row", {}).get("threshold_logit"),
        weights=BEST,
        weights_sha256=best.get("sha256"),
        batchnorm=batchnorm_kind(run.world, freeze_batchnorm=run.config.freeze_batchnorm),
        processes=run.world.size,
        images_seen=run.images_total,
        growth=run.growth,
        device=device_words(run.world.device),
        versions=versions(),
        differences_to_reference=(*DIFFERENCES, *_differences(run)),
    )


def _differences(run: Run) -> tuple[str, ...]:
    recipe = RECIPES.get(run.config.recipe)
    return recipe.differences if recipe else ()


def recipe_name(run: Run) -> str:
    """Name of the recipe, with the fields of its augmentation and of its settings that a flag changed.

    A recipe that is not in the table is somebody's own, and its figures are under `config` all the same.
    """
    recipe = RECIPES.get(run.config.recipe)
    if recipe is None:
        return run.config.recipe
    given = {**asdict(run.config.augment), **{key: getattr(run.config, key) for key in recipe.settings}}
    named = {**asdict(recipe.augment), **recipe.settings}
    changed = [f"{key}={given[key]}" for key in named if given[key] != named[key] and key not in FREE_FIELDS]
    return f"{run.config.recipe} with {', '.join(changed)}" if changed else run.config.recipe


def device_words(device: torch.device) -> str:
    """The kind of device, a GPU by its product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    """Versions of everything that touches a pixel or a weight."""
    modules = {"torch": torch, "numpy": numpy, "scipy": scipy, "pillow": PIL}
    installed = {name: str(module.__version__) for name, module in modules.items()}
    return {"python": platform.python_version(), **installed, "torchvision": version("torchvision")}


def _without_paths(run: Run) -> dict[str, Any]:
    plain = as_plain(run.config)
    plain["data"] = Path(run.config.data).name
    del plain["out"]
    if run.config.init not in ("imagenet", "random"):
        plain["init"] = Path(run.config.init).name
    return plain
