"""An architecture and an initialisation by name enter, a network and the truth about its start leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torchvision import models

from cnndetect.detectors.resnet import resnet50_one_logit
from cnndetect.detectors.weights import file_sha256, fit_state, load_state
from cnndetect.errors import WeightsError, lookup


class OneLogitResNet18(models.ResNet):
    """torchvision's ResNet-18 with one logit: [N, 3, H, W] -> [N]."""

    def __init__(self) -> None:
        super().__init__(models.resnet.BasicBlock, [2, 2, 2, 2], num_classes=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[N, 3, H, W] -> [N]."""
        return super().forward(images).squeeze(1)


class Tiny(nn.Module):
    """A residual network of width 8 that trains in a second, for tests and trials: [N, 3, H, W] -> [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.block = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
        )
        self.fc = nn.Linear(8, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[N, 3, H, W] -> [N]."""
        features = self.stem(images)
        features = torch.relu(features + self.block(features)).mean(dim=(2, 3))  # [N, 8, H/2, W/2] -> [N, 8]
        return self.fc(features).squeeze(1)


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "resnet50": resnet50_one_logit,
    "resnet18": OneLogitResNet18,
    "tiny": Tiny,
}

# torchvision names its weights by network; an architecture without a row has none to start from.
IMAGENET: dict[str, models.WeightsEnum] = {
    "resnet50": models.ResNet50_Weights.IMAGENET1K_V1,
    "resnet18": models.ResNet18_Weights.IMAGENET1K_V1,
}


def build_network(arch: str, init: str, *, seed: int, fc_deviation: float) -> tuple[nn.Module, str]:
    """A fresh network on the CPU, and the sentence that its record says about where the weights came from.

    >>> network, start = build_network("tiny", "random", seed=0, fc_deviation=0.02)
    >>> start
    'random (seed 0), fc.weight ~ N(0, 0.02)'
    """
    factory = lookup("architecture", ARCHITECTURES, arch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = factory()
        fc = network.get_submodule("fc")
        assert isinstance(fc, nn.Linear)
        nn.init.normal_(fc.weight, 0.0, fc_deviation)

    fresh_fc = f"fc.weight ~ N(0, {fc_deviation})"
    if init == "random":
        return network, f"random (seed {seed}), {fresh_fc}"
    if init == "imagenet":
        weights = lookup("architecture with ImageNet weights", IMAGENET, arch)
        _load(network, _download(weights), source=str(weights))
        return network, f"imagenet ({weights}), {fresh_fc}"

    path = Path(init)
    if not path.is_file():
        raise WeightsError(f"--init got {init!r}. Expected 'imagenet', 'random' or an existing weights file.")
    named = f"file {path.name} (sha256 {file_sha256(path)})"
    kept_fc = _load(network, load_state(path), source=path.name)
    return network, f"{named}, fc from the file" if kept_fc else f"{named}, {fresh_fc}"


def _load(network: nn.Module, state: dict[str, torch.Tensor], *, source: str) -> bool:
    """Copy ``state`` into the network, but for an fc of another width. True: fc was copied too."""
    own = network.state_dict()
    kept_fc = "fc.weight" in state and state["fc.weight"].shape == own["fc.weight"].shape
    if not kept_fc:
        state = {**state, "fc.weight": own["fc.weight"], "fc.bias": own["fc.bias"]}

    fit_state(network, state, source=source)
    return kept_fc


def _download(weights: models.WeightsEnum) -> dict[str, torch.Tensor]:
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"The ImageNet weights {weights} could not be had from {weights.url} ({error}). Fetch that file "
            "where a network is and give it with --init FILE, or start from noise with --init random."
        ) from error
