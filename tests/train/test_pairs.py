"""Training on pairs: both images of a pair go through the same, and nothing but the fake's trace differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnndetect.data.test_only import MARK
from cnndetect.errors import DataError, ImageError, LayoutError, ProtocolError
from cnndetect.metrics import average_precision
from cnndetect.train.checkpoint import load_checkpoint
from cnndetect.train.conditions import summarize
from cnndetect.train.config import TrainConfig
from cnndetect.train.data import Split, load_splits, scan_split
from cnndetect.train.loop import train
from cnndetect.train.options import parse
from cnndetect.train.pairs import check_pairs, limit_pairs, pair_batches, pair_name, pair_order
from cnndetect.transforms.augment import AugmentConfig
from cnndetect.transforms.pairs import CODECS, PairConfig, augment_pair, draw_pair

EVERYTHING = AugmentConfig(resize_px=None, crop_px=24, blur_probability=0.5, jpeg_probability=0.7)
NO_MIX = PairConfig(mix_probability=0.0, codecs=tuple(CODECS))


def draw_pairs(root: Path, decoders: dict[str, int], *, split: str = "train", size_px: int = 32) -> Path:
    """ROOT/SPLIT/DECODER/{0_real,1_fake}/N-half.png: noise, and the same noise with every second column doubled."""
    rng = np.random.default_rng(len(decoders))
    for name, count in decoders.items():
        for label in ("0_real", "1_fake"):
            (root / split / name / label).mkdir(parents=True)
        for index in range(count):
            real = rng.integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)
            fake = real.repeat(2, axis=1)[:, :size_px]
            for label, array in (("0_real", real), ("1_fake", fake)):
                Image.fromarray(array).save(root / split / name / label / f"{index:03d}-{('half', 'native0')[index % 2]}.png")
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    draw_pairs(tmp_path / "data", {"progan_a": 12, "progan_b": 4})
    return draw_pairs(tmp_path / "data", {"progan_held": 6}, split="val")


def config_of(data: Path, out: Path, **changes: object) -> TrainConfig:
    fields: dict = {
        "data": data, "out": out, "name": "run", "augment": EVERYTHING, "arch": "tiny", "init": "random", "lr": 0.01, "batch_size": 8,
        "max_epochs": 2, "device": "cpu", "threads": 1, "pairs": PairConfig(), "epoch_images": 40, "average": 0.8,
        "conditions": ("none", "jpeg_75", "resize_1.5"),
    }  # fmt: skip
    return TrainConfig(**{**fields, **changes})


def split_of(config: TrainConfig) -> Split:
    samples = check_pairs(scan_split(config.data, "train", ()))
    return load_splits({"train": samples}, config.augment, cache_mb=10)["train"]


def test_identical_images_stay_identical_under_every_augmentation() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for seed in range(60):
        real, fake = augment_pair(image, image.copy(), EVERYTHING, NO_MIX, rng=np.random.default_rng(seed))
        assert (real == fake).all()


def test_both_images_are_cut_flipped_and_turned_alike() -> None:
    # The fake is the photograph plus one level: whatever view is taken, the difference stays one everywhere.
    real = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    plain = AugmentConfig(resize_px=None, crop_px=24)
    seen = set()
    for seed in range(40):
        one, two = augment_pair(real, real + 1, plain, PairConfig(mix_probability=0.0), rng=np.random.default_rng(seed))
        assert (two - one == 1).all()
        seen.add(one.tobytes())
    assert len(seen) > 30


def test_a_mix_changes_only_the_fake_and_only_towards_its_photograph() -> None:
    real, fake = np.full((32, 32, 3), 100, np.uint8), np.full((32, 32, 3), 200, np.uint8)
    always = PairConfig(mix_probability=1.0)
    plain = AugmentConfig(resize_px=None, crop_px=24)
    views = [augment_pair(real, fake, plain, always, rng=np.random.default_rng(seed)) for seed in range(200)]
    assert all((one == 100).all() for one, _ in views)
    levels = np.array([two.mean() for _, two in views])
    assert levels.min() >= 150 and levels.max() <= 200 and levels.min() < 160 and levels.max() > 190
    mixed = sum(draw_pair(plain, PairConfig(), 32, 32, rng=np.random.default_rng(seed)).weight > 0 for seed in range(2000))
    assert 340 < mixed < 460  # a fifth


def test_pairs_of_unequal_size_are_refused() -> None:
    with pytest.raises(ImageError, match="equal size"):
        augment_pair(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 40, 3), np.uint8), EVERYTHING, NO_MIX, rng=np.random.default_rng(0))


def test_a_batch_holds_whole_pairs_at_the_same_place(data: Path, tmp_path: Path) -> None:
    config = config_of(data, tmp_path, augment=replace(EVERYTHING, blur_probability=0.0, jpeg_probability=0.0))
    split = split_of(config)
    half = len(split.samples) // 2
    assert [pair_name(sample) for sample in split.samples[:half]] == [pair_name(sample) for sample in split.samples[half:]]
    for batch in pair_batches(split, config, epoch=0, first_step=0, rank=0, world_size=1):
        assert batch.labels.tolist() == [0.0, 1.0] * (len(batch.labels) // 2)
        reals, fakes = batch.images[0::2].int(), batch.images[1::2].int()
        # Half of a fake's columns (or, turned, rows) repeat a pixel of its photograph's crop or of the column beside it.
        assert all(
            (real != fake).any() and real.float().mean().sub(fake.float().mean()).abs() < 40
            for real, fake in zip(reals, fakes, strict=True)
        )


def test_every_decoder_gives_the_same_number_of_pairs(data: Path, tmp_path: Path) -> None:
    config = config_of(data, tmp_path)
    split = split_of(config)
    half = len(split.samples) // 2
    order = [index for batch in pair_order(split, config, epoch=1) for index in batch]
    names = [pair_name(split.samples[index % half]).split("/")[0] for index in order]
    assert names.count("progan_a") == names.count("progan_b") == 10
    assert len(set(order)) == 20  # a repeat is another view
    assert order != [index for batch in pair_order(split, config, epoch=2) for index in batch]


def test_processes_share_the_batches_of_one(data: Path, tmp_path: Path) -> None:
    config = config_of(data, tmp_path)
    split = split_of(config)
    alone = list(pair_batches(split, config, epoch=0, first_step=1, rank=0, world_size=1))
    shared = [list(pair_batches(split, config, epoch=0, first_step=1, rank=rank, world_size=2)) for rank in (0, 1)]
    for one, first, second in zip(alone, *shared, strict=True):
        both = torch.stack([first.images.unflatten(0, (-1, 2)), second.images.unflatten(0, (-1, 2))], dim=1).flatten(0, 2)
        assert torch.equal(one.images, both) and one.global_size == first.global_size


@pytest.mark.parametrize("limit", [None, 20, 12, 8])
def test_no_limit_lets_the_file_or_the_kind_tell_the_classes(data: Path, limit: int | None) -> None:
    kept = limit_pairs(check_pairs(scan_split(data, "train", ())), limit)
    labels = [sample.label for sample in kept]
    assert len(kept) <= (limit or 32) and labels.count(0) == labels.count(1)
    by_kind = [float("native" in sample.relative) for sample in kept]
    assert average_precision(labels, by_kind) <= 0.5
    assert average_precision(labels, [-value for value in by_kind]) <= 0.5


def test_an_image_without_its_partner_is_named(data: Path) -> None:
    next((data / "train" / "progan_a" / "1_fake").iterdir()).unlink()
    with pytest.raises(LayoutError, match="progan_a/.*no partner|no partner"):
        check_pairs(scan_split(data, "train", ()))


def test_a_run_that_was_cut_goes_on_to_the_bit(data: Path, tmp_path: Path) -> None:
    whole = config_of(data, tmp_path / "whole")
    train(whole)
    cut = config_of(data, tmp_path / "cut", max_seconds=1e-6, checkpoint_steps=1)
    for _ in range(30):  # each start does a step and stops
        if train(cut).stop_reason == "max_epochs":
            break
        cut = replace(cut, max_seconds=cut.max_seconds + 1e-6)
    train(replace(cut, max_seconds=None))
    one, two = (load_checkpoint(config.folder / "last.ckpt") for config in (whole, cut))
    for part in ("model", "average"):
        assert all(torch.equal(one[part][key], two[part][key]) for key in one[part])
    assert one["images_before"] == two["images_before"] == 80


def test_new_decoders_are_taken_in_only_when_asked(data: Path, tmp_path: Path) -> None:
    config = config_of(data, tmp_path / "out", max_epochs=1)
    assert train(config).growth == [{"from_image": 0, "classes": ["progan_a", "progan_b"]}]
    draw_pairs(data, {"random_c": 6})
    more = replace(config, max_epochs=2)
    with pytest.raises(DataError, match="another configuration"):
        train(more)
    record = train(more, grow=True)
    assert record.growth[1] == {"from_image": 40, "classes": ["progan_a", "progan_b", "random_c"]}
    assert record.images_seen == 80
    for label in ("0_real", "1_fake"):
        (data / "train" / "progan_a" / label / "000-half.png").unlink()
    with pytest.raises(DataError, match="lost or changed the classes progan_a"):
        train(replace(config, max_epochs=3), grow=True)


def test_the_kept_weights_are_the_average_and_the_log_names_every_condition(data: Path, tmp_path: Path) -> None:
    record = train(config_of(data, tmp_path / "out", max_epochs=1))
    assert {"val_auc", "val_ap", "val_auc_jpeg_75", "val_ap_resize_1.5", "images_seen"} <= record.best.keys()
    state = load_checkpoint(tmp_path / "out" / "run" / "last.ckpt")
    assert any(not torch.equal(state["model"][key], state["average"][f"module.{key}"]) for key in state["model"])
    each = [record.best[f"val_auc_{name}"] for name in ("none", "jpeg_75", "resize_1.5")]
    assert record.best["val_auc"] == pytest.approx(np.mean(each))


def test_weights_are_chosen_by_the_mean_over_conditions() -> None:
    labels = np.array([0, 0, 1, 1])
    good, bad = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([2.0, 1.0, -1.0, -2.0])
    even = np.array([-2.0, 1.0, -1.0, 2.0])
    assert (
        summarize({"none": (labels, even), "jpeg_75": (labels, even)}).rank
        > summarize({"none": (labels, good), "jpeg_75": (labels, bad)}).rank
    )


def test_training_on_a_test_suite_is_refused(data: Path, tmp_path: Path) -> None:
    (data / MARK).touch()
    with pytest.raises(ProtocolError, match="test suite"):
        train(config_of(data, tmp_path / "out"))


def test_the_recipe_and_its_flags() -> None:
    words = ["--data", "d", "--name", "n", "--out", "o", "--recipe", "pairs-blur-jpeg-0.5", "--mix-weight", "0.3", "--codecs", "jpeg,webp"]
    config = parse(words)
    assert config.pairs == PairConfig(mix_weight=0.3, codecs=("jpeg", "webp"))
    assert config.augment.jpeg_probability == 0.5 and config.augment.blur_probability == 0.1 and config.augment.resize_px is None
