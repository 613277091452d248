"""IMLE: the cascade of CRN with noise, trained on the nearest of many samples.

Source: Li et al., "Diverse Image Synthesis from Semantic Layouts via Conditional IMLE", ICCV 2019 (arXiv 1811.12373).
Kept: CRN's network with noise planes beside the labels; for every photograph several samples are drawn and only the one
nearest to it in perceptual distance is pulled towards it, so that no photograph is left without a sample near it.
Different: noise planes are averaged down with the labels, so that coarse levels get hardly any noise.
Reduced: as in CRN (zoo/families/crn.py); three samples per photograph instead of ten, no rebalancing of rare colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cnndetect.features import PerceptualFeatures, perceptual_distance
from cnndetect.zoo.families.crn import CRNConfig, Network
from cnndetect.zoo.loop import Job, fit
from cnndetect.zoo.parts.labels import fit_centres, label_maps, one_hot

__all__ = ["CPU", "GPU", "IMLEConfig", "Network", "nearest", "train", "translate"]


@dataclass(frozen=True)
class IMLEConfig(CRNConfig):
    """CRN's configuration."""

    noise: int = 4  # planes of noise beside the labels
    samples: int = 3  # draws per photograph
    steps: int = 450


CPU = IMLEConfig()
GPU = IMLEConfig(channels=(512, 512, 512, 256, 128, 64), noise=10, samples=8, steps=12000, batch=16, lr=2e-4)


def nearest(distances: Tensor) -> Tensor:
    """Which sample is nearest to each photograph: [samples, N] -> [N].

    >>> nearest(torch.tensor([[3.0, 1.0], [2.0, 5.0]]))
    tensor([1, 0])
    """
    return distances.argmin(dim=0)


def train(photos: Tensor, config: IMLEConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    network = job.place(Network(config))
    features = job.place(PerceptualFeatures())
    centres = fit_centres(photos, seed=config.seed)
    network.centres.copy_(centres)
    maps = label_maps(photos, centres).to(job.device)
    photos = photos.to(job.device)

    def loss_of(rng: torch.Generator) -> Tensor:
        chosen = torch.randint(len(photos), (config.batch,), generator=rng).to(photos.device)
        photo, layout = photos[chosen].float() / 255, one_hot(maps[chosen])
        if torch.rand(1, generator=rng).item() < 0.5:
            photo, layout = photo.flip(3), layout.flip(3)

        # Best of many: the samples are compared without gradients, then the best is made again with them.
        noises = _noise(config, (config.samples, config.batch), rng).to(photo)
        with torch.no_grad():
            target = features(photo)
            distances = [perceptual_distance(features(network(torch.cat([layout, noise], dim=1))), target) for noise in noises]
        best = noises[nearest(torch.stack(distances)), torch.arange(config.batch, device=photo.device)]
        return perceptual_distance(features(network(torch.cat([layout, best], dim=1))), target).mean()

    return fit(network, loss_of, config, job, lr_drop=0.25)


@torch.no_grad()
def translate(network: Network, photo: Tensor, config: IMLEConfig, rng: torch.Generator) -> Tensor:
    """Images from the label maps of photographs [N, 3, H, W] in [0, 1] and one noise each from ``rng``."""
    maps = label_maps((photo.cpu() * 255).round().to(torch.uint8), network.centres.cpu())
    noise = _noise(config, (len(photo),), rng).to(photo)
    return network(torch.cat([one_hot(maps).to(photo), noise], dim=1)).clamp(0, 1)


def _noise(config: IMLEConfig, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return torch.randn(*shape, config.noise, 128, 128, generator=rng)
