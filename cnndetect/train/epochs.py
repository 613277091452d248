"""The order of an epoch and its batches, of single images or of pairs, as the configuration says."""

from __future__ import annotations

from collections.abc import Iterator

from cnndetect.errors import DataError
from cnndetect.train.config import TrainConfig
from cnndetect.train.data import Batch, Split, global_batches, train_batches
from cnndetect.train.pairs import pair_batches, pair_order


def epoch_order(config: TrainConfig, split: Split, *, epoch: int, world_size: int = 1) -> list[list[int]]:
    """Numbers of the images, or of the pairs, of every step. Raises DataError where a batch is smaller than the world."""
    if config.pairs is not None:
        batches = pair_order(split, config, epoch=epoch, world_size=world_size)
    else:
        batches = global_batches(
            len(split.samples), seed=config.seed, epoch=epoch, batch_size=config.batch_size, world_size=world_size,
            labels=split.labels, balance=config.balance,
        )  # fmt: skip
    if len(batches[0]) < world_size:
        raise DataError(
            f"A batch of {len(batches[0])} images cannot be shared by {world_size} processes. "
            "Raise --batch-size, add images or start fewer processes."
        )
    return batches


def epoch_batches(config: TrainConfig, split: Split, *, epoch: int, first_step: int, rank: int, world_size: int) -> Iterator[Batch]:
    """Batches of one epoch from ``first_step`` on: each process has its share of the same global batches."""
    if config.pairs is not None:
        return pair_batches(split, config, epoch=epoch, first_step=first_step, rank=rank, world_size=world_size)
    return train_batches(
        split, seed=config.seed, epoch=epoch, batch_size=config.batch_size, first_step=first_step, rank=rank,
        world_size=world_size, workers=config.workers, balance=config.balance,
    )  # fmt: skip
