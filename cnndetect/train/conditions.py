"""Validation built like the task: held-out photographs and decoders, under several conditions; the choice is by the mean.

Each condition is a degradation of transforms/degrade.py, of real and fake alike, at native size. AP and AUC are computed
within a condition and averaged: a detector that is only good on clean images is not chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from cnndetect.errors import DataError
from cnndetect.metrics import accuracy_at, average_precision, fit_threshold, roc_auc
from cnndetect.train.config import TrainConfig
from cnndetect.train.data import Split
from cnndetect.train.distributed import World, gather
from cnndetect.train.validate import Validation, autocast, to_network
from cnndetect.transforms.degrade import degrade

_BATCH = 16


@dataclass(frozen=True)
class ConditionsValidation(Validation):
    """``ap`` and ``auc`` are means over the conditions; accuracy, loss and threshold are of all of them together."""

    auc: float = float("nan")
    by_condition: dict[str, tuple[float, float]] = field(default_factory=dict)  # name -> (AP, AUC)

    @property
    def rank(self) -> tuple[float, float, float]:
        """Which weights are best: mean AUC, then mean AP, then the lower loss."""
        return (self.auc, self.ap, -self.loss)

    def row(self) -> dict[str, float]:
        """Numbers for one line of the log."""
        each = {
            f"val_{kind}_{name}": value for name, pair in self.by_condition.items() for kind, value in zip(("ap", "auc"), pair, strict=True)
        }
        return {**super().row(), "val_auc": self.auc, **each}


def validate_conditions(network: nn.Module, split: Split, config: TrainConfig, world: World) -> ConditionsValidation:
    """Run the network over the validation images once per condition; every process gets the same figures."""
    labels = split.labels
    found = {name: condition_logits(network, split, name, config, world) for name in config.conditions}
    return summarize({name: (labels, logits) for name, logits in found.items()})


def summarize(found: dict[str, tuple[np.ndarray, np.ndarray]]) -> ConditionsValidation:
    """Condition -> (labels [N], logits [N]) as figures. Raises DataError where a logit is not finite.

    >>> perfect = (np.array([0, 1]), np.array([-1.0, 1.0]))
    >>> summarize({"none": perfect, "jpeg_75": perfect}).auc
    1.0
    """
    labels = np.concatenate([pair[0] for pair in found.values()])
    logits = np.concatenate([pair[1] for pair in found.values()])
    if not np.isfinite(logits).all():
        raise DataError(
            f"{int((~np.isfinite(logits)).sum())} of {len(logits)} validation logits are not finite: the training diverged. "
            "Lower --lr (with --rerun or another --name), or train without --amp."
        )
    by_condition = {name: (float(average_precision(*pair)), float(roc_auc(*pair))) for name, pair in found.items()}
    real, fake = accuracy_at(labels, logits)
    signs = 2 * labels.astype(np.float64) - 1
    return ConditionsValidation(
        accuracy=float(np.mean((logits > 0) == (labels == 1))),
        accuracy_real=float(real),
        accuracy_fake=float(fake),
        ap=float(np.mean([pair[0] for pair in by_condition.values()])),
        loss=float(np.mean(np.logaddexp(0, -signs * logits))),
        threshold_logit=float(fit_threshold(labels, logits)),
        auc=float(np.mean([pair[1] for pair in by_condition.values()])),
        by_condition=by_condition,
    )


@torch.no_grad()
def condition_logits(network: nn.Module, split: Split, name: str, config: TrainConfig, world: World) -> np.ndarray:
    """Logits under one condition in the order of the samples, float64 [N]; the network stays in evaluation mode."""
    network.eval()
    mine = list(range(world.rank, len(split.samples), world.size))
    parts = [np.zeros(0)]
    for images in _batches(split, mine, name):
        with autocast(config, world):
            parts.append(network(to_network(images, config, world)).double().cpu().numpy())  # [N, 3, H, W] -> [N]
    logits = np.full(len(split.samples), np.nan)
    for rank, theirs in enumerate(gather(np.concatenate(parts), world)):
        logits[rank :: world.size] = theirs
    return logits


def _batches(split: Split, indices: list[int], name: str) -> Iterator[torch.Tensor]:
    """Runs of degraded images of equal size, in order: uint8 [N, 3, H, W]. A pair has one seed: the same noise, the same crop."""
    half = max(len(split.samples) // 2, 1)
    waiting: list[torch.Tensor] = []
    for index in indices:
        array = degrade(split.image(index), name, seed=index % half)
        image = torch.from_numpy(array.transpose(2, 0, 1).copy())
        if waiting and (waiting[0].shape != image.shape or len(waiting) == _BATCH):
            yield torch.stack(waiting)
            waiting = []
        waiting.append(image)
    if waiting:
        yield torch.stack(waiting)
