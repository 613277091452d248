"""Which images a step sees, and that workers, processes, memory and interruptions never change it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_training_set import SMALL_CROP, draw_training_set

from cnndetect.data.folders import Sample
from cnndetect.errors import ImageError, LayoutError
from cnndetect.train.data import (
    Batch,
    Split,
    class_of,
    describe,
    global_batches,
    load_splits,
    scan_split,
    train_batches,
    validation_batches,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_training_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def split(root: Path) -> Split:
    return load_splits({"train": scan_split(root, "train", ())}, SMALL_CROP, cache_mb=64)["train"]


def _epoch(split: Split, *, epoch: int = 0, seed: int = 0, batch_size: int = 7, first_step: int = 0, rank: int = 0,
           world_size: int = 1, workers: int = 0) -> list[Batch]:  # fmt: skip
    return list(
        train_batches(
            split, seed=seed, epoch=epoch, batch_size=batch_size, first_step=first_step, rank=rank, world_size=world_size,
            workers=workers,
        )
    )  # fmt: skip


def _images(batches: list[Batch]) -> torch.Tensor:
    return torch.cat([batch.images for batch in batches])


def test_an_epoch_is_a_permutation_with_the_right_labels(split: Split) -> None:
    order = [index for batch in global_batches(40, seed=3, epoch=2, batch_size=7) for index in batch]
    assert sorted(order) == list(range(40)) and order != list(range(40))
    batches = _epoch(split, seed=3, epoch=2)
    assert torch.cat([batch.labels for batch in batches]).tolist() == [split.samples[index].label for index in order]
    assert [batch.global_size for batch in batches] == [7, 7, 7, 7, 7, 5]
    assert _images(batches).dtype == torch.uint8


def test_epochs_and_seeds_differ(split: Split) -> None:
    orders = [global_batches(40, seed=seed, epoch=epoch, batch_size=40)[0] for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    # The same image looks different in the next epoch: the views of image 0, wherever it comes.
    views = [_images(_epoch(split, epoch=epoch, batch_size=40))[orders[epoch].index(0)] for epoch in (0, 1)]
    assert not torch.equal(*views)


@pytest.mark.parametrize("changes", [{"workers": 2}, {"batch_size": 40}, {"batch_size": 4}])
def test_workers_and_batch_size_do_not_change_a_sample(split: Split, changes: dict) -> None:
    assert torch.equal(_images(_epoch(split)), _images(_epoch(split, **changes)))


def test_a_cache_that_is_full_changes_nothing(root: Path, split: Split) -> None:
    samples = scan_split(root, "train", ())
    # 1 MB holds them all, 0 none; a budget of a few images is made by hand.
    none = load_splits({"train": samples}, SMALL_CROP, cache_mb=0)["train"]
    assert all(image is None for image in none.cached) and all(image is not None for image in split.cached)
    few = Split(samples=samples, cached=(*split.cached[:5], *none.cached[5:]), augment=SMALL_CROP)
    for other in (none, few):
        assert torch.equal(_images(_epoch(split)), _images(_epoch(other)))


def test_the_budget_is_kept_and_validation_comes_first(root: Path) -> None:
    samples = {name: scan_split(root, name, ()) for name in ("train", "val")}
    copies = {"train": samples["train"] * 10, "val": samples["val"]}  # 400 and 16 images of 3072 bytes; 341 fit into 1 MB
    splits = load_splits(copies, SMALL_CROP, cache_mb=1)
    kept = {name: [image is not None for image in split.cached] for name, split in splits.items()}
    assert all(kept["val"]) and sum(kept["train"]) == 2**20 // 3072 - 16
    assert kept["train"] == sorted(kept["train"], reverse=True)


def test_resuming_gives_the_rest_of_the_epoch(split: Split) -> None:
    whole, rest = _epoch(split, epoch=4), _epoch(split, epoch=4, first_step=3)
    assert len(rest) == 3
    assert torch.equal(_images(whole[3:]), _images(rest))
    assert _epoch(split, first_step=6) == []


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_the_same_global_batches(split: Split, world_size: int) -> None:
    alone = _epoch(split)
    shares = [_epoch(split, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step, batch in enumerate(alone):
        parts = [share[step] for share in shares]
        assert all(part.global_size == batch.global_size for part in parts)
        for rank, part in enumerate(parts):
            assert torch.equal(part.images, batch.images[rank::world_size])
            assert torch.equal(part.labels, batch.labels[rank::world_size])


def test_a_last_batch_that_cannot_be_shared_is_left_out() -> None:
    def sizes(count: int, world_size: int) -> list[int]:
        return [len(batch) for batch in global_batches(count, seed=0, epoch=0, batch_size=8, world_size=world_size)]

    assert sizes(18, 1) == [8, 8, 2]
    assert sizes(17, 1) == [8, 8]
    assert sizes(18, 4) == [8, 8]
    assert sizes(5, 1) == [5]


def test_validation_is_in_order_and_the_same_every_time(root: Path) -> None:
    val = load_splits({"val": scan_split(root, "val", ())}, SMALL_CROP, cache_mb=1)["val"]

    def run(**changes: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        options = {"seed": 0, "batch_size": 5, "rank": 0, "world_size": 1, "workers": 0}
        return list(validation_batches(val, **{**options, **changes}))

    first, again, bigger = run(), run(workers=1), run(batch_size=16)
    assert torch.cat([labels for _, labels in first]).tolist() == val.labels.tolist()
    for other in (again, bigger):
        assert torch.equal(torch.cat([images for images, _ in first]), torch.cat([images for images, _ in other]))
    # A third of the images is blurred or compressed, by the run's seed.
    assert not torch.equal(torch.cat([i for i, _ in first]), torch.cat([i for i, _ in run(seed=1)]))


def test_samples_are_described_by_class(root: Path) -> None:
    described = describe(scan_split(root, "train", ()))
    assert (described["real"], described["fake"]) == (20, 20)
    assert list(described["classes"]) == ["cat", "dog"]
    flat = Sample(path=root / "none.png", label=0, relative="0_real/deep/x.png", cluster="x")
    nested = Sample(path=root / "none.png", label=1, relative="a/b/1_fake/deep/x.png", cluster="x")
    assert (class_of(flat), class_of(nested)) == ("", "a/b")
    assert describe((flat, nested))["classes"] == {".": {"real": 1, "fake": 0}, "a/b": {"real": 0, "fake": 1}}


def test_a_missing_label_or_broken_image_is_named(tmp_path: Path) -> None:
    root = draw_training_set(tmp_path, classes=("cat",))
    broken = root / "train" / "cat" / "1_fake" / "003.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(ImageError, match="003.png"):
        load_splits({"train": scan_split(root, "train", ())}, SMALL_CROP, cache_mb=1)
    for path in (root / "val" / "cat" / "0_real").iterdir():
        path.unlink()
    with pytest.raises(LayoutError, match="0_real"):
        scan_split(root, "val", ())


def test_a_small_image_is_named_even_when_it_is_not_cached(tmp_path: Path) -> None:
    root = draw_training_set(tmp_path, classes=("cat",), size_px=16)
    samples = scan_split(root, "train", ())
    with pytest.raises(ImageError, match=r"000.png is 16x16 px.*24 px"):
        load_splits({"train": samples}, SMALL_CROP, cache_mb=0)
    with pytest.raises(ImageError, match=r"png is 16x16 px.*24 px"):
        _epoch(Split(samples=samples, cached=(None,) * len(samples), augment=SMALL_CROP))


def test_cached_images_are_never_written_to(split: Split) -> None:
    before = [np.array(image) for image in split.cached]
    _epoch(split)
    assert all(np.array_equal(*pair) for pair in zip(before, split.cached, strict=True))
