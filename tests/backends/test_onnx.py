"""The ONNX form of a network: exact weights, exact grey levels, and a file that is compared before it is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_networks import detector, photo, tame
from PIL import Image
from safetensors.torch import save_file

from cnndetect.backends import EXACT, accelerated, export_onnx
from cnndetect.backends.int8 import activation_ranges
from cnndetect.cli.main import main
from cnndetect.detectors.base import Detector
from cnndetect.detectors.networks import build
from cnndetect.detectors.networks.npr import NeighbourResidualNetwork
from cnndetect.detectors.registry import load
from cnndetect.errors import ProtocolError
from cnndetect.packing import from_steps, to_steps

onnx = pytest.importorskip("onnx")
graph = pytest.importorskip("cnndetect.backends.onnx_graph")


@pytest.mark.parametrize("largest", [127, 31])
def test_packed_weights_are_not_rounded_again(largest: int) -> None:
    generator = torch.Generator().manual_seed(0)
    steps, scale = to_steps(torch.randn(6, 4, 3, 3, generator=generator), largest=largest)
    factor = torch.tensor([1.0, -2.5, 0.3, 7.0, 1e-3, -1.0])  # of a folded batch norm
    again, finer = graph.exact_steps(from_steps(steps, scale) * factor.view(-1, 1, 1, 1))
    assert torch.equal(again, steps * factor.sign().view(-1, 1, 1, 1).to(torch.int8))
    torch.testing.assert_close(finer, scale * factor.abs())


def test_levels_are_whole_numbers_and_leave_the_logits() -> None:
    ort = pytest.importorskip("onnxruntime")
    images = photo(2, 33, 40)
    levels = graph.as_levels(images)
    assert torch.equal(levels, levels.round()) and levels.abs().max() < 256 and torch.equal(levels, levels.bfloat16().float())
    network = tame(NeighbourResidualNetwork())
    session = ort.InferenceSession(graph.to_onnx(network, levels=True).SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(None, {"images": levels.numpy()})[0]
    assert np.abs(got - Detector("npr", network).logits(images).numpy()).max() < 1e-4


@pytest.mark.parametrize("name", ["npr", "efficientnet-lite0", "efficientnet-lite0-statistics", "resnet18-short", "fusion"])
def test_an_exported_file_gives_the_logits_of_torch(name: str, tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    made = detector(name)
    found = export_onnx(made, tmp_path / "a.onnx")
    assert found.bytes == (tmp_path / "a.onnx").stat().st_size and 0 <= found.largest_difference <= EXACT
    session = ort.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    images = photo(3, 47, 62)
    got = session.run(["logits"], {"images": images.numpy()})[0]
    assert np.abs(got - made.logits(images).numpy()).max() <= EXACT


def test_what_has_no_onnx_form_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="not a torch module"):
        export_onnx(Detector("mine", lambda images: images.mean((1, 2, 3))), tmp_path / "b.onnx")
    for name, part in (("spectrum", "SpectrumResNet34"), ("fusion-spectrum", "ShortSpectrumResNet18")):
        with pytest.raises(ProtocolError, match=f"{name} has no ONNX form here, because of {part}"):
            export_onnx(detector(name), tmp_path / "b.onnx")
    assert not (tmp_path / "b.onnx").exists()


def test_the_commands_export_a_file_and_store_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("CNNDETECT_RANGES", str(tmp_path / "ranges"))
    save_file(tame(build("tiny")).state_dict(), tmp_path / "mine.safetensors")
    weights = str(tmp_path / "mine.safetensors")
    assert main(["detectors", "export", weights, str(tmp_path / "mine.onnx")]) == 0
    assert json.loads(capsys.readouterr().out)["largest_difference"] <= EXACT
    with pytest.raises(ProtocolError, match="cnndetect detectors ranges"):
        accelerated(load(weights, device="cpu"), "onnxruntime", "int8")
    rng = np.random.default_rng(0)
    for number in (0, 10, 11, 12):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{number:05d}.png")
    assert main(["detectors", "ranges", weights, "--photos", str(tmp_path / "photos")]) == 0
    assert "of 2 photographs (validation)" in capsys.readouterr().out  # numbers 0 and 10
    fast = accelerated(load(weights, device="cpu"), "onnxruntime", "int8")
    assert (fast.precision, fast.logits(photo(2, 40, 48)).shape) == ("int8", (2,))


def test_eight_bits_are_for_maps_and_never_for_evidence() -> None:
    """Bounds measured on photographs would cut off the logits of fakes."""
    network = detector("efficientnet-lite0-statistics").network
    model = graph.to_onnx(network, ranges=activation_ranges(network, photo(1, 64, 64)))
    known = onnx.shape_inference.infer_shapes(model).graph.value_info
    shapes = {one.name: [side.dim_value for side in one.type.tensor_type.shape.dim] for one in known}
    rounded = [node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(rounded) > 20
    assert all(len(shapes[name]) == 4 and shapes[name][1] > 1 for name in rounded), [(name, shapes[name]) for name in rounded]
