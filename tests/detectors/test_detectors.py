"""Detectors: the reference network, official-style checkpoints, every way to name one, and refusals that name the keys."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision import models, transforms

from cnndetect.detectors import registry, weights
from cnndetect.detectors.base import Detector
from cnndetect.detectors.networks.resnet import resnet50_one_logit
from cnndetect.detectors.records import WeightsRecord, registered
from cnndetect.errors import ProtocolError, UnknownNameError, WeightsError
from cnndetect.transforms.preprocess import prepare


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    network = resnet50_one_logit()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Untouched statistics would hide a state that was not loaded.
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def official(network, tmp_path_factory):
    """A checkpoint in the official layout: model, optimizer, total_steps."""
    path = tmp_path_factory.mktemp("official") / "blur_jpg.pth"
    torch.save({"model": network.state_dict(), "optimizer": {"state": {}, "param_groups": []}, "total_steps": 7}, path)
    return path


def test_the_network_is_the_reference_network(network) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_510_081
    assert len(network.state_dict()) == 320
    assert network.layer2[0].conv2.stride == (2, 2) and network.layer2[0].conv1.stride == (1, 1)  # v1.5
    torch.manual_seed(1)
    assert resnet50_one_logit().fc.weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(("size", "protocol"), [((224, 224), "crop224"), ((300, 231), "crop224"), ((150, 97), "nocrop")])
def test_logits_equal_a_plain_restatement_of_the_reference(official, size, protocol) -> None:
    # Restated from the paper's facts: torchvision's ResNet-50, ToTensor, ImageNet normalisation, CenterCrop(224).
    plain = models.resnet50(num_classes=1)
    plain.load_state_dict(torch.load(official, weights_only=True)["model"])
    plain.eval()
    steps = [transforms.CenterCrop(224)] if protocol == "crop224" else []
    steps += [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    array = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = plain(transforms.Compose(steps)(Image.fromarray(array))[None]).item()
    detector = registry.load(official, device="cpu")
    assert detector.logits(prepare(array, protocol)[None]).item() == pytest.approx(expected, abs=1e-5)


def test_every_kind_of_file_gives_the_same_logits(network, official, tmp_path) -> None:
    state = network.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pt")
    torch.save({"model": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "c.pth")
    images = torch.randn(2, 3, 64, 64)
    expected = registry.load(official, device="cpu").logits(images)
    for name in ("a.safetensors", "b.pt", "c.pth"):
        assert torch.equal(registry.load(tmp_path / name, device="cpu").logits(images), expected), name


def test_a_state_that_does_not_fit_is_refused_by_its_keys(network, tmp_path) -> None:
    state = dict(network.state_dict())
    del state["layer1.0.conv1.weight"]
    state["extra.weight"] = torch.zeros(1)
    state["fc.weight"] = torch.zeros(1000, 2048)
    torch.save({"model": state}, tmp_path / "wrong.pth")
    with pytest.raises(WeightsError) as caught:
        registry.load(tmp_path / "wrong.pth", device="cpu")
    for word in ("layer1.0.conv1.weight", "extra.weight", "fc.weight (1000, 2048) instead of (1, 2048)"):
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["junk.pth", "junk.safetensors", "empty.pth", "list.pt"])
def test_damaged_files_are_refused(tmp_path, name) -> None:
    if name == "list.pt":
        torch.save([1, 2], tmp_path / name)
    else:
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"not weights at all" * 9)
    with pytest.raises(WeightsError, match=name):
        registry.load(tmp_path / name, device="cpu")
    with pytest.raises(WeightsError, match="does not exist"):
        registry.load(tmp_path / "absent.pth", device="cpu")


def test_a_pickle_cannot_run_code(tmp_path) -> None:
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError):
        registry.load(tmp_path / "evil.pth", device="cpu")
    assert not (tmp_path / "owned").exists()


def test_callables_factories_and_names(tmp_path, monkeypatch) -> None:
    (tmp_path / "mine.py").write_text("import torch\ndef build():\n    return lambda x: x.mean(dim=(1, 2, 3))\nnumber = 5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    images = torch.randn(3, 3, 5, 4)
    expected = images.mean(dim=(1, 2, 3))
    for given in ("mine:build", lambda x: x.mean(dim=(1, 2, 3)), lambda x: x.mean(dim=(2, 3)).mean(dim=1, keepdim=True)):
        assert torch.allclose(registry.load(given, device="cpu").logits(images), expected)
    with pytest.raises(WeightsError, match="cannot be imported"):
        registry.load("mine:absent", device="cpu")
    with pytest.raises(UnknownNameError, match="Unknown detector 'wang'"):
        registry.load("wang", device="cpu")


def test_a_wrong_output_is_refused() -> None:
    detector = Detector("two-class", lambda x: torch.zeros(len(x), 2))
    with pytest.raises(ProtocolError, match=r"returned \(3, 2\) for 3 images"):
        detector.logits(torch.zeros(3, 3, 8, 8))
    with pytest.raises(ProtocolError, match="cannot be used here"):
        registry.load(lambda x: x, device="nonsense")


def test_a_changed_registered_file_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CNNDETECT_WEIGHTS", str(tmp_path))
    WeightsRecord(name="demo", file="demo.safetensors", sha256="0" * 64).save(tmp_path)
    with pytest.raises(WeightsError, match="are not at"):
        registry.load("demo", device="cpu")
    (tmp_path / "demo.safetensors").write_bytes(b"changed")
    with pytest.raises(WeightsError, match="has SHA-256"):
        registry.load("demo", device="cpu")


@pytest.mark.weights
def test_bundled_records_are_complete_and_load() -> None:
    assert weights.DEFAULT_DETECTOR in registered()
    for name, record in registered().items():
        assert name == record.name and len(record.sha256) == 64 and record.licence and record.recipe and record.training_data
        detector = registry.load(name, device="cpu")
        assert torch.isfinite(detector.logits(torch.zeros(1, 3, 64, 64))).all()
        assert detector.threshold_logit == record.threshold_logit
