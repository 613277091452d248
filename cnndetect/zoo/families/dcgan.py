"""DCGAN: five transposed convolutions from noise to a 128 px image.

Source: Radford et al., "Unsupervised Representation Learning with Deep Convolutional GANs", ICLR 2016 (arXiv 1511.06434).
Kept: 4x4 transposed convolutions of stride 2, batch norm in both networks, ReLU and tanh in the generator, leaky ReLU
in the discriminator, N(0, 0.02) weights, Adam with 0.0002 and beta1 0.5, cross-entropy.
Reduced: narrower layers; one stage more for 128 px instead of 64 px.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from cnndetect.zoo.loop import Job, augmented_batch, run
from cnndetect.zoo.parts.adversarial import Duel, logistic_discriminator, logistic_generator
from cnndetect.zoo.resynthesis.config import DrivenConfig


@dataclass(frozen=True)
class DCGANConfig:
    """Feature maps at 4, 8 ... 64 px and schedule."""

    channels: tuple[int, ...] = (128, 96, 64, 32, 16)
    latent: int = 64
    steps: int = 2500
    batch: int = 16
    lr: float = 2e-4
    seed: int = 0


CPU = DCGANConfig()
GPU = DCGANConfig(channels=(1024, 512, 256, 128, 64), latent=100, steps=15000, batch=128)


class Generator(nn.Module):
    """[N, latent] -> [N, 3, 128, 128] in [-1, 1]."""

    def __init__(self, config: DCGANConfig):
        super().__init__()
        widths = (config.latent, *config.channels)
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            stride, padding = (1, 0) if index == 0 else (2, 1)
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Tanh())
        self.apply(_initialise)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z[:, :, None, None])


class Decoder(nn.Module):
    """The generator after its first convolution, driven by maps: batch norm and ReLU, then a transposed convolution per level."""

    random = False

    def __init__(self, config: DrivenConfig):
        super().__init__()
        self.inputs, self.level = config.channels[1], config.levels
        # The last convolution doubles the size and gives the colours: no maps at full size.
        generator = Generator(replace(CPU, channels=config.channels[1:]))
        self.layers = generator.layers[1:]

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return self.layers(x)

    def described(self, config: DrivenConfig) -> dict[str, object]:
        """What sets this decoder apart, for its record."""
        return {**config.architecture(), "channels": config.channels[1:]}


class Discriminator(nn.Module):
    """[N, 3, 128, 128] -> [N]."""

    def __init__(self, config: DCGANConfig):
        super().__init__()
        widths = config.channels[::-1]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4))
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image).flatten()


def train(photos: Tensor, config: DCGANConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    photos = photos.to(job.device)
    duel = Duel(Generator(config), Discriminator(config), job, lr=(config.lr, config.lr), betas=(0.5, 0.999))

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        real = augmented_batch(photos, config.batch, rng) * 2 - 1
        with job.mixed():
            fake = duel.generator(torch.randn(config.batch, config.latent, generator=rng).to(job.device))
            loss = logistic_discriminator(duel.discriminator(real), duel.discriminator(fake.detach()))
        duel.improve_discriminator(loss)
        with duel.frozen(), job.mixed():
            adversarial = logistic_generator(duel.discriminator(fake))
            duel.improve_generator(adversarial, batch=config.batch)
        return {"discriminator": loss, "generator": adversarial}

    return run(job, config.steps, step, duel.state(), config=config, seed=config.seed)


@torch.no_grad()
def sample(network: Generator, config: DCGANConfig, rng: torch.Generator) -> Tensor:
    """One image [1, 3, 128, 128] in [0, 1]."""
    z = torch.randn(1, config.latent, generator=rng).to(next(network.parameters()).device)
    return network(z) * 0.5 + 0.5


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
