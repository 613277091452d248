"""The neighbours' networks: what they do to an image, what their one logit means, and that their files load by themselves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from torchvision import models

import cnndetect
from cnndetect.detectors.networks import NETWORKS, architecture_of, build, resnext, strips
from cnndetect.detectors.networks.frequency import FrequencyResNet18, TwoClassResNet18
from cnndetect.detectors.networks.npr import NeighbourResidualNetwork, neighbour_residual
from cnndetect.detectors.networks.resnext import SmallTunedResNeXt101, TunedResNeXt101, equalize, in_class_order, prepare_299
from cnndetect.detectors.networks.spectrum import averaged_log_spectrum, log_spectrum
from cnndetect.detectors.records import registered
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.fitting.release import pack_weights
from cnndetect.train.architectures import build_network
from cnndetect.transforms.augment import AugmentConfig, augment, draw, jitter
from cnndetect.transforms.preprocess import denormalize, normalize, prepare

SMALL = [
    "npr",
    "resnet18",
    "resnet18-narrow",
    "resnet18-short",
    "resnet18-ce",
    "resnet18-frequency",
    "spectrum",
    "spectrum-narrow",
    "spectrum-short",
    "tiny",
]


def _noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_residual_is_the_published_rule() -> None:
    x = _noise(2, 3, 16, 12)
    halved = F.interpolate(x, scale_factor=0.5, mode="nearest")
    torch.testing.assert_close(neighbour_residual(x), (x - F.interpolate(halved, scale_factor=2.0, mode="nearest")) * 2 / 3)
    # Content that a nearest-neighbour up-sampling made has none, its own 2x2 cells aligned; shifted by a pixel it has.
    made = halved.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert float(neighbour_residual(made).abs().max()) == 0.0
    assert float(neighbour_residual(made.roll(1, dims=3)).abs().max()) > 0.1
    assert torch.equal(neighbour_residual(x[:, :, :15, :11]), neighbour_residual(x)[:, :, :14, :10])


def test_npr_is_small_and_takes_large_images_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("npr").eval()
    assert sum(p.numel() for p in network.parameters()) == 1_437_761
    image = _noise(1, 3, 333, 130)
    with torch.no_grad():
        whole = network(image)
        monkeypatch.setattr(strips, "WHOLE_PIXELS", 1000)
        monkeypatch.setattr(strips, "STRIP_PIXELS", 130 * 64)
        torch.testing.assert_close(network(image), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(333, 130), (90, 401)])
def test_a_short_resnet_takes_large_images_in_strips(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    network = build("resnet18-short").eval()
    assert 600_000 < sum(p.numel() for p in network.parameters()) < 800_000
    image = _noise(1, 3, *size)
    with torch.no_grad():
        whole = network(image)
        monkeypatch.setattr(strips, "WHOLE_PIXELS", 1000)
        monkeypatch.setattr(strips, "STRIP_PIXELS", min(size) * 64)
        torch.testing.assert_close(network(image), whole, rtol=1e-4, atol=1e-5)


def test_the_spectrum_is_that_of_numpy_and_forgets_scale_and_place() -> None:
    x = _noise(1, 3, 24, 40)
    found = log_spectrum(x)
    magnitude = np.log(np.abs(np.fft.fftshift(np.fft.fft2(x[0, 1].numpy(), norm="ortho"))) + 1e-3)
    low, high = np.quantile(magnitude, (0.05, 0.95), method="nearest")
    np.testing.assert_allclose(found[0, 1], np.clip(2 * (magnitude - low) / (high - low) - 1, -1, 1), atol=2e-2)
    torch.testing.assert_close(log_spectrum(x.roll((3, 5), dims=(2, 3))), found, atol=1e-3, rtol=0)
    # An image between constant borders is not flat in the spectrum, a constant one is without NaN.
    assert torch.isfinite(log_spectrum(torch.zeros(1, 3, 8, 8))).all()


def test_up_sampling_leaves_copies_of_the_spectrum() -> None:
    # Zhang et al.: a zero-stuffed image repeats its spectrum at half the sampling frequency.
    small = _noise(1, 1, 32, 32)
    stuffed = torch.zeros(1, 1, 64, 64)
    stuffed[:, :, ::2, ::2] = small
    found = log_spectrum(stuffed)
    torch.testing.assert_close(found, found.roll((32, 32), dims=(2, 3)), atol=1e-3, rtol=0)


def test_an_averaged_spectrum_is_the_mean_power_of_its_windows() -> None:
    x = _noise(1, 3, 128, 64)
    window = np.outer(np.hanning(65)[:-1], np.hanning(65)[:-1])
    power = np.mean(
        [np.abs(np.fft.fftshift(np.fft.fft2(x[0, 1, y : y + 64].numpy() * window, norm="ortho"))) ** 2 for y in (0, 32, 64)], axis=0
    )
    magnitude = np.log(np.sqrt(power) + 1e-3)
    low, high = np.quantile(magnitude, (0.05, 0.95), method="nearest")
    np.testing.assert_allclose(averaged_log_spectrum(x)[0, 1], np.clip(2 * (magnitude - low) / (high - low) - 1, -1, 1), atol=2e-2)
    # A side below that of a window is one window.
    assert averaged_log_spectrum(_noise(1, 3, 40, 90)).shape == (1, 3, 40, 64)


@pytest.mark.parametrize("name", ["spectrum-narrow", "spectrum-short"])
def test_a_detector_of_averaged_spectra_takes_a_large_image_in_squares(name: str) -> None:
    network = build(name).eval()
    image = _noise(2, 3, 256, 200)
    with torch.no_grad():
        squares = [network(image[:, :, y : y + 128, x : x + 128]) for y in (0, 128) for x in (0, 72)]
        torch.testing.assert_close(network(image), torch.stack(squares).mean(dim=0), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network.heat(image).flatten(1), torch.stack(squares, dim=1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network(image[:, :, :128, :128].repeat(1, 1, 1, 6)), squares[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [TwoClassResNet18, FrequencyResNet18])
def test_the_difference_of_two_logits_trains_as_cross_entropy_does(kind: type) -> None:
    torch.manual_seed(0)
    network = kind().eval()
    images, labels = _noise(4, 3, 32, 32), torch.tensor([0, 1, 1, 0])
    pairs: list[torch.Tensor] = []
    network.fc.register_forward_hook(lambda module, given, output: pairs.append(output))
    F.binary_cross_entropy_with_logits(network(images), labels.float()).backward()
    ours = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    network(images)
    loss = F.cross_entropy(pairs[1], labels)
    loss.backward()
    assert loss.item() > 0.1
    for name, p in network.named_parameters():
        torch.testing.assert_close(p.grad, ours[name], rtol=1e-4, atol=1e-6)


def test_the_frequency_branch_sees_what_pooling_cannot() -> None:
    network = FrequencyResNet18().eval()
    shuffled = _noise(1, 3, 64, 64)
    with torch.no_grad():
        network.fc.weight[:, :512] = 0
        # The branch is blind to place, not to what an up-sampling did to the spectrum.
        enlarged = F.interpolate(shuffled[:, :, ::2, ::2], scale_factor=2.0, mode="nearest")
        plain, moved, made = network(torch.cat([shuffled, shuffled.roll(7, dims=3), enlarged])).tolist()
    assert abs(plain - moved) < 0.01 * abs(plain - made)


@pytest.mark.parametrize("name", SMALL)
def test_a_file_says_by_its_shapes_what_it_is_also_as_int8(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = build(name).eval()
    save_file(network.state_dict(), tmp_path / "float.safetensors")
    record = pack_weights(tmp_path / "float.safetensors", tmp_path / "int8.safetensors")
    assert record.network == "npr" or record.network in NETWORKS
    image = prepare(np.random.default_rng(0).integers(0, 256, (65, 48, 3), dtype=np.uint8), "nocrop")[None]
    with torch.no_grad():
        expected = network(image)
    loaded = cnndetect.load(tmp_path / "float.safetensors", device="cpu")
    assert type(loaded.network) is type(network)
    torch.testing.assert_close(loaded.logits(image), expected)
    small = cnndetect.load(tmp_path / "int8.safetensors", device="cpu")
    assert type(small.network) is type(network)
    torch.testing.assert_close(small.logits(image), expected, atol=0.1, rtol=0.1)
    assert (tmp_path / "int8.safetensors").stat().st_size < 0.5 * (tmp_path / "float.safetensors").stat().st_size


def test_no_two_architectures_have_the_same_state() -> None:
    with torch.device("meta"):
        states = {name: architecture.build().state_dict() for name, architecture in NETWORKS.items()}
    assert {name: architecture_of(state) for name, state in states.items()} == {name: name for name in NETWORKS}
    assert architecture_of({"fc.weight": torch.zeros(1, 2048)}) is None


def test_every_bundled_record_names_a_network_and_can_be_calibrated() -> None:
    for record in registered().values():
        assert record.network in (*NETWORKS, "fusion") and (record.network == "fusion") == record.file.endswith(".json")
        assert record.temperature is not None and record.temperature > 0


def test_a_file_of_no_architecture_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": models.resnet34(num_classes=5).state_dict()}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="other.pth does not fit OneLogitResNet50"):
        cnndetect.load(tmp_path / "other.pth", device="cpu")


def test_equalising_is_clahe_on_lightness_and_a_stretch() -> None:
    rng = np.random.default_rng(0)
    dull = rng.integers(90, 130, (64, 80, 3), dtype=np.uint8)
    found = equalize(dull)
    lab = cv2.cvtColor(dull, cv2.COLOR_RGB2LAB)
    clahe = cv2.createCLAHE(2.0, (8, 8)).apply(lab[:, :, 0]).astype(float)
    low, high = np.quantile(clahe, (0.01, 0.99))
    lab[:, :, 0] = np.rint(np.clip((clahe - low) / (high - low), 0, 1) * 255)
    assert np.array_equal(found, cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))
    assert found.std() > 2 * dull.std()
    assert np.array_equal(equalize(np.full((16, 16, 3), 7, np.uint8)).std(axis=(0, 1)), np.zeros(3))
    # Brightness and contrast of the whole do not matter much any more.
    darker = (dull * 0.5).astype(np.uint8)
    assert abs(equalize(darker).mean() - found.mean()) < 10


def test_resnext_takes_any_size_and_its_logit_is_generated_minus_groundtruth(monkeypatch: pytest.MonkeyPatch) -> None:
    images = normalize(torch.randint(0, 256, (1, 3, 40, 70), dtype=torch.uint8))
    assert prepare_299(images).shape == (1, 3, 299, 299)
    monkeypatch.setattr(resnext, "SIZE_PX", 32)
    torch.manual_seed(0)
    network = TunedResNeXt101().eval()
    pairs: list[torch.Tensor] = []
    network.fc.register_forward_hook(lambda module, given, output: pairs.append(output))
    with torch.no_grad():
        logit = network(images)
    assert logit.shape == (1,) and torch.equal(logit, pairs[0][:, 0] - pairs[0][:, 1])
    # torchvision's own network of this name has the same body.
    with torch.device("meta"):
        theirs = {key: value.shape for key, value in models.resnext101_32x8d(num_classes=2).state_dict().items()}
    assert {key: value.shape for key, value in network.state_dict().items()} == theirs


def test_the_small_resnext_resizes_large_images_alone_and_takes_the_trunk_of_the_large_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    large = TunedResNeXt101()
    save_file(large.state_dict(), tmp_path / "large.safetensors")
    small, start = build_network("resnext101-128", str(tmp_path / "large.safetensors"), seed=0, fc_deviation=0.02)
    assert isinstance(small, SmallTunedResNeXt101) and "fc from the file" in start
    assert torch.equal(small.state_dict()["layer4.2.conv3.weight"], large.state_dict()["layer4.2.conv3.weight"])
    for height, width, seen in ((40, 70, (40, 70)), (128, 128, (128, 128)), (40, 129, (128, 128)), (300, 200, (128, 128))):
        images = normalize(torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8))
        assert small.prepared(images).shape[2:] == seen
    images = torch.randint(0, 256, (2, 3, 30, 30), dtype=torch.uint8)
    expected = torch.stack([torch.from_numpy(equalize(one.permute(1, 2, 0).numpy())).permute(2, 0, 1) for one in images])
    assert torch.equal(denormalize(small.prepared(normalize(images))), expected)


def test_a_tuned_file_may_have_its_classes_in_any_order(tmp_path: Path) -> None:
    state = {"fc.weight": _noise(2, 5), "fc.bias": _noise(2)}

    def stored(**more: object) -> Path:
        torch.save({"state_dict": state, **more}, tmp_path / "tuned.pth")
        return tmp_path / "tuned.pth"

    for kept in ({}, {"classes": ["generated", "groundtruth"]}):
        assert torch.equal(in_class_order(stored(**kept), state)["fc.bias"], state["fc.bias"])
    turned = in_class_order(stored(classes=["groundtruth", "generated"]), state)
    assert torch.equal(turned["fc.weight"], state["fc.weight"].flip(0)) and torch.equal(turned["fc.bias"], state["fc.bias"].flip(0))
    with pytest.raises(WeightsError, match="classes.*cat.*Expected.*generated"):
        in_class_order(stored(classes=["cat", "dog"]), state)


def test_without_opencv_the_next_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(ProtocolError, match=r"pip install 'cnndetect\[opencv\]'"):
        equalize(np.zeros((8, 8, 3), np.uint8))


def test_large_npr_state_is_a_module_of_resnet_names() -> None:
    # The trunk is ResNet-50's first half: its ImageNet state has the same names and shapes but for the first layer.
    ours = {key: value.shape for key, value in NeighbourResidualNetwork().state_dict().items()}
    with torch.device("meta"):
        whole = {key: value.shape for key, value in models.resnet50().state_dict().items()}
    differ = {key for key, shape in ours.items() if whole.get(key) != shape}
    assert differ == {"conv1.weight", "fc.weight", "fc.bias"}


def test_colour_jitter_leaves_every_other_choice_as_it_was() -> None:
    plain, coloured = AugmentConfig(None, 8), AugmentConfig(None, 8, jitter=0.5)
    first, second = (draw(config, 20, 20, rng=np.random.default_rng(3)) for config in (plain, coloured))
    assert (first.top, first.left, first.flip, first.colour) == (second.top, second.left, second.flip, None)
    assert second.colour is not None and all(0.5 <= factor <= 1.5 for factor in second.colour)

    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert np.array_equal(jitter(image, (1.0, 1.0, 1.0)), image)
    assert np.array_equal(jitter(image, (0.5, 1.0, 1.0)), image // 2)
    grey = jitter(image, (1.0, 1.0, 0.0))
    assert np.array_equal(grey[:, :, 0], grey[:, :, 2])
    assert augment(image, coloured, rng=np.random.default_rng(0)).shape == (8, 8, 3)
    with pytest.raises(ProtocolError, match="jitter=2"):
        AugmentConfig(jitter=2)
