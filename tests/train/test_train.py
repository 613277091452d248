"""A run from end to end on drawn images: what it computes, what it writes, how it ends, what it refuses."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_training_set import SMALL_CROP, draw_training_set, small_config
from safetensors.torch import load_file
from torchvision import models

from cnndetect.errors import DataError, ImageError, LayoutError, ProtocolError, UnknownNameError, WeightsError
from cnndetect.metrics import average_precision, fit_threshold
from cnndetect.train.__main__ import main
from cnndetect.train.architectures import build_network
from cnndetect.train.board import Board
from cnndetect.train.config import TrainConfig
from cnndetect.train.data import global_batches, load_splits, scan_split
from cnndetect.train.distributed import World
from cnndetect.train.loop import train
from cnndetect.train.options import parse
from cnndetect.train.plateau import PlateauRule
from cnndetect.train.recipes import RECIPES
from cnndetect.train.validate import compute_logits
from cnndetect.transforms.augment import augment
from cnndetect.transforms.preprocess import to_tensor

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_training_set(tmp_path_factory.mktemp("data"))


def _log(config: TrainConfig) -> list[dict]:
    return [json.loads(line) for line in (config.folder / "log.jsonl").read_text().splitlines()]


def test_it_trains_as_a_plain_loop_would(data: Path, tmp_path: Path) -> None:
    config = small_config(data, tmp_path, lr=1e-3, max_epochs=2, batch_size=6)
    train(config)

    # The same in plain torch: a fresh network, Adam, mean BCE, one seed per (run seed, epoch, index).
    samples = scan_split(data, "train", ())
    split = load_splits({"train": samples}, config.augment, cache_mb=1)["train"]
    network, _ = build_network("tiny", "random", seed=0, fc_deviation=0.02)
    network.train()
    losses: list[list[torch.Tensor]] = [[], []]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.9, 0.999))
    for epoch in range(2):
        for batch in global_batches(len(samples), seed=0, epoch=epoch, batch_size=6):
            views = [augment(split.image(i), config.augment, rng=np.random.default_rng((1, 0, epoch, i))) for i in batch]
            targets = torch.tensor([float(samples[i].label) for i in batch])
            optimizer.zero_grad()
            logits = network(torch.stack([to_tensor(view) for view in views]))
            loss = torch.nn.BCEWithLogitsLoss()(logits, targets)
            loss.backward()
            optimizer.step()
            losses[epoch].append(loss.detach().expand(len(batch)))

    trained = torch.load(config.folder / "last.ckpt", weights_only=True)["model"]
    for key, value in network.state_dict().items():
        torch.testing.assert_close(trained[key], value, rtol=0, atol=1e-5)
    for row, seen in zip(_log(config), losses, strict=True):
        assert row["train_loss"] == pytest.approx(float(torch.cat(seen).mean()), abs=1e-5)


def test_it_learns_and_the_record_tells_the_truth(data: Path, tmp_path: Path) -> None:
    config = small_config(data, tmp_path, max_epochs=12, augment=replace(SMALL_CROP, blur_probability=0.0))
    record = train(config)
    assert record.best["val_ap"] > 0.9

    # The weights that were kept give the figures that were written down.
    network, _ = build_network("tiny", str(config.folder / "best.safetensors"), seed=5, fc_deviation=0.02)
    val = scan_split(data, "val", ())
    split = load_splits({"val": val}, config.augment, cache_mb=1)["val"]
    logits = compute_logits(network, split, config, ALONE)
    assert average_precision(split.labels, logits) == record.best["val_ap"]
    assert np.mean((logits > 0) == (split.labels == 1)) == record.best["val_accuracy"]
    assert fit_threshold(split.labels, logits) == pytest.approx(record.threshold_logit)
    assert record.best_epoch == record.best["epoch"]

    written = json.loads((config.folder / "record.json").read_text())
    assert written["stop_reason"] == record.stop_reason == "max_epochs"
    assert written["weights_sha256"] == record.weights_sha256
    assert written["data"]["train"]["classes"] == {"cat": {"real": 10, "fake": 10}, "dog": {"real": 10, "fake": 10}}
    assert len(written["data"]["val"]["fingerprint"]) == 64
    assert written["initialisation"] == "random (seed 0), fc.weight ~ N(0, 0.02)"
    assert {"cnndetect", "torch", "torchvision", "pillow", "numpy", "scipy", "python"} <= set(written["versions"])
    assert str(tmp_path) not in json.dumps(written) and str(data) not in json.dumps(written)


def test_the_schedule_and_the_best_weights(data: Path, tmp_path: Path) -> None:
    # An improvement of more than 1 is impossible: every phase lasts 1 + patience epochs.
    rule = PlateauRule(patience=2, min_improvement=2.0, later_min_improvement=2.0)
    config = small_config(data, tmp_path, lr=1e-4, max_epochs=None, plateau=rule)
    record = train(config)
    rows = _log(config)
    assert [row["lr"] for row in rows] == [1e-4] * 3 + [1e-5] * 3 + [1.0000000000000002e-06] * 3
    assert record.stop_reason == "learning rate below stop_below_lr"
    last = torch.load(config.folder / "last.ckpt", weights_only=True)
    assert last["optimizer"]["param_groups"][0]["lr"] == 1.0000000000000002e-06

    # The reference would have overwritten the best weights after each fall; here the best row of all is kept.
    best = max(rows, key=lambda row: (row["val_accuracy"], row["val_ap"], -row["val_loss"]))
    assert record.best == best


def test_seed_decides_and_nothing_else(data: Path, tmp_path: Path) -> None:
    def weights(name: str, **changes: object) -> dict[str, torch.Tensor]:
        config = small_config(data, tmp_path, name=name, **changes)
        train(config)
        return load_file(config.folder / "best.safetensors")

    first = weights("a")
    for name, changes in (("workers", {"workers": 2}), ("uncached", {"cache_mb": 0})):
        again = weights(name, **changes)
        assert all(torch.equal(first[key], again[key]) for key in first), name
    other = weights("seed", seed=1)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


@pytest.mark.parametrize("changes", [{"amp": "bf16"}, {"channels_last": True}, {"freeze_batchnorm": True}])
def test_the_options_of_speed_train_too(data: Path, tmp_path: Path, changes: dict) -> None:
    config = small_config(data, tmp_path, **changes)
    record = train(config)
    assert np.isfinite(record.best["val_loss"])
    assert (record.batchnorm == "frozen") == bool(changes.get("freeze_batchnorm"))
    if config.freeze_batchnorm:
        assert float(load_file(config.folder / "best.safetensors")["stem.1.running_mean"].abs().max()) == 0.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_bf16_channels_last_compiled(data: Path, tmp_path: Path) -> None:
    record = train(small_config(data, tmp_path, device="cuda", amp="bf16", channels_last=True, compile=True))
    assert np.isfinite(record.best["val_loss"])


def test_initialisation_from_a_file(tmp_path: Path) -> None:
    # An ImageNet file has 1000 classes: the body is taken, the classifier is fresh.
    state = models.resnet18(num_classes=1000).state_dict()
    torch.save(state, tmp_path / "imagenet.pth")
    network, start = build_network("resnet18", str(tmp_path / "imagenet.pth"), seed=0, fc_deviation=0.02)
    assert torch.equal(network.state_dict()["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])
    assert start.startswith("file imagenet.pth (sha256 ") and start.endswith("fc.weight ~ N(0, 0.02)")

    # An official checkpoint has the one logit already.
    torch.save({"model": network.state_dict(), "optimizer": {}, "total_steps": 1}, tmp_path / "official.pth")
    again, start = build_network("resnet18", str(tmp_path / "official.pth"), seed=1, fc_deviation=0.02)
    assert torch.equal(again.state_dict()["fc.weight"], network.state_dict()["fc.weight"])
    assert start.endswith("fc from the file")
    with pytest.raises(WeightsError, match="does not fit Tiny"):
        build_network("tiny", str(tmp_path / "official.pth"), seed=0, fc_deviation=0.02)


def test_the_reference_network_starts_as_the_reference_does() -> None:
    network, _ = build_network("resnet50", "random", seed=0, fc_deviation=0.02)
    state = network.state_dict()
    assert len(state) == 320 and sum(p.numel() for p in network.parameters()) == 23_510_081
    assert abs(float(state["fc.weight"].std()) - 0.02) < 0.001


def test_imagenet_without_a_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(self: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(models.ResNet50_Weights, "get_state_dict", offline)
    with pytest.raises(WeightsError, match="download.pytorch.org.*--init FILE.*--init random"):
        build_network("resnet50", "imagenet", seed=0, fc_deviation=0.02)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"arch": "resnet51"}, UnknownNameError, "Did you mean 'resnet50'"),
        ({"classes": ("cat", "dgo")}, UnknownNameError, "Did you mean 'dog'"),
        ({"init": "missing.pth"}, WeightsError, "missing.pth"),
        ({"device": "cuda:99x"}, ProtocolError, "cuda:99x"),
        ({"augment": replace(SMALL_CROP, crop_px=40)}, ImageError, "32x32 px.*40 px"),
        ({"name": "a/b"}, ProtocolError, "name='a/b'"),
        ({"amp": "fp16"}, ProtocolError, "none, bf16"),
        ({"batch_size": 0}, ProtocolError, "batch_size=0"),
    ],
)
def test_mistakes_are_named(data: Path, tmp_path: Path, changes: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        train(small_config(data, tmp_path, **changes))


def test_missing_val_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    root = draw_training_set(tmp_path / "data")
    (root / "val").rename(root / "test")
    with pytest.raises(LayoutError, match=r"no folder val/ \(found: test, train\)"):
        train(small_config(root, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_classes_take_a_part(data: Path, tmp_path: Path) -> None:
    record = train(small_config(data, tmp_path, classes=("dog",), max_epochs=1))
    assert record.data["train"]["classes"] == {"dog": {"real": 10, "fake": 10}}
    assert record.data["val"]["real"] == 4


def test_each_split_has_its_own_limit(data: Path, tmp_path: Path) -> None:
    record = train(small_config(data, tmp_path, max_images=20, max_val_images=4, max_epochs=1))
    assert record.data["train"]["classes"] == {name: {"real": 5, "fake": 5} for name in ("cat", "dog")}
    assert record.data["val"]["classes"] == {name: {"real": 1, "fake": 1} for name in ("cat", "dog")}


def test_diverged_training_says_so(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not finite.*Lower --lr"):
        train(small_config(data, tmp_path, lr=1e30))


def test_command_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(data), "--name", "cli", "--out", str(tmp_path), "--recipe", "mini-blur-jpeg-0.5", "--crop-px", "24"]
    words += ["--arch", "tiny", "--init", "random", "--batch-size", "8", "--max-epochs", "1", "--device", "cpu"]
    assert main([*words, "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "train: 20 real, 20 fake" in plan and "5 steps per epoch" in plan and not (tmp_path / "cli").exists()

    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["recipe"] == "mini-blur-jpeg-0.5 with crop_px=24"
    assert err.count("epoch   0  lr 1e-04  loss ") == 1
    assert main([*words, "--recipe", "mini-blur"]) == 1
    assert "augment.jpeg_probability: 0.5 -> 0.0" in capsys.readouterr().err
    assert main([*words, "--learning-rate", "1"]) == 2


def test_defaults_and_recipes_are_the_references() -> None:
    def parsed(*words: str) -> TrainConfig:
        return parse(["--data", "d", "--name", "n", "--out", "o", *words])

    assert parsed() == TrainConfig(data=Path("d"), name="n", out=Path("o"))
    plain = parsed()
    assert (plain.lr, plain.betas, plain.batch_size, plain.fc_deviation) == (1e-4, (0.9, 0.999), 64, 0.02)
    assert (plain.augment.resize_px, plain.augment.crop_px, plain.augment.flip) == (256, 224, True)
    assert plain.plateau == PlateauRule(5, 0.001, 0.002, 0.1, 1e-6)

    half = RECIPES["wang2020-blur-jpeg-0.5"].augment
    assert (half.blur_probability, half.blur_sigma_px, half.jpeg_probability, half.jpeg_quality) == (0.5, (0, 3), 0.5, (30, 100))
    changed = parsed("--recipe", "wang2020-blur-jpeg-0.5", "--resize-px", "none", "--no-flip", "--jpeg-quality", "60", "90")
    assert changed.augment == replace(half, resize_px=None, flip=False, jpeg_quality=(60, 90))


def test_tensorboard_is_optional(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ProtocolError, match="pip install tensorboard"):
        train(small_config(data, tmp_path, tensorboard=True))

    class Writer:
        points: list[tuple] = []

        def add_scalar(self, *point: object) -> None:
            self.points.append(point)

        def flush(self) -> None:
            pass

    Board(Writer()).write({"epoch": 3, "partial": False, "val_ap": 0.5})
    assert Writer.points == [("val_ap", 0.5, 3)]
