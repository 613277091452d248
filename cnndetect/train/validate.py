"""Validation of a training run: the logits of the validation split and the figures for the epoch log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cnndetect.errors import DataError
from cnndetect.metrics import accuracy_at, average_precision, fit_threshold
from cnndetect.train.config import TrainConfig
from cnndetect.train.data import Split, validation_batches
from cnndetect.train.distributed import World, gather
from cnndetect.transforms.preprocess import normalize


@dataclass(frozen=True)
class Validation:
    """Figures of one pass over the validation images; the threshold maximises balanced accuracy on them."""

    accuracy: float
    accuracy_real: float
    accuracy_fake: float
    ap: float
    loss: float
    threshold_logit: float

    @property
    def rank(self) -> tuple[float, float, float]:
        """Which weights are best: accuracy, then AP, then the lower loss; greater is better."""
        return (self.accuracy, self.ap, -self.loss)

    def row(self) -> dict[str, float]:
        """Numbers for one line of the log."""
        names = ("accuracy", "accuracy_real", "accuracy_fake", "ap", "loss")
        return {**{f"val_{name}": getattr(self, name) for name in names}, "threshold_logit": self.threshold_logit}


def validate(network: nn.Module, split: Split, config: TrainConfig, world: World) -> Validation:
    """Run the network over the validation images and measure; every process gets the same figures."""
    logits, labels = compute_logits(network, split, config, world), split.labels
    if not np.isfinite(logits).all():
        raise DataError(
            f"{int((~np.isfinite(logits)).sum())} of {len(logits)} validation logits are not finite: the "
            "training diverged. Lower --lr (with --rerun or another --name), or train without --amp."
        )

    real, fake = accuracy_at(labels, logits)
    signs = 2 * labels - 1
    return Validation(
        accuracy=float(np.mean((logits > 0) == (labels == 1))),
        accuracy_real=float(real),
        accuracy_fake=float(fake),
        ap=float(average_precision(labels, logits)),
        loss=float(np.mean(np.logaddexp(0, -signs * logits))),
        threshold_logit=float(fit_threshold(labels, logits)),
    )


@torch.no_grad()
def compute_logits(network: nn.Module, split: Split, config: TrainConfig, world: World) -> np.ndarray:
    """Logits in the order of the samples, float64 [N]; all processes help; the network stays in eval mode."""
    network.eval()
    batches = validation_batches(
        split, seed=config.seed, batch_size=config.batch_size, rank=world.rank, world_size=world.size,
        workers=config.workers,
    )  # fmt: skip
    parts = []
    for images, _ in batches:
        batch = to_network(images, config, world)
        with autocast(config, world):
            parts.append(network(batch).float().cpu())  # [N, 3, H, W] -> [N]

    # Process r saw the samples r, r + size, ... of every batch.
    mine = torch.cat(parts).numpy().astype(np.float64) if parts else np.zeros(0)
    logits = np.full(len(split.samples), np.nan)
    for rank, theirs in enumerate(gather(mine, world)):
        logits[_seen_by(rank, len(split.samples), config.batch_size, world.size)] = theirs
    return logits


def to_network(images: torch.Tensor, config: TrainConfig, world: World) -> torch.Tensor:
    """uint8 [N, 3, H, W] -> normalised float32 on the device, in the memory format of the run."""
    batch = normalize(images.to(world.device))
    return batch.contiguous(memory_format=torch.channels_last) if config.channels_last else batch


def autocast(config: TrainConfig, world: World) -> torch.autocast:
    """The precision of the run around a forward pass."""
    return torch.autocast(world.device.type, dtype=torch.bfloat16, enabled=config.amp == "bf16")


def _seen_by(rank: int, count: int, batch_size: int, world_size: int) -> list[int]:
    starts = range(0, count, batch_size)
    return [i for start in starts for i in range(start, min(start + batch_size, count))[rank::world_size]]
