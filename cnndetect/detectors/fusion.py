"""A weighted sum of the logits of several detectors, its weights fitted on validation logits and kept in a small JSON file.

A residual-domain detector sees the traces of up-sampling and little else; one trained with blur and JPEG loses them and keeps
what survives compression. Their logits are summed: with the weights of a logistic regression on validation images, or each over its
deviation there, as in the default.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnndetect.detectors.calibration import Calibrated
from cnndetect.detectors.networks import strips
from cnndetect.errors import WeightsError
from cnndetect.files import read_record, write_json


@dataclass(frozen=True)
class Member:
    """One detector of a sum."""

    detector: str  # a registered name, or a weights file relative to the JSON file
    weights_sha256: str
    weight: float  # per logit


@dataclass(frozen=True)
class FusionRecord:
    """What the JSON file holds; the fused logit is bias + sum of weight times logit."""

    members: tuple[Member, ...]
    bias: float
    threshold_logit: float
    temperature: float
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = [self.bias, self.threshold_logit, self.temperature, *(member.weight for member in self.members)]
        if len(self.members) < 2 or not np.isfinite(numbers).all() or self.temperature <= 0:
            raise WeightsError(f"A fusion got {len(self.members)} members and {numbers}. Expected two or more, and finite numbers.")

    def save(self, path: Path) -> None:
        """Write sorted JSON, whole or not at all."""
        write_json(path, {"fusion": asdict(self)}, indent=2)


def read_fusion(path: str | Path) -> FusionRecord:
    """The record of a JSON file that ``FusionRecord.save`` wrote. Raises WeightsError."""
    advice = "Fit one with: cnndetect detectors fuse"
    return read_record(path, FusionRecord, what="a fusion", advice=advice, unpack=lambda content: content["fusion"], error=WeightsError)


class Fusion(nn.Module):
    """The sum as a network: normalised [N, 3, H, W] -> [N]; every member does to the image what its own recipe says."""

    def __init__(self, networks: Sequence[Any], weights: Sequence[float], bias: float) -> None:
        super().__init__()
        self.networks: Any = nn.ModuleList(networks)
        self.weights, self.bias = tuple(weights), bias

    def forward(self, images: Tensor) -> Tensor:
        return self.fused([network(images).reshape(len(images)) for network in self.networks])

    def heat(self, images: Tensor) -> Tensor:
        """What every place adds to the mean that is the logit: [N, 3, H, W] -> [N, h, w], the finest map of a member. All must have maps."""
        maps = [network.heat(images).double() * weight for network, weight in zip(self.networks, self.weights, strict=True)]
        size = max((tuple(one.shape[1:]) for one in maps), key=math.prod)
        return sum((_enlarged(one, size) for one in maps), torch.full_like(maps[0][:, :1, :1], self.bias))

    @property
    def whole_pixels(self) -> int:
        """An engine takes an image of no more pixels whole."""
        return min(map(strips.whole_pixels_of, self.networks))

    def fused(self, logits: Sequence[Tensor]) -> Tensor:
        """Logits [N] of every member -> [N]."""
        # In double precision, so that large logits of opposite sign leave their difference.
        columns = torch.stack([one.double() for one in logits], dim=1)  # [N, M]
        return columns @ torch.tensor(self.weights, dtype=torch.float64, device=columns.device) + self.bias


def has_heat(network: Any) -> bool:
    """Whether a network can say what every place adds to its logit; a sum can where all of its members can, calibrated or not."""
    if isinstance(network, Calibrated):
        return has_heat(network.network)
    return all(map(has_heat, network.networks)) if isinstance(network, Fusion) else hasattr(network, "heat")


def _enlarged(heat: Tensor, size: tuple[int, ...]) -> Tensor:
    """A map [N, h, w] on a finer grid, with the same mean."""
    finer = nn.functional.interpolate(heat[:, None], size, mode="nearest")[:, 0]
    return finer + (heat.mean(dim=(1, 2)) - finer.mean(dim=(1, 2)))[:, None, None]
