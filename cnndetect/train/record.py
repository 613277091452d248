"""Make the record that travels with the weights of a run: trained on what, how, and how it ended."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from cnndetect.detectors.run_record import RunRecord
from cnndetect.files import versions
from cnndetect.train.config import FREE_FIELDS, as_plain
from cnndetect.train.distributed import batchnorm_kind
from cnndetect.train.recipes import RECIPES
from cnndetect.train.run_state import BEST, Run
from cnndetect.transforms.pairs import PairConfig

DIFFERENCES = (
    "the best weights are those of the best validation (accuracy, then AP, then loss) over all epochs; the "
    "reference overwrites its best checkpoint after each fall of the learning rate",
    "validation blur and JPEG are drawn once per image; the reference draws them anew in every epoch",
)


def make_record(run: Run) -> RunRecord:
    """The record of a run as it stands."""
    best = run.best or {}
    return RunRecord(
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
    given = _flat({**asdict(run.config.augment), **{key: getattr(run.config, key) for key in recipe.settings}})
    named = _flat({**asdict(recipe.augment), **recipe.settings})
    changed = [f"{key}={given[key]}" for key in named if given[key] != named[key] and key not in FREE_FIELDS]
    return f"{run.config.recipe} with {', '.join(changed)}" if changed else run.config.recipe


def device_words(device: torch.device) -> str:
    """The kind of device, a GPU by its product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _without_paths(run: Run) -> dict[str, Any]:
    plain = as_plain(run.config)
    plain["data"] = Path(run.config.data).name
    del plain["out"]
    if run.config.init not in ("imagenet", "random"):
        plain["init"] = Path(run.config.init).name
    return plain


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of what pairs go through stand beside the others, as their flags do."""
    pairs = fields.get("pairs")
    return {**fields, "pairs": None, **asdict(pairs)} if isinstance(pairs, PairConfig) else fields
