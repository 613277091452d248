"""Engines give torch's logits at every size, or say in their name that they do not."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_networks import detector, photo
from torch import Tensor, nn

from cnndetect.backends import EXACT, accelerated, choose
from cnndetect.backends.choose import CHUNK_PIXELS, installed
from cnndetect.backends.int8 import activation_ranges
from cnndetect.backends.ranges import read_ranges
from cnndetect.backends.tracing import has_form, members
from cnndetect.detectors.base import Detector
from cnndetect.detectors.calibration import calibrated
from cnndetect.detectors.records import RANGES, registered
from cnndetect.detectors.registry import load
from cnndetect.errors import ProtocolError, UnknownNameError
from cnndetect.paths import weights_root
from cnndetect.scoring import load_detector, score
from cnndetect.scoring.provenance import Provenance

ENGINES = [name for name in ("onnxruntime", "openvino") if installed(name)]
SIZES = [(2, 33, 40), (1, 64, 64), (3, 31, 50), (2, 33, 40)]


@pytest.fixture(autouse=True)
def nothing_is_known_of_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Drawn networks share a made-up digest of weights."""
    monkeypatch.setenv("CNNDETECT_KEPT", str(tmp_path))


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize(
    "name",
    [
        "tiny", "npr", "resnet18", "resnet18-ce", "efficientnet-lite0", "efficientnet-lite0-statistics", "resnet18-short", "fusion",
        "fusion-spectrum",
    ],
)  # fmt: skip
def test_logits_are_those_of_torch_at_every_size(name: str, backend: str) -> None:
    reference = detector(name)
    fast = accelerated(reference, backend)
    assert (fast.name, fast.identity, fast.backend, fast.precision) == (name, reference.identity, backend, "float32")
    for shape in SIZES:
        images = photo(*shape)
        assert (fast.logits(images) - reference.logits(images)).abs().max() <= EXACT, shape


@pytest.mark.parametrize(
    ("backend", "precision"), [("torch", "bfloat16"), ("openvino", "bfloat16"), ("openvino", "int8"), ("onnxruntime", "int8")]
)
@pytest.mark.parametrize("name", ["npr", "resnet18", "efficientnet-lite0", "efficientnet-lite0-statistics", "fusion-spectrum"])
def test_lower_precision_is_in_the_name_and_stays_near(name: str, backend: str, precision: str) -> None:
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    reference = detector(name)
    ranges = activation_ranges(reference.network, photo(4, 40, 48)) if precision == "int8" else None
    fast = accelerated(reference, backend, precision, ranges=ranges)
    assert fast.name == f"{name}+{backend}-{precision}" and fast.identity != reference.identity
    assert (fast.backend, fast.precision) == (backend, precision)
    images = photo(8, 40, 48)
    expected, got = reference.logits(images), fast.logits(images)
    assert not torch.equal(expected, got) and (expected - got).abs().max() < 0.1 * max(float(expected.std()), 0.3)


def test_auto_leaves_alone_what_it_cannot_speed_up() -> None:
    assert accelerated(Detector("mine", lambda images: images.mean((1, 2, 3)))).backend == "torch"
    assert accelerated(replace(detector("tiny"), weights_sha256=None, identity=None)).backend == "torch"  # it may be in training
    assert accelerated(detector("spectrum")).backend == "torch"  # a Fourier transform
    fast = accelerated(detector("tiny"))
    assert fast.backend == (ENGINES or ["torch"])[0] and accelerated(fast) is fast
    assert accelerated(fast, "torch").engine is None


def test_ranges_ship_for_the_weights_that_ship() -> None:
    for name, record in registered().items():
        if not any(has_form(network) for _, network in members(load(name).network)):  # a Fourier transform
            continue
        assert read_ranges(weights_root() / f"{name}{RANGES}.json").weights_sha256 == record.sha256, name


@pytest.mark.parametrize("backend", ENGINES)
def test_ranges_matter_to_int8_alone(backend: str) -> None:
    reference, images = detector("tiny"), photo(2, 33, 40)
    fast = accelerated(reference, backend, ranges=activation_ranges(reference.network, images))
    assert (fast.logits(images) - reference.logits(images)).abs().max() <= EXACT


@pytest.mark.parametrize("name", ["tiny", "fusion-spectrum"])
def test_a_calibrated_detector_keeps_its_engine(name: str) -> None:
    images, plain = photo(2, 33, 40), detector(name)
    expected = calibrated(plain).logits(images)
    for fast in (calibrated(accelerated(plain)), accelerated(calibrated(plain))):
        torch.testing.assert_close(fast.logits(images), expected, atol=1e-5, rtol=1e-5)
        assert fast.backend == (ENGINES or ["torch"])[0]


def test_what_a_backend_cannot_do_is_said_before_scoring() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'openvino'"):
        accelerated(detector("tiny"), "openvno")
    with pytest.raises(UnknownNameError, match="precision"):
        accelerated(detector("tiny"), precision="fp8")
    with pytest.raises(ProtocolError, match="does not compute in int8. Expected one of: onnxruntime"):
        accelerated(detector("tiny"), "torch", "int8")
    for name in ENGINES:
        with pytest.raises(ProtocolError, match="not a torch module"):
            accelerated(Detector("mine", lambda images: images.mean((1, 2, 3))), name)
        with pytest.raises(ProtocolError, match="cannot be traced|no form outside torch"):
            accelerated(detector("spectrum"), name)
        with pytest.raises(ProtocolError, match="cnndetect detectors ranges tiny"):
            accelerated(detector("tiny"), name, "int8")


class OneOperation(nn.Module):
    """A network of a user that calls a known operation in a way that has no form in an engine."""

    def __init__(self, operation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, images: Tensor) -> Tensor:
        return self.operation(images)


@pytest.mark.parametrize(
    "operation",
    [
        lambda images: images[:, :, 1:].mean((1, 2, 3)),
        lambda images: images[:, 0].mean((1, 2)) + images[0].mean(),
        lambda images: (images - images.mean()).std((1, 2, 3)),
        lambda images: images[..., :1].squeeze().mean((1, 2)),
        lambda images: images.flatten(2).mean(-1).mean(-1),
    ],
)
def test_a_network_that_no_engine_can_read_is_left_to_torch(operation: Callable[[Tensor], Tensor]) -> None:
    mine = Detector("mine", OneOperation(operation), identity="of a test")
    found = accelerated(mine)
    images = photo(2, 33, 40)
    assert found.backend == "torch" and torch.equal(found.logits(images), mine.logits(images))
    for name in ENGINES:
        with pytest.raises(ProtocolError):
            accelerated(mine, name)


@pytest.mark.skipif(not ENGINES, reason="no engine is installed")
def test_an_engine_that_is_off_is_replaced_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnndetect.backends.choose._built", lambda *_: lambda images: images.mean((1, 2, 3)))
    reference, images = detector("tiny"), photo(2, 33, 40)
    with pytest.warns(UserWarning, match="torch computes its logits"):
        found = accelerated(reference)
    assert found.backend == "torch" and torch.equal(found.logits(images), reference.logits(images))
    with pytest.raises(ProtocolError, match="differ by"):
        accelerated(reference, ENGINES[0])


@pytest.mark.skipif(not ENGINES, reason="no engine is installed")
def test_an_engine_is_compared_with_torch_once_for_the_same_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compared: list[str | None] = []
    measured = choose._difference
    monkeypatch.setattr(choose, "_difference", lambda one, run: compared.append(one.identity) or measured(one, run))

    def load(*weights: str | None) -> None:
        for one in weights:
            accelerated(replace(detector("tiny"), identity=one, weights_sha256=one), ENGINES[0])

    load("a", "a", "b")
    assert compared == ["a", "b"]
    load(None, None)
    assert compared[2:] == [None, None], "a network without an identity may have changed"
    for kept in (tmp_path / "engines").iterdir():
        kept.write_text("no number")
    load("a", "b")
    assert compared[4:] == ["a", "b"], "what cannot be read is measured again"


@pytest.mark.skipif(not ENGINES, reason="no engine is installed")
def test_a_batch_goes_through_in_pieces_and_a_large_image_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr("cnndetect.backends.choose._built", lambda *_: lambda images: seen.append(images.shape) or images.mean((1, 2, 3)))
    monkeypatch.setattr("cnndetect.backends.choose.EXACT", float("inf"))
    fast = accelerated(detector("resnet18"), ENGINES[0])
    seen.clear()
    side = int((CHUNK_PIXELS // 2) ** 0.5)
    assert fast.logits(torch.zeros(5, 3, side, side)).shape == (5,) and [shape[0] for shape in seen] == [2, 2, 1]
    monkeypatch.setattr("cnndetect.detectors.networks.strips.WHOLE_PIXELS", 1000)
    seen.clear()
    assert fast.logits(torch.zeros(1, 3, 40, 40)).shape == (1,) and not seen


def test_score_takes_a_backend_by_name() -> None:
    array = np.random.default_rng(0).integers(0, 256, (40, 33, 3), dtype=np.uint8)
    values = [score(array, detector=detector("tiny"), backend=backend) for backend in ("torch", "auto", *ENGINES)]
    assert max(values) - min(values) < EXACT


@pytest.mark.skipif(not ENGINES, reason="no engine is installed")
def test_a_loaded_detector_is_scored_by_an_engine_that_is_built_once_for_its_weights() -> None:
    loaded = detector("tiny")
    fast = load_detector(loaded, device=None)
    assert fast.backend == ENGINES[0] and loaded.engine is None and load_detector(loaded, device=None) is fast
    assert load_detector(fast, device=None) is fast and load_detector(loaded, device=None, backend="torch").engine is None
    assert torch.equal(pickle.loads(pickle.dumps(loaded)).logits(photo(1, 33, 40)), loaded.logits(photo(1, 33, 40)))

    with torch.no_grad():  # as an optimiser does
        next(loaded.network.parameters()).add_(0.5)
    images = photo(2, 33, 40)
    again = load_detector(loaded, device=None)
    assert again is not fast and (again.logits(images) - loaded.logits(images)).abs().max() <= EXACT
    assert (fast.logits(images) - loaded.logits(images)).abs().max() > EXACT


def test_scores_of_another_float32_engine_are_taken_and_those_of_less_precision_are_not() -> None:
    made = Provenance(detector="mine", identity="ab", fingerprint="08d3", protocol="nocrop")
    assert Provenance.from_json(made.to_json()) == made and "backend" not in made.to_json()  # as older files are
    other = Provenance(detector="mine", identity="ab", fingerprint="08d3", protocol="nocrop", backend="onnxruntime")
    assert made != other and made.equals(other)
    lossy = Provenance(detector="mine", identity="ab", fingerprint="08d3", protocol="nocrop", backend="onnxruntime", precision="int8")
    assert not made.equals(lossy) and not other.equals(lossy)
