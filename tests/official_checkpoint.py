"""Draws a checkpoint in the official format, random but for its spread of logits, and a test set in the official layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision import models


def random_resnet50(seed: int = 0) -> nn.Module:
    """torchvision's ResNet-50 with one logit and random batch statistics; untouched ones would hide a state that was not loaded."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = models.resnet50(num_classes=1)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def draw_official_set(root: Path, sizes: Sequence[tuple[int, int]], *, classes: tuple[str, ...] = ("apple", "horse")) -> Path:
    """ROOT/CLASS/{0_real,1_fake}/K.png, one of each height and width: colour noise of many contrasts and tints; a real is grey."""
    rng = np.random.default_rng(0)
    for name in classes:
        for label in ("0_real", "1_fake"):
            folder = root / name / label
            folder.mkdir(parents=True)
            for index, (high, wide) in enumerate(sizes):
                coarse = rng.normal(rng.uniform(60, 200, 3), rng.uniform(5, 90), (high // 8 + 1, wide // 8 + 1, 3))
                image = np.kron(coarse, np.ones((8, 8, 1)))[:high, :wide] + rng.normal(0, rng.uniform(0, 40), (high, wide, 3))
                picture = Image.fromarray(image.clip(0, 255).astype(np.uint8))
                (picture.convert("L") if label == "0_real" and index == 0 else picture).save(folder / f"{index}.png")
    return root


def save_official(path: Path, network: nn.Module, *, adam: bool = False) -> Path:
    """model, optimizer, total_steps, in the file format of the torch of 2020.

    adam: one step of layer 1 and fc, so that the optimiser has a state; of all parameters it would be 188 MB.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    if adam:
        before = {name: value.clone() for name, value in network.state_dict().items()}
        for parameter in (*network.get_submodule("layer1").parameters(), *network.get_submodule("fc").parameters()):
            parameter.grad = torch.full_like(parameter, 1e-3)
        optimizer.step()
        network.load_state_dict(before)
        network.zero_grad(set_to_none=True)
    content = {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "total_steps": 270_048}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path
