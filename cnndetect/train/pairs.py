"""Batches of pairs: each photograph's crop beside its resynthesis, under the same augmentation.

ROOT/{train,val}/DECODER/{0_real,1_fake}/NAME.png; the same NAME is a pair. A view depends only on (seed, epoch, pair), the
order only on (seed, epoch), so an interruption never changes what the network sees. An epoch takes as many pairs of each
decoder, however many a decoder has painted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from cnndetect.data.folders import Sample, class_of
from cnndetect.errors import LayoutError
from cnndetect.train.config import TrainConfig
from cnndetect.train.data import Batch, Split
from cnndetect.transforms.pairs import augment_pair

# First number of every seed; data.py has 1 to 3.
_VIEW, _ORDER = 4, 5


def check_pairs(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """The same samples, all reals first, where sample i and sample N/2 + i are a pair. Raises LayoutError."""
    halves = [{pair_name(sample): sample for sample in samples if sample.label == label} for label in (0, 1)]
    alone = sorted(halves[0].keys() ^ halves[1].keys())
    if alone:
        raise LayoutError(
            f"{len(alone)} images have no partner, {alone[0]!r} the first. Training on pairs expects every photograph of 0_real/ "
            "under the same name in 1_fake/, as `python -m cnndetect.zoo build-pairs` writes them."
        )
    names = sorted(halves[0])
    return tuple(half[name] for half in halves for name in names)


def pair_name(sample: Sample) -> str:
    """What a photograph's crop and its resynthesis have in common: DECODER/NAME.

    >>> from pathlib import Path
    >>> pair_name(Sample(Path("x"), 1, "progan_a/1_fake/lake-half.png", "x"))
    'progan_a/lake-half.png'
    """
    return f"{class_of(sample)}/{PurePosixPath(sample.relative).name}"


def limit_pairs(samples: tuple[Sample, ...], max_images: int | None) -> tuple[Sample, ...]:
    """At most ``max_images`` samples in whole pairs, equal shares of every decoder, chosen by a hash of the name.

    A real is taken with its fake, so no property of the photograph can differ between the two labels.
    """
    half = len(samples) // 2
    if max_images is None or len(samples) <= max_images:
        return samples
    groups: dict[str, list[int]] = {}
    for place, sample in enumerate(samples[:half]):
        groups.setdefault(class_of(sample), []).append(place)
    kept: list[int] = []
    for done, key in enumerate(sorted(groups, key=lambda key: (len(groups[key]), key))):
        share = (max_images // 2 - len(kept)) // (len(groups) - done)
        kept += sorted(groups[key], key=lambda place: _hash(pair_name(samples[place])))[:share]
    kept.sort()
    return tuple(samples[place] for place in [*kept, *(half + place for place in kept)])


def pair_order(split: Split, config: TrainConfig, *, epoch: int, world_size: int = 1) -> list[list[int]]:
    """Pair numbers of every step of an epoch; a number beyond the last pair is another view of the pair modulo their count.

    Each decoder gives the same number of pairs, in turn, in an order of its own; a decoder that runs out begins again.
    """
    half = len(split.samples) // 2
    groups: dict[str, list[int]] = {}
    for place, sample in enumerate(split.samples[:half]):
        groups.setdefault(class_of(sample), []).append(place)
    wanted = half if config.epoch_images is None else config.epoch_images // 2
    rng = np.random.default_rng((_ORDER, config.seed, epoch))
    turns = [rng.permutation(groups[key]) for key in sorted(groups)]
    order = []
    for place in range(wanted):
        group = turns[place % len(turns)]
        repeat, index = divmod(place // len(turns), len(group))
        order.append(int(group[index]) + repeat * half)
    order = rng.permutation(order).tolist()
    size = max(config.batch_size // 2, 1)
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if len(batches) > 1 and len(batches[-1]) < world_size:
        batches.pop()
    return batches


def pair_batches(split: Split, config: TrainConfig, *, epoch: int, first_step: int, rank: int, world_size: int) -> Iterator[Batch]:
    """Batches of one epoch from ``first_step`` on; a process has its share of the same global batches, in whole pairs."""
    batches = pair_order(split, config, epoch=epoch, world_size=world_size)[first_step:]
    shares = [share for batch in batches if (share := batch[rank::world_size])]
    # A generator of its own: the loader would otherwise draw from torch's global stream.
    loader = DataLoader(
        _Pairs(split, config, epoch), batch_sampler=shares, num_workers=config.workers, collate_fn=_collate, generator=torch.Generator()
    )
    for batch, (images, labels) in zip(batches, loader, strict=True):
        yield Batch(images, labels, global_size=2 * len(batch))


class _Pairs(Dataset):
    """Pair number -> (uint8 [2, 3, crop, crop]: photograph, resynthesis); runs in the workers."""

    def __init__(self, split: Split, config: TrainConfig, epoch: int) -> None:
        self.split, self.config, self.epoch = split, config, epoch

    def __getitem__(self, index: int) -> torch.Tensor:
        half = len(self.split.samples) // 2
        place = index % half
        rng = np.random.default_rng((_VIEW, self.config.seed, self.epoch, index))
        assert self.config.pairs is not None
        views = augment_pair(
            self.split.image(place), self.split.image(half + place), self.config.augment, self.config.pairs, rng=rng
        )  # fmt: skip
        return torch.from_numpy(np.stack([view.transpose(2, 0, 1) for view in views]))


def _collate(pairs: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.cat(pairs), torch.tensor([0.0, 1.0] * len(pairs))


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
