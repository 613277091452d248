"""Training data: the batches of any epoch, from any step on, of ROOT/{train,val}/class/{0_real,1_fake}.

A view of a sample depends only on (seed, epoch, its index), the order of an epoch only on (seed, epoch):
the number of workers, the number of processes and an interruption never change what the network sees.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from cnndetect.data.folders import Sample, class_of, scan
from cnndetect.errors import DataError, ImageError, LayoutError, lookup
from cnndetect.images import open_image
from cnndetect.progress import bar
from cnndetect.transforms.augment import AugmentConfig, augment, augment_validation, resize

# First number of every seed, so that the three kinds of choices never share a stream.
_TRAIN, _VALIDATION, _ORDER = 1, 2, 3


@dataclass(frozen=True)
class Split:
    """Samples of one split with the images that fit into memory (already resized), the rest None."""

    samples: tuple[Sample, ...]
    cached: tuple[np.ndarray | None, ...]
    augment: AugmentConfig

    def image(self, index: int) -> np.ndarray:
        """One image, resized: uint8 [H, W, 3]."""
        kept = self.cached[index]
        return _decode(self.samples[index], self.augment) if kept is None else kept

    @property
    def labels(self) -> np.ndarray:
        """[N] of 0 (real) and 1 (fake)."""
        return np.array([sample.label for sample in self.samples])


@dataclass(frozen=True)
class Batch:
    """Part of a global batch that this process computes, and how many images the global batch has."""

    images: torch.Tensor  # uint8 [N, 3, crop_px, crop_px]
    labels: torch.Tensor  # float32 [N]
    global_size: int


def scan_split(root: Path, split: str, classes: tuple[str, ...]) -> tuple[Sample, ...]:
    """Samples of ``root/split``, of the named classes or of all."""
    if not (root / split).is_dir():
        found = ", ".join(sorted(path.name for path in root.iterdir())) if root.is_dir() else "no such folder"
        raise LayoutError(
            f"{root} has no folder {split}/ (found: {found or 'nothing'}). Training expects "
            "ROOT/{train,val}/class/{0_real,1_fake}/; validation decides the learning rate and the weights."
        )
    samples = tuple(scan(root / split))
    if not classes:
        return samples
    known = {class_of(sample): sample for sample in samples}
    for name in classes:
        lookup(f"class of {split}/", known, name)
    return tuple(sample for sample in samples if class_of(sample) in classes)


def describe(samples: tuple[Sample, ...]) -> dict[str, Any]:
    """How many real and fake images, in all and per class, and a quick fingerprint over names and file sizes.

    The quick one is enough to notice on resume that the data changed; the true one reads every image.
    """
    counts = Counter((class_of(sample), sample.label) for sample in samples)
    lines = sorted(f"{sample.relative}\t{sample.label}\t{_file_bytes(sample.path)}" for sample in samples)
    return {
        "real": sum(sample.label == 0 for sample in samples),
        "fake": sum(sample.label == 1 for sample in samples),
        "classes": {name or ".": {"real": counts[name, 0], "fake": counts[name, 1]} for name in sorted({n for n, _ in counts})},
        "listing_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }


def load_splits(
    samples: dict[str, tuple[Sample, ...]], augment: AugmentConfig, *, cache_mb: int, progress: bool = False
) -> dict[str, Split]:
    """Decode images into memory until ``cache_mb`` is used up; the rest is decoded at each use.

    The validation images come first: they are few, and every epoch sees them all.
    """
    left = cache_mb * 2**20
    splits = {}
    for name in sorted(samples, reverse=True):
        cached: list[np.ndarray | None] = [None] * len(samples[name])
        for index in bar(range(len(cached)), desc=f"decode {name}", shown=progress):
            image = _decode(samples[name][index], augment)
            if name == "train":
                _check_size(samples[name][index], image, augment)
            if image.nbytes > left:
                break
            cached[index] = image
            left -= image.nbytes
        splits[name] = Split(samples=samples[name], cached=tuple(cached), augment=augment)
    return splits


def train_batches(
    split: Split,
    *,
    seed: int,
    epoch: int,
    batch_size: int,
    first_step: int,
    rank: int,
    world_size: int,
    workers: int,
    balance: str = "none",
) -> Iterator[Batch]:
    """Batches of one epoch from ``first_step`` on: each process has its share of the same global batches."""
    batches = global_batches(
        len(split.samples), seed=seed, epoch=epoch, batch_size=batch_size, world_size=world_size,
        labels=split.labels, balance=balance,
    )[first_step:]  # fmt: skip
    views = _Views(split, seed=(_TRAIN, seed, epoch), training=True)
    for share, (images, labels) in zip(batches, _loader(views, batches, rank, world_size, workers), strict=True):
        yield Batch(images, labels, global_size=len(share))


def validation_batches(split: Split, *, seed: int, batch_size: int, rank: int, world_size: int, workers: int) -> DataLoader:
    """(images, labels) of the validation split in order; process r sees every world_size-th."""
    count = len(split.samples)
    batches = [list(range(start, min(start + batch_size, count))) for start in range(0, count, batch_size)]
    return _loader(_Views(split, seed=(_VALIDATION, seed), training=False), batches, rank, world_size, workers)


def global_batches(
    count: int, *, seed: int, epoch: int, batch_size: int, world_size: int = 1,
    labels: Sequence[int] | np.ndarray | None = None, balance: str = "none",
) -> list[list[int]]:  # fmt: skip
    """Sample indices of every step of an epoch: a fresh permutation, each sample once where nothing is balanced.

    The last batch may be smaller, as in the reference; it is left out only when it could not give every
    process an image, or is a single image (batch norm needs two).
    >>> [len(batch) for batch in global_batches(10, seed=0, epoch=0, batch_size=4)]
    [4, 4, 2]
    """
    rng = np.random.default_rng((_ORDER, seed, epoch))
    order = rng.permutation(count if balance == "none" else balanced(labels, balance, rng=rng)).tolist()
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if len(batches) > 1 and len(batches[-1]) < max(2, world_size):
        batches.pop()
    return batches


def balanced(labels: Sequence[int] | np.ndarray | None, balance: str, *, rng: np.random.Generator) -> np.ndarray:
    """Indices with as many reals as fakes: "over" repeats samples of the rarer class, "under" leaves some of the other out.

    labels: [N] of 0/1.  The k-th repeat of sample i has the index i + k N: another view of the same image.

    >>> balanced([0, 1, 1, 1, 1], "over", rng=np.random.default_rng(0)).tolist()
    [0, 5, 10, 15, 1, 2, 3, 4]
    >>> len(balanced([0, 1, 1, 1, 1], "under", rng=np.random.default_rng(0)))
    2
    """
    y = np.asarray(labels)
    groups = [np.flatnonzero(y == label) for label in (0, 1)]
    if not all(map(len, groups)):
        raise DataError(f"Balancing got {len(groups[0])} real and {len(groups[1])} fake images. Expected at least one of each.")
    wanted = (max if balance == "over" else min)(map(len, groups))
    chosen = []
    for group in groups:
        whole, rest = divmod(wanted, len(group))
        repeats = [group + k * len(y) for k in range(whole)]
        chosen += [*repeats, rng.choice(group, rest, replace=False) + whole * len(y)]
    return np.concatenate(chosen)


class _Views(Dataset):
    """Sample index -> (uint8 [3, crop, crop], label); runs in the workers."""

    def __init__(self, split: Split, *, seed: tuple[int, ...], training: bool) -> None:
        self.split, self.seed, self.training = split, seed, training

    def __getitem__(self, index: int) -> tuple[torch.Tensor, float]:
        place = index % len(self.split.samples)  # beyond the end: another view of the same sample
        sample, image, config = self.split.samples[place], self.split.image(place), self.split.augment
        rng = np.random.default_rng((*self.seed, index))
        if self.training:
            _check_size(sample, image, config)
            array = augment(image, config, rng=rng)
        else:
            array = augment_validation(image, config, rng=rng)
        return torch.from_numpy(array.transpose(2, 0, 1).copy()), float(sample.label)


def _loader(views: _Views, batches: list[list[int]], rank: int, world_size: int, workers: int) -> DataLoader:
    shares = [share for batch in batches if (share := batch[rank::world_size])]
    # A generator of its own: the loader would otherwise draw from torch's global stream.
    return DataLoader(views, batch_sampler=shares, num_workers=workers, collate_fn=_collate, generator=torch.Generator())


def _collate(items: list[tuple[torch.Tensor, float]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([image for image, _ in items]), torch.tensor([label for _, label in items])


def _file_bytes(path: Path) -> int:
    # A broken link is named when it is decoded; here it only must not pass for another file.
    return path.stat().st_size if path.exists() else -1


def _check_size(sample: Sample, image: np.ndarray, config: AugmentConfig) -> None:
    if min(image.shape[:2]) < config.crop_px:
        raise ImageError(
            f"{sample.path} is {image.shape[1]}x{image.shape[0]} px (resize_px={config.resize_px}): too "
            f"small for a random crop of {config.crop_px} px. Lower crop_px, or raise resize_px to that."
        )


def _decode(sample: Sample, augment: AugmentConfig) -> np.ndarray:
    return resize(open_image(sample.path), augment.resize_px)
