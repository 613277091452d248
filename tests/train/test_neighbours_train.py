"""The neighbours' recipes: one command each; stages, balance and schedules do what they say, and a kill changes nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_training_set import SMALL_CROP, draw_training_set, small_config
from safetensors.torch import load_file

import cnndetect
from cnndetect.detectors.networks.efficientnet import EfficientNetStatistics
from cnndetect.errors import DataError, ProtocolError
from cnndetect.train import loop
from cnndetect.train.__main__ import main
from cnndetect.train.architectures import ARCHITECTURES, build_network
from cnndetect.train.checkpoint import load_checkpoint, save_checkpoint
from cnndetect.train.config import TrainConfig
from cnndetect.train.data import global_batches, load_splits, scan_split, train_batches
from cnndetect.train.loop import train
from cnndetect.train.options import parse
from cnndetect.train.plateau import PlateauRule
from cnndetect.train.recipes import NEIGHBOURS, RECIPES
from cnndetect.train.stages import Stage, make_optimizer

STAGES = (Stage(epochs=1, lr=0.02, trained=("fc",)), Stage(epochs=2, lr=0.01, trained=("block", "fc"), optimizer="adam"))


class Killed(BaseException):
    """Stands in for a kill inside this process."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_training_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten reals and four fakes in train, as many of each in val."""
    root = draw_training_set(tmp_path_factory.mktemp("unequal"), classes=("cat",))
    for path in sorted((root / "train" / "cat" / "1_fake").iterdir())[4:]:
        path.unlink()
    return root


def _log(config: TrainConfig) -> list[dict]:
    return [json.loads(line) for line in (config.folder / "log.jsonl").read_text().splitlines()]


def test_recipes_carry_the_published_figures() -> None:
    def parsed(*words: str) -> TrainConfig:
        return parse(["--data", "d", "--name", "n", "--out", "o", *words])

    npr = parsed("--recipe", "npr")
    assert (npr.arch, npr.init, npr.lr, npr.batch_size, npr.max_epochs) == ("npr", "random", 2e-4, 32, 50)
    assert (npr.lr_step_epochs, npr.plateau.lr_factor, npr.augment.resize_px, npr.augment.crop_px) == (10, 0.9, 256, 224)
    two = parsed("--recipe", "resnet18-ce")
    assert (two.arch, two.optimizer, two.lr, two.augment.crop_px, two.balance) == ("resnet18-ce", "adam", 1e-3, 224, "over")
    spectrum = parsed("--recipe", "spectrum")
    assert (spectrum.optimizer, spectrum.lr, spectrum.weight_decay, spectrum.max_epochs) == ("sgd", 1e-2, 1e-4, 10)
    assert spectrum.batch_size == 64
    resnext = parsed("--recipe", "resnext101")
    assert [(stage.lr, stage.trained, stage.optimizer) for stage in resnext.stages] == [
        (1e-3, ("fc",), "sgd"),
        (1e-3, ("layer4", "fc"), "sgd"),
    ]
    assert (resnext.lr, resnext.augment.crop_px, resnext.augment.flip) == (1e-4, 299, True) and resnext.augment.jitter > 0
    # A flag wins over the recipe, and so it does inside the plateau rule.
    changed = parsed("--recipe", "npr", "--lr", "0.5", "--max-epochs", "3", "--patience", "9", "--init", "imagenet")
    assert (changed.lr, changed.max_epochs, changed.init) == (0.5, 3, "imagenet")
    assert (changed.plateau.patience, changed.plateau.lr_factor) == (9, 0.9)


@pytest.mark.parametrize("name", [f"mini-{name}" for name in NEIGHBOURS if name != "resnext101"])
def test_one_command_trains_a_file_that_loads_and_scores(data: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture) -> None:
    words = ["--data", str(data), "--out", str(tmp_path), "--name", "run", "--recipe", name, "--device", "cpu", "--threads", "1"]
    assert main([*words, "--init", "random", "--crop-px", "24", "--max-epochs", "1", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["recipe"].startswith(f"{name} with crop_px=24") and record["arch"] == RECIPES[name].settings["arch"]
    assert set(RECIPES[name].differences) <= set(record["differences_to_reference"])

    detector = cnndetect.load(tmp_path / "run" / "best.safetensors", device="cpu")
    network = ARCHITECTURES[record["arch"]]()
    assert type(detector.network) is type(network)
    assert detector.threshold_logit == record["threshold_logit"]
    image = np.asarray(load_splits({"val": scan_split(data, "val", ())}, SMALL_CROP, cache_mb=1)["val"].image(0))
    network.load_state_dict(load_file(tmp_path / "run" / "best.safetensors"))
    with torch.no_grad():
        expected = network.eval()(cnndetect.transforms.preprocess.prepare(image, "nocrop")[None])
    assert cnndetect.score(image, detector=detector, return_logit=True) == pytest.approx(float(expected), abs=1e-5)


def test_npr_learns_what_nearest_up_sampling_leaves(data: Path, tmp_path: Path) -> None:
    # The drawn fakes are made of flat 8x8 blocks: no residual, wherever a crop begins on an even pixel.
    plain = replace(SMALL_CROP, blur_probability=0.0, jpeg_probability=0.0)
    assert train(small_config(data, tmp_path, arch="npr", lr=1e-3, max_epochs=3, augment=plain)).best["val_ap"] > 0.95


def test_stages_train_what_they_name_and_no_more(data: Path, tmp_path: Path) -> None:
    config = small_config(data, tmp_path, lr=1e-3, optimizer="sgd", stages=STAGES, max_epochs=5)
    start, _ = build_network("tiny", "random", seed=0, fc_deviation=0.02)
    seen = []
    for epochs in (1, 3, 5):
        train(replace(config, max_epochs=epochs))
        seen.append(load_checkpoint(config.folder / "last.ckpt"))
    states = [start.state_dict(), *(state["model"] for state in seen)]

    def moved(before: int, prefix: str) -> set[bool]:
        # A count of batches stands still in a frozen batch norm, and so do its statistics.
        keys = [key for key in states[0] if key.startswith(prefix)]
        return {not torch.equal(states[before][key], states[before + 1][key]) for key in keys}

    assert [moved(step, "fc.") for step in range(3)] == [{True}] * 3
    assert [moved(step, "block.") for step in range(3)] == [{False}, {True}, {True}]
    assert [moved(step, "stem.") for step in range(3)] == [{False}, {False}, {True}]
    assert [row["lr"] for row in _log(config)] == [0.02, 0.01, 0.01, 1e-3, 1e-3]
    # The checkpoint at the end of a stage holds the optimiser of the next one, fresh: Adam of two parts, then SGD of all.
    assert [len(state["optimizer"]["param_groups"][0]["params"]) for state in seen] == [7, 10, 10]
    assert "betas" in seen[0]["optimizer"]["param_groups"][0] and "momentum" in seen[1]["optimizer"]["param_groups"][0]
    assert not seen[1]["optimizer"]["state"] and seen[2]["optimizer"]["state"]


@pytest.mark.parametrize("lives", [3, 5, 8, 13])
def test_a_kill_in_any_stage_changes_nothing(unequal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives: int) -> None:
    more = {"stages": STAGES, "balance": "over", "optimizer": "sgd", "lr_step_epochs": 1, "max_epochs": 5}
    whole = small_config(unequal, tmp_path / "whole", **more)
    killed = replace(whole, out=tmp_path / "killed", checkpoint_steps=2)
    train(whole)

    left, true_step = 0, loop._step

    def step_or_die(run: object, batch: object) -> torch.Tensor:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return true_step(run, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_step", step_or_die)
    starts = 0
    while True:
        left, starts = lives, starts + 1
        try:
            train(killed)
            break
        except Killed:
            continue
    ends = [load_checkpoint(config.folder / "last.ckpt") for config in (whole, killed)]
    assert all(torch.equal(value, ends[1]["model"][key]) for key, value in ends[0]["model"].items())
    timeless = [[{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in _log(c)] for c in (whole, killed)]
    assert timeless[0] == timeless[1] and starts > 1


def test_an_unknown_part_of_a_network_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="trains 'layer4', which tiny does not have.*block"):
        train(small_config(data, tmp_path, stages=(Stage(1, 0.1, ("layer4",)),)))
    with pytest.raises(ProtocolError, match="epochs >= 1"):
        Stage(0, 0.1, ("fc",))


def test_sgd_steps_as_torchs_own(data: Path, tmp_path: Path) -> None:
    config = small_config(data, tmp_path, optimizer="sgd", weight_decay=0.1, momentum=0.5, max_epochs=1)
    network, _ = build_network("tiny", "random", seed=0, fc_deviation=0.02)
    optimizer = make_optimizer(config, network, 0)
    assert isinstance(optimizer, torch.optim.SGD)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"], len(group["params"])) == (0.01, 0.5, 0.1, 10)
    assert train(config).best["val_loss"] > 0


def test_the_rate_falls_by_steps_of_epochs(data: Path, tmp_path: Path) -> None:
    config = small_config(data, tmp_path, lr=1e-3, lr_step_epochs=2, plateau=PlateauRule(lr_factor=0.9), max_epochs=5)
    train(config)
    assert [row["lr"] for row in _log(config)] == pytest.approx([1e-3, 1e-3, 9e-4, 9e-4, 8.1e-4])
    with pytest.raises(ProtocolError, match="the run never ends"):
        replace(config, max_epochs=None)


@pytest.mark.parametrize(("balance", "each"), [("over", 10), ("under", 4)])
def test_balance_shows_as_many_of_each(unequal: Path, balance: str, each: int) -> None:
    split = load_splits({"train": scan_split(unequal, "train", ())}, SMALL_CROP, cache_mb=1)["train"]
    orders = []
    for epoch in range(2):
        batches = list(
            train_batches(split, seed=0, epoch=epoch, batch_size=4, first_step=0, rank=0, world_size=1, workers=0, balance=balance)
        )
        labels = torch.cat([batch.labels for batch in batches]).int().tolist()
        assert Counter(labels) == {0: each, 1: each}
        # A repeated image comes in another view.
        views = torch.cat([batch.images for batch in batches]).flatten(1)
        assert len(torch.unique(views, dim=0)) == 2 * each
        orders.append(global_batches(14, seed=0, epoch=epoch, batch_size=4, labels=split.labels, balance=balance))
    assert orders[0] != orders[1]
    shown = Counter(index % 14 for batch in orders[0] for index in batch)
    assert set(shown.values()) == ({1, 2, 3} if balance == "over" else {1})


def test_balance_needs_both_classes() -> None:
    with pytest.raises(DataError, match="3 real and 0 fake"):
        global_batches(3, seed=0, epoch=0, batch_size=2, labels=[0, 0, 0], balance="over")


def test_a_checkpoint_from_before_these_fields_goes_on(data: Path, tmp_path: Path) -> None:
    config = small_config(data, tmp_path, max_epochs=1)
    train(config)
    state = load_checkpoint(config.folder / "last.ckpt")
    for name in ("optimizer", "momentum", "weight_decay", "lr_step_epochs", "stages", "balance"):
        del state["config"][name]
    del state["config"]["augment"]["jitter"]
    save_checkpoint(config.folder / "last.ckpt", state)
    assert train(replace(config, max_epochs=2)).epochs == 2
    with pytest.raises(DataError, match="optimizer: 'adam' -> 'sgd'"):
        train(replace(config, optimizer="sgd"))


@pytest.mark.parametrize("trunk", ["resnet18", "resnet50"])
def test_a_body_with_a_branch_starts_from_the_bodys_weights(tmp_path: Path, trunk: str) -> None:
    body, _ = build_network(trunk, "random", seed=3, fc_deviation=0.02)
    torch.save(body.state_dict(), tmp_path / "body.pth")
    network, start = build_network(f"{trunk}-frequency", str(tmp_path / "body.pth"), seed=0, fc_deviation=0.02)
    fresh, _ = build_network(f"{trunk}-frequency", "random", seed=0, fc_deviation=0.02)
    state = network.state_dict()
    assert torch.equal(state["layer3.0.conv1.weight"], body.state_dict()["layer3.0.conv1.weight"])
    assert torch.equal(state["frequency.0.weight"], fresh.state_dict()["frequency.0.weight"])
    assert start.endswith("fc.weight ~ N(0, 0.02)")


def test_a_cut_network_starts_from_the_whole_ones_first_stages(tmp_path: Path) -> None:
    whole, _ = build_network("resnet18-narrow", "random", seed=3, fc_deviation=0.02)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    network, start = build_network("resnet18-short", str(tmp_path / "whole.pth"), seed=0, fc_deviation=0.02)
    state = network.state_dict()
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in state.items() if not key.startswith("fc."))
    assert not any(key.startswith("layer4.") for key in state) and start.endswith("fc.weight ~ N(0, 0.02)")


def test_a_sum_gives_its_trained_half_to_begin_with(tmp_path: Path) -> None:
    whole = EfficientNetStatistics()
    torch.save(whole.state_dict(), tmp_path / "sum.pth")
    network, start = build_network("efficientnet-lite0", str(tmp_path / "sum.pth"), seed=0, fc_deviation=0.02)
    assert all(torch.equal(value, whole.trained.state_dict()[key]) for key, value in network.state_dict().items())
    assert start.startswith("the trained half of file sum.pth") and start.endswith("fc from the file")
