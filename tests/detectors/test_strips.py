"""Large images in strips: the logits of the whole image, at borders, odd sizes and both orientations; and only where it may be."""

from __future__ import annotations

import doctest

import pytest
import torch
from official_checkpoint import random_resnet50
from torch import nn

from cnndetect.detectors.networks import strips
from cnndetect.detectors.networks.resnet import OneLogitResNet50, resnet50_one_logit
from cnndetect.detectors.networks.strips import in_strips, logits_in_strips


@pytest.fixture(scope="module")
def network() -> OneLogitResNet50:
    found = resnet50_one_logit()
    found.load_state_dict(random_resnet50().state_dict())
    return found.eval()


def stem() -> nn.Module:
    """Stride 4 like ResNet's: a row after it sees 5 rows to each side."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 7, stride=2, padding=3), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))


@pytest.mark.parametrize("size", [(64, 21), (65, 20), (21, 66), (63, 63), (7, 5), (8, 31), (1, 1)])
@pytest.mark.parametrize("strip", [4, 12, 400])
def test_a_stage_in_strips_is_the_stage(size, strip) -> None:
    stage, x = stem(), torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = stage(x), in_strips(stage, x, stride=4, halo=8, strip=strip)
    assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-6)


def test_a_halo_that_is_too_small_would_be_noticed() -> None:
    stage, x = stem(), torch.randn(1, 3, 64, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert not torch.allclose(in_strips(stage, x, stride=4, halo=0, strip=16), stage(x), atol=1e-3)


@pytest.mark.parametrize("size", [(365, 100), (100, 238)])
def test_logits_are_those_of_the_whole_image(network, size) -> None:
    # Strips of 96 px: most rows lie near a border between strips.
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        found = logits_in_strips(network, images, strip_pixels=96 * min(size)).squeeze(1)
        assert found == pytest.approx(network(images), abs=1e-4)


def test_the_halos_are_what_the_network_sees(network) -> None:
    # A pixel just inside the halo of 48 px moves the row beside a strip's border, one outside does not.
    with torch.no_grad():
        features = []
        for row in (None, 64 - 44, 64 - 48):
            images = torch.zeros(1, 3, 160, 32)
            if row is not None:
                images[:, :, row] = 100.0
            features.append(strips._to_layer2(network, images)[:, :, 64 // 8])
    assert (features[1] - features[0]).abs().max() > 1e-4 and torch.equal(features[2], features[0])


def test_only_large_images_of_a_network_at_rest_go_in_strips(network, monkeypatch) -> None:
    called = []
    monkeypatch.setattr(strips, "WHOLE_PIXELS", 64 * 64)
    monkeypatch.setattr(strips, "logits_in_strips", lambda network, images: called.append(1) or images.new_zeros(len(images), 1))
    small, large = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 65)
    with torch.no_grad():
        network(small)
        assert not called
        assert network(large).shape == (1,) and len(called) == 1
    network(large)  # with gradients
    assert len(called) == 1
    try:
        network.train()
        with torch.no_grad():
            network(torch.zeros(2, 3, 64, 64))  # statistics of the batch
    finally:
        network.eval()
    assert len(called) == 1


def test_the_example_runs() -> None:
    found = doctest.testmod(strips)
    assert found.attempted > 0 and not found.failed
