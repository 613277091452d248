"""AutoGAN simulator: a photograph passed through a GAN's upsampling and otherwise left as it is.

Source: Zhang et al., "Detecting and Simulating Artifacts in GAN Fake Images", WIFS 2019 (arXiv 1907.06515), section 4.
Kept: the generator of image-to-image translation (residual, two steps up), trained to give its input back (L1) under a
patch discriminator, so that its fakes are photographs with nothing but the artefact of the upsampling. A detector of
spectra can be trained on them without any GAN to imitate.
Reduced: 128 px, a quarter of the width, three residual blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cnndetect.zoo.loop import Job, augmented_batch, run
from cnndetect.zoo.parts.adversarial import Duel, least_squares
from cnndetect.zoo.parts.image_to_image import PatchDiscriminator, ResidualGenerator


@dataclass(frozen=True)
class AutoGANConfig:
    """Width, depth and schedule."""

    width: int = 16
    blocks: int = 3
    upsampling: str = "transposed"  # "transposed" or "nearest", the two that the paper simulates
    steps: int = 700
    batch: int = 4
    lr: float = 5e-4
    reconstruction: float = 20.0
    seed: int = 0


CPU = AutoGANConfig()
GPU = AutoGANConfig(width=64, blocks=9, steps=10000, batch=16, lr=2e-4)

# The other upsampling that the paper simulates.
NEAREST = AutoGANConfig(upsampling="nearest")


class Network(ResidualGenerator):
    """[N, 3, H, W] in [-1, 1] -> same."""

    def __init__(self, config: AutoGANConfig):
        super().__init__(3, config.width, config.blocks, upsampling=config.upsampling)


def train(photos: Tensor, config: AutoGANConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    photos = photos.to(job.device)
    duel = Duel(Network(config), PatchDiscriminator(3, config.width), job, lr=(config.lr, config.lr), betas=(0.5, 0.999))

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        photo = augmented_batch(photos, config.batch, rng) * 2 - 1
        with job.mixed():
            fake = duel.generator(photo)
            loss = 0.5 * (least_squares(duel.discriminator(photo), 1.0) + least_squares(duel.discriminator(fake.detach()), 0.0))
        duel.improve_discriminator(loss)
        with duel.frozen(), job.mixed():
            adversarial = least_squares(duel.discriminator(fake), 1.0)
            restored = (fake - photo).abs().mean()
            duel.improve_generator(adversarial + config.reconstruction * restored, batch=config.batch)
        return {"discriminator": loss, "adversarial": adversarial, "restored": restored}

    return run(job, config.steps, step, duel.state(), config=config, seed=config.seed)


@torch.no_grad()
def translate(network: Network, photo: Tensor, config: AutoGANConfig, rng: torch.Generator) -> Tensor:
    """Photographs [N, 3, H, W] in [0, 1], synthesised again. ``rng`` is not needed: nothing is random."""
    return (network(photo * 2 - 1) * 0.5 + 0.5).clamp(0, 1)
