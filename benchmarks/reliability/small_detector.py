"""A detector of a few weights, so that a run measures the harness and not a network."""

from __future__ import annotations

import os

import torch
from torch import nn

from cnndetect.detectors.base import Detector


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if log := os.environ.get("SMALL_LOG"):  # a byte an image, for kill.py
            with open(log, "ab") as file:
                file.write(bytes(len(images)))
        return self.fc(self.pool(self.conv(images).relu()).flatten(1))[:, 0]


def small() -> Detector:
    """For ``--detector small_detector:small``; it has an identity, so that stored results count."""
    return Detector("small", Small(), threshold_logit=0.0, temperature=1.0, weights_sha256="5" * 64, progan_only=True)
