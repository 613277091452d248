"""Networks with random weights and images of noise, for tests that compare one way of computing logits with another."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cnndetect.detectors.base import Detector
from cnndetect.detectors.fusion import Fusion
from cnndetect.detectors.networks import build
from cnndetect.transforms.preprocess import to_tensor


def tame(network: nn.Module) -> nn.Module:
    """Random weights with batch statistics of their own, so that activations stay of the order of one."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.2
            module.running_var = torch.rand(module.num_features, generator=generator) + 1
            module.bias.data = torch.randn(module.num_features, generator=generator) * 0.2
    return network.eval()


def detector(name: str) -> Detector:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        members = {"fusion": ("npr", "tiny"), "fusion-spectrum": ("npr", "spectrum-short")}.get(name)
        network = Fusion(list(map(build, members)), [0.7, -1.3], 0.4) if members else build(name)
    return Detector(name, tame(network), weights_sha256="ab" * 32, threshold_logit=0.3, temperature=2.0)


def photo(count: int, height: int, width: int) -> torch.Tensor:
    rng = np.random.default_rng(height)
    return torch.stack([to_tensor(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(count)])
