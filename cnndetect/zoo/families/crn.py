"""CRN: a label map refined from 4 px to a 128 px image by cascaded modules.

Source: Chen and Koltun, "Photographic Image Synthesis with Cascaded Refinement Networks", ICCV 2017 (arXiv 1707.09405).
Kept: modules that double the resolution by bilinear upsampling, each fed the label map at its size, two 3x3
convolutions with layer norm and leaky ReLU, no adversary, a feature-matching (perceptual) loss against the photograph.
Different: every map of the loss, the image among them, weighs the same.
Reduced: 128 px, 24 to 96 feature maps instead of 1024, label maps of clustered regions (zoo/parts/labels.py)
instead of annotation, EfficientNet-Lite0 features instead of VGG-19.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.features import PerceptualFeatures, perceptual_distance
from cnndetect.zoo.loop import Job, fit
from cnndetect.zoo.parts.labels import CLASSES, LAYOUT, fit_centres, label_maps, one_hot


@dataclass(frozen=True)
class CRNConfig:
    """Feature maps at 4, 8 ... 128 px and schedule."""

    channels: tuple[int, ...] = (96, 96, 96, 64, 48, 24)
    noise: int = 0  # extra noise channels (0 for CRN, more for IMLE)
    steps: int = 900
    batch: int = 4
    lr: float = 1e-3
    seed: int = 0


CPU = CRNConfig()
GPU = CRNConfig(channels=(512, 512, 512, 256, 128, 64), steps=40000, batch=16, lr=2e-4)


class Network(nn.Module):
    """Layout and noise [N, classes + 1 + noise, 128, 128] -> RGB [N, 3, 128, 128] in about [0, 1]. ``centres`` travels with the weights."""

    centres: Tensor

    def __init__(self, config: CRNConfig):
        super().__init__()
        self.register_buffer("centres", torch.zeros(CLASSES, 5))
        layout = LAYOUT + config.noise
        inputs = [layout, *(width + layout for width in config.channels[:-1])]
        self.refinements = nn.ModuleList(Refinement(i, o) for i, o in zip(inputs, config.channels, strict=True))
        self.to_rgb = nn.Conv2d(config.channels[-1], 3, 1)

    def forward(self, layout: Tensor) -> Tensor:
        size = layout.shape[-1] >> (len(self.refinements) - 1)
        x = F.adaptive_avg_pool2d(layout, size)
        for index, refinement in enumerate(self.refinements):
            if index:
                size *= 2
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
                x = torch.cat([x, F.adaptive_avg_pool2d(layout, size)], dim=1)
            x = refinement(x)
        return self.to_rgb(x) * 0.5 + 0.5


class Refinement(nn.Module):
    """Two convolutions, each with layer norm over the whole map and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first, self.second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
        # One group is layer norm with an affine map per channel.
        self.first_norm, self.second_norm = nn.GroupNorm(1, outputs), nn.GroupNorm(1, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.first_norm(self.first(x)), 0.2)
        return F.leaky_relu(self.second_norm(self.second(x)), 0.2)


def train(photos: Tensor, config: CRNConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    network = job.place(Network(config))
    features = job.place(PerceptualFeatures())

    # The labels come from the training photographs alone and are kept as bytes.
    network.centres.copy_(fit_centres(photos, seed=config.seed))
    maps = label_maps(photos, network.centres.cpu())

    def loss_of(rng: torch.Generator) -> Tensor:
        chosen = torch.randint(len(photos), (config.batch,), generator=rng)
        photo = (photos[chosen].float() / 255).to(job.device)
        layout = one_hot(maps[chosen]).to(job.device)
        if torch.rand(1, generator=rng).item() < 0.5:
            photo, layout = photo.flip(3), layout.flip(3)
        with torch.no_grad():
            target = features(photo)
        return perceptual_distance(features(network(layout)), target).mean()

    return fit(network, loss_of, config, job, lr_drop=0.25)


@torch.no_grad()
def translate(network: Network, photo: Tensor, config: CRNConfig, rng: torch.Generator) -> Tensor:
    """Images from the label maps of photographs [N, 3, H, W] in [0, 1]. ``rng`` is not needed: nothing is random."""
    maps = label_maps((photo.cpu() * 255).round().to(torch.uint8), network.centres.cpu())
    return network(one_hot(maps).to(photo.device)).clamp(0, 1)
