"""Packed weights: how far a weight and a logit may move, what is refused, and the command that converts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from drawn_suite import draw_suite
from safetensors.torch import load_file, save_file
from torch import nn

from cnndetect.cli.main import main
from cnndetect.detectors import registry
from cnndetect.detectors.networks.residual import Bottleneck
from cnndetect.detectors.networks.resnet import resnet50_one_logit
from cnndetect.detectors.packed import to_packed, unpack
from cnndetect.detectors.records import read_record
from cnndetect.detectors.weights import load_state
from cnndetect.errors import UnknownNameError, WeightsError
from cnndetect.files import sha256_of
from cnndetect.fitting.release import compare_weights, pack_weights


def pictures(count: int, *, seed: int) -> torch.Tensor:
    """Images of all contrasts, coarse and fine: [N, 3, 64, 64]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = nn.functional.interpolate(torch.randn(count, 3, 8, 8, generator=generator), size=64, mode="bilinear")
    fine, level = torch.randn(count, 3, 64, 64, generator=generator), torch.randn(count, 3, 1, 1, generator=generator)
    return level + coarse + fine * torch.rand(count, 1, 1, 1, generator=generator)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory) -> Path:
    """A random ResNet-50 made as tame as a trained one: batch statistics of its own activations, short residual branches.

    Without that, a random network is chaotic, and the smallest change of a weight decides a logit.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = resnet50_one_logit()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
            if isinstance(module, Bottleneck):
                nn.init.constant_(module.bn3.weight, 0.2)
        network.train()
        with torch.no_grad():
            network(pictures(32, seed=0))
    path = tmp_path_factory.mktemp("weights") / "float.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.mark.parametrize("bits", [2, 5, 6, 8])
@pytest.mark.parametrize("shape", [(5, 3, 7, 7), (1, 2048), (4, 9), (3, 3)])
def test_few_bits_come_back_exactly_and_no_weight_moves_by_more_than_half_a_step(shape, bits) -> None:
    value = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    back = unpack(to_packed({"w": value}, bits=bits, large=1, small=0))["w"]
    step = value.abs().flatten(1).amax(dim=1) / (2 ** (bits - 1) - 1)
    assert ((back - value).abs().flatten(1) <= step[:, None] / 2 + 1e-6).all()
    # What is on the grid already is not moved again.
    assert torch.allclose(unpack(to_packed({"w": back}, bits=bits, large=1, small=0))["w"], back, atol=1e-6)


def test_the_codes_take_less_room_than_the_bits() -> None:
    value = torch.randn(64, 4096, generator=torch.Generator().manual_seed(0))
    content = to_packed({"w": value}, bits=6)["w.coded"]
    assert content.dtype == torch.uint8 and len(content) < 0.9 * value.numel() * 6 / 8


def test_small_tensors_keep_sixteen_bits_and_middling_ones_eight() -> None:
    packed = to_packed(
        {"small": torch.randn(3, 4), "middling": torch.randn(10, 10), "large": torch.randn(30, 40)}, bits=3, large=1000, small=50
    )
    assert packed["small"].dtype == torch.float16 and set(packed) >= {"middling.coded", "large.coded"}
    back = unpack(packed)
    assert set(back) == {"small", "middling", "large"} and all(value.dtype == torch.float32 for value in back.values())
    assert len(back["large"].div(packed["large.scale"].view(-1, 1)).round().unique()) <= 7 < len(back["middling"].unique())


def test_vectors_become_half_with_few_bits_alone_and_only_where_they_fit() -> None:
    state = {"bn.weight": torch.linspace(-3, 3, 50), "bn.running_var": torch.tensor([1e-9, 7.0, 7e4])}
    few, more = to_packed(state, bits=5), to_packed(state, bits=6)
    assert few["bn.weight"].dtype == torch.float16 and few["bn.running_var"].dtype == torch.float32
    assert all(value.dtype == torch.float32 for value in more.values())
    assert torch.allclose(unpack(few)["bn.weight"], state["bn.weight"], rtol=1e-3)


@pytest.mark.parametrize("lost", ["w.shape", "w.scale"])
def test_codes_without_what_belongs_to_them_are_refused(lost: str) -> None:
    packed = to_packed({"w": torch.randn(4, 5)}, small=0)
    del packed[lost]
    with pytest.raises(WeightsError, match=f"has no {lost}"):
        unpack(packed)


@pytest.mark.parametrize("harm", [lambda code: code[:-3], lambda code: code ^ 255, lambda code: torch.zeros(0, dtype=torch.uint8)])
def test_damaged_codes_and_shapes_that_hold_more_or_less_are_refused(harm) -> None:
    packed = to_packed({"w": torch.randn(40, 50)}, small=0)
    with pytest.raises(WeightsError, match=r"w\.coded"):
        unpack({**packed, "w.coded": harm(packed["w.coded"])})
    for shape in ([40, 49], [40, 51], [40, 0], [4000, 5000]):
        with pytest.raises(WeightsError, match=r"w\.coded"):
            unpack({**packed, "w.shape": torch.tensor(shape)})


@pytest.mark.parametrize("shape", [(5, 3, 7, 7), (1, 2048), (4, 9)])
def test_no_weight_moves_by_more_than_half_a_step_of_its_channel(shape) -> None:
    generator = torch.Generator().manual_seed(0)
    # Channels of very different sizes: one scale for all would lose the small ones.
    size = torch.logspace(-4, 2, shape[0]).view(-1, *[1] * (len(shape) - 1))
    value = torch.randn(shape, generator=generator) * size
    packed = to_packed({"w": value}, small=0)
    assert packed["w.scale"].shape == shape[:1]
    back = unpack(packed)["w"]
    step = value.abs().flatten(1).amax(1) / 127
    assert ((back - value).abs().flatten(1).amax(1) <= step / 2 * 1.0001).all()
    # The largest weight of a channel is met exactly.
    assert torch.allclose(back.abs().flatten(1).amax(1), value.abs().flatten(1).amax(1), rtol=1e-6)


def test_zeros_half_precision_and_counters() -> None:
    state = {"zero.weight": torch.zeros(2, 3), "half.weight": torch.full((2, 3), 1e-7, dtype=torch.float16), "n": torch.tensor(7)}
    back = unpack(to_packed(state, small=0))
    assert (back["zero.weight"] == 0).all() and back["n"] == 7 and back["n"].dtype == torch.int64
    assert back["half.weight"].dtype == torch.float32
    assert torch.allclose(back["half.weight"], state["half.weight"].float(), rtol=1e-2)


def test_packing_leaves_the_given_state_alone(weights_file) -> None:
    state = load_state(weights_file)
    before = {key: value.clone() for key, value in state.items()}
    to_packed(state)
    assert all(torch.equal(state[key], before[key]) for key in before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(bad) -> None:
    with pytest.raises(WeightsError, match="fc.weight holds NaN or infinity"):
        to_packed({"fc.weight": torch.tensor([[1.0, bad]])})


@pytest.mark.parametrize("scale", [None, torch.ones(3)])
def test_a_scale_that_is_missing_or_too_long_is_named(scale, tmp_path) -> None:
    packed = to_packed({"fc.weight": torch.ones(2, 4)}, small=0)
    del packed["fc.weight.scale"]
    if scale is not None:
        packed["fc.weight.scale"] = scale
    save_file(packed, tmp_path / "cut.safetensors")
    with pytest.raises(WeightsError, match=r"cut.safetensors: fc.weight.int8 has no fc.weight.scale of length 2"):
        load_state(tmp_path / "cut.safetensors")


def test_a_plain_parameter_called_scale_is_no_scale() -> None:
    state = {"norm.scale": torch.ones(4)}
    assert list(unpack(to_packed(state, small=0))) == ["norm.scale"]


def test_the_command_converts_and_says_what_it_did(weights_file, tmp_path, capsys) -> None:
    small, images = tmp_path / "small.safetensors", draw_suite(tmp_path / "suite", families=("crn",), per_class=2)
    assert main(["detectors", "pack", str(weights_file), str(small), "--val", str(images), "--device", "cpu", "--set", "title=Small"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["file"] == "small.safetensors" and answer["sha256"] == sha256_of(small)
    assert answer["bytes"] == small.stat().st_size < 24.5e6
    packing = read_record(tmp_path / "small.json").packing
    assert packing and packing.images == 4 and 0 < packing.mean_difference <= packing.largest_difference and packing.bits == 8
    same = compare_weights(weights_file, weights_file, images, bits=8, device="cpu")
    assert (same.largest_difference, same.ap_after) == (0.0, packing.ap_before)
    assert (answer["title"], answer["network"], answer["source"]["sha256"]) == ("Small", "resnet50", sha256_of(weights_file))
    # Packed again, words stay and the record is of the new bytes.
    again = pack_weights(weights_file, small, bits=6, fields={"licence": "MIT"})
    assert (again.title, again.licence, again.sha256) == ("Small", "MIT", sha256_of(small))
    with pytest.raises(UnknownNameError, match="Did you mean 'licence'"):
        pack_weights(weights_file, tmp_path / "never.safetensors", fields={"license": "MIT"})
    assert not (tmp_path / "never.safetensors").exists()
    assert main(["detectors", "pack", str(tmp_path / "absent.pth"), str(small)]) == 1
    assert "absent.pth does not exist" in capsys.readouterr().err


def test_logits_of_one_byte_and_of_two_bytes_stay_near(weights_file, tmp_path) -> None:
    state = load_file(weights_file)
    save_file(to_packed(state), tmp_path / "int8.safetensors")
    save_file({key: value.half() if value.is_floating_point() else value for key, value in state.items()}, tmp_path / "fp16.safetensors")
    assert (tmp_path / "int8.safetensors").stat().st_size < 24.5e6 and (tmp_path / "fp16.safetensors").stat().st_size < 47.5e6
    images = pictures(24, seed=1)
    exact = registry.load(weights_file, device="cpu").logits(images)
    for name, share in (("int8", 0.15), ("fp16", 0.01)):
        near = registry.load(tmp_path / f"{name}.safetensors", device="cpu").logits(images)
        assert near.dtype == torch.float32 and not torch.equal(near, exact)
        # Against how much the images differ among themselves: what a ranking feels.
        assert (near - exact).std() < share * exact.std(), name
