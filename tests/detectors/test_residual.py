"""Our residual networks beside torchvision's: the same names, the same random start, the same numbers."""

from __future__ import annotations

import pytest
import torch
from torchvision import models

from cnndetect.detectors.networks import build, unfilled
from cnndetect.detectors.networks.residual import BasicBlock, Bottleneck, ResidualNetwork

NETWORKS = {
    "resnet18": lambda: ResidualNetwork(BasicBlock, [2, 2, 2, 2], outputs=1000),
    "resnet50": lambda: ResidualNetwork(Bottleneck, [3, 4, 6, 3], outputs=1000),
    "resnext50_32x4d": lambda: ResidualNetwork(Bottleneck, [3, 4, 6, 3], outputs=1000, groups=32, width_per_group=4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_gives_torchvisions_network(name: str) -> None:
    networks = []
    for make in (NETWORKS[name], getattr(models, name)):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            networks.append(make().eval())
    ours, theirs = (network.state_dict() for network in networks)
    assert list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)
    images = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(networks[0](images), networks[1](images))


def test_an_unfilled_network_takes_any_state() -> None:
    full, empty = build("resnet18").eval(), unfilled("resnet18").eval()
    empty.load_state_dict(full.state_dict())
    with torch.inference_mode():
        assert torch.equal(full(torch.ones(1, 3, 40, 40)), empty(torch.ones(1, 3, 40, 40)))
