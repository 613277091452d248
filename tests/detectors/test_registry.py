"""The ways to name a detector: what it is called, what proves it the same in another run, and which mistakes are named."""

from __future__ import annotations

import doctest
import hashlib
import importlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cnndetect.detectors import registry
from cnndetect.detectors.base import Detector
from cnndetect.detectors.networks.resnet import resnet50_one_logit
from cnndetect.detectors.records import WeightsRecord
from cnndetect.detectors.registry import load, name_of
from cnndetect.errors import ProtocolError, UnknownNameError, WeightsError

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 1)
        nn.init.constant_(self.fc.weight, WEIGHT)

    def forward(self, images):
        return self.fc(images.mean(dim=(2, 3)))

build = Net
plain = lambda: (lambda images: images.mean(dim=(1, 2, 3)))
three = 3
def broken():
    return 5
"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """What a training run leaves: best.safetensors and its record."""
    folder = tmp_path_factory.mktemp("runs") / "my-run"
    folder.mkdir()
    save_file(resnet50_one_logit().state_dict(), folder / "best.safetensors")
    digest = hashlib.sha256((folder / "best.safetensors").read_bytes()).hexdigest()
    (folder / "record.json").write_text(json.dumps({"weights_sha256": digest, "threshold_logit": -1.25}))
    return folder


def write_net(folder: Path, monkeypatch, *, name: str, weight: str = "0.5") -> None:
    monkeypatch.syspath_prepend(str(folder))
    (folder / f"{name}.py").write_text(NET.replace("WEIGHT", weight))


def test_best_weights_are_called_by_their_run_and_bring_its_threshold(run_folder, monkeypatch) -> None:
    detector = load(run_folder / "best.safetensors", device="cpu")
    assert (detector.name, detector.threshold_logit) == ("my-run", -1.25)
    assert detector.identity == detector.weights_sha256 == hashlib.sha256((run_folder / "best.safetensors").read_bytes()).hexdigest()
    # From inside the folder, too.
    monkeypatch.chdir(run_folder)
    assert name_of("best.safetensors") == "my-run"


def test_a_threshold_of_other_weights_is_not_taken(run_folder, tmp_path) -> None:
    (tmp_path / "best.safetensors").hardlink_to(run_folder / "best.safetensors")
    (tmp_path / "record.json").write_text(json.dumps({"weights_sha256": "0" * 64, "threshold_logit": 3.0}))
    assert load(tmp_path / "best.safetensors", device="cpu").threshold_logit is None
    for content in ("{", "[]", '{"threshold_logit": 1}'):
        (tmp_path / "record.json").write_text(content)
        with pytest.raises(WeightsError, match="record.json is not a record"):
            load(tmp_path / "best.safetensors", device="cpu")


def test_names_are_known_before_anything_is_loaded(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CNNDETECT_WEIGHTS", str(tmp_path / "bundled"))
    write_record(tmp_path / "bundled", "known")
    assert name_of("known") == "known"
    assert name_of("a.b:c") == "a.b.c"
    (tmp_path / "blur.PTH").write_bytes(b"")
    assert name_of(tmp_path / "blur.PTH") == "blur"
    with pytest.raises(UnknownNameError, match="Did you mean 'known'"):
        name_of("knwon")
    with pytest.raises(WeightsError, match="absent.pth does not exist"):
        name_of(tmp_path / "absent.pth")


def write_record(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    WeightsRecord(name=name, file=f"{name}.safetensors", sha256="0" * 64).save(folder)


def test_the_default_comes_first(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CNNDETECT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(registry, "DEFAULT_DETECTOR", "m")
    for name in ("z", "m", "a"):
        write_record(tmp_path, name)
    found = registry.list_detectors()
    assert found[0] == "m" and found[1:] == sorted(found[1:])
    assert name_of(None) == "m"


def test_a_factory_module_is_the_same_while_weights_and_source_are(tmp_path, monkeypatch) -> None:
    write_net(tmp_path, monkeypatch, name="net_one")
    torch.manual_seed(0)
    first = load("net_one:build", device="cpu")
    torch.manual_seed(0)
    second = load("net_one:build", device="cpu")
    torch.manual_seed(1)
    other_bias = load("net_one:build", device="cpu")
    assert first.name == "net_one.build" and first.weights_sha256 is None
    assert first.identity == second.identity and len(first.identity or "") == 64
    assert other_bias.identity != first.identity

    # The same weights, but forward() was changed.
    (tmp_path / "net_two.py").write_text(NET.replace("WEIGHT", "0.5").replace("mean(dim=(2, 3))", "amax(dim=(2, 3))"))
    torch.manual_seed(0)
    assert load("net_two:build", device="cpu").identity != first.identity


def test_a_plain_function_has_no_identity(tmp_path, monkeypatch) -> None:
    write_net(tmp_path, monkeypatch, name="net_three")
    assert load("net_three:plain", device="cpu").identity is None
    assert load(lambda images: images.sum((1, 2, 3)), device="cpu").identity is None
    assert load(nn.Flatten(), device="cpu").identity is None  # its settings may have been changed by hand
    assert Detector("x", torch.sum, weights_sha256="a" * 64).identity == "a" * 64


def test_mistakes_in_a_factory_are_named(tmp_path, monkeypatch) -> None:
    write_net(tmp_path, monkeypatch, name="net_four")
    for spec, words in (
        ("net_four:absent", "cannot be imported"),
        ("no_such_module:build", "cannot be imported"),
        (":build", "cannot be imported"),
        ("net_four:three", "is a int. Expected a function without arguments"),
    ):
        with pytest.raises(WeightsError, match=words):
            load(spec, device="cpu")
    with pytest.raises(ProtocolError, match="gave a int"):
        load("net_four:broken", device="cpu")


def test_a_module_is_put_into_evaluation_mode() -> None:
    network = nn.Sequential(nn.Dropout(0.9), nn.Flatten(), nn.Linear(12, 1)).train()
    detector = Detector("dropout", network)
    images = torch.randn(4, 3, 2, 2)
    assert torch.equal(detector.logits(images), detector.logits(images)) and not network.training


def test_logits_are_float32_on_the_cpu_without_gradient() -> None:
    for result in (torch.float64, torch.float16):
        found = Detector("x", lambda images, d=result: images.mean(dim=(1, 2, 3), keepdim=False).to(d)).logits(torch.ones(2, 3, 4, 4))
        assert found.dtype == torch.float32 and found.shape == (2,) and not found.requires_grad and found.device.type == "cpu"


@pytest.mark.parametrize("name", ["detectors.packed", "detectors.registry", "detectors.networks.resnet", "bench.tables"])
def test_examples_run(name) -> None:
    found = doctest.testmod(importlib.import_module(f"cnndetect.{name}"))
    assert found.attempted > 0 and not found.failed
