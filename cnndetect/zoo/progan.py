"""ProGAN: noise in, 128 px image out, grown from 8 px with fade-in.

Source: Karras et al., "Progressive Growing of GANs", ICLR 2018 (arXiv 1710.10196).
Kept: nearest-neighbour upsampling + 3x3 convolutions, pixel norm, equalised learning rate, minibatch standard
deviation, WGAN-GP with drift, fade-in, exponential moving average of the generator, one network per category.
Reduced: 128 px instead of 256 px, narrower layers, fewer images, the first resolution is 8 px; the CPU recipe takes
the gradient penalty every fourth step at four times the weight (lazy regularisation, arXiv 1912.04958 section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.layers import EqualConv2d, EqualLinear, minibatch_stddev, pixel_norm, upsample_nearest
from cnndetect.zoo.loop import Loop, run


@dataclass(frozen=True)
class ProGANConfig:
    """Widths and schedule.

    channels: feature maps at 4, 8, 16 ... px.  phases: (resolution_px, images while fading in, images after, batch).
    """

    channels: tuple[int, ...] = (64, 64, 64, 48, 32, 12)
    latent: int = 64
    phases: tuple[tuple[int, int, int, int], ...] = (
        (8, 0, 10000, 32),
        (16, 5000, 8000, 32),
        (32, 5000, 8000, 32),
        (64, 3000, 4500, 16),
        (128, 2000, 6208, 16),
    )
    lr: float = 0.002
    gradient_penalty: float = 10.0
    penalty_interval: int = 4
    drift: float = 0.001
    ema_images: float = 1500.0
    seed: int = 0


CPU = ProGANConfig()
GPU = ProGANConfig(
    channels=(256, 256, 256, 256, 128, 64),
    latent=256,
    phases=(
        (8, 0, 100000, 64),
        (16, 100000, 100000, 64),
        (32, 100000, 100000, 64),
        (64, 100000, 100000, 64),
        (128, 100000, 300000, 64),
    ),
    lr=0.001,
    penalty_interval=1,
    ema_images=10000.0,
)


class Generator(nn.Module):
    """[N, latent] -> [N, 3, R, R] in about [-1, 1]; R = 4 * 2**level, blended with the level below by ``alpha``."""

    def __init__(self, config: ProGANConfig):
        super().__init__()
        widths = config.channels
        self.dense = EqualLinear(config.latent, widths[0] * 16, gain=2**0.5 / 4)
        self.first = EqualConv2d(widths[0], widths[0], 3)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.blocks = nn.ModuleList(nn.ModuleList([EqualConv2d(i, o, 3), EqualConv2d(o, o, 3)]) for i, o in pairs)
        self.to_rgb = nn.ModuleList(EqualConv2d(width, 3, 1, gain=1.0) for width in widths)

    def forward(self, z: Tensor, *, level: int, alpha: float = 1.0) -> Tensor:
        x = self.dense(pixel_norm(z)).view(len(z), -1, 4, 4)
        x = pixel_norm(F.leaky_relu(x, 0.2))
        x = pixel_norm(F.leaky_relu(self.first(x), 0.2))
        below = x
        for block in self.blocks[:level]:
            below = x
            x = upsample_nearest(x)
            for convolution in cast(nn.ModuleList, block):
                x = pixel_norm(F.leaky_relu(convolution(x), 0.2))
        image = self.to_rgb[level](x)
        if alpha < 1 and level > 0:
            # Fade-in (figure 2): the new layers are a residual on the upsampled image of the level below.
            image = torch.lerp(upsample_nearest(self.to_rgb[level - 1](below)), image, alpha)
        return image


class Discriminator(nn.Module):
    """[N, 3, R, R] -> [N], mirror of the generator with average pooling and minibatch standard deviation."""

    def __init__(self, config: ProGANConfig):
        super().__init__()
        widths = config.channels
        self.from_rgb = nn.ModuleList(EqualConv2d(3, width, 1) for width in widths)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.blocks = nn.ModuleList(nn.ModuleList([EqualConv2d(o, o, 3), EqualConv2d(o, i, 3)]) for i, o in pairs)
        self.last = EqualConv2d(widths[0] + 1, widths[0], 3)
        self.dense = EqualConv2d(widths[0], widths[0], 4, padding=0)
        self.out = EqualLinear(widths[0], 1, gain=1.0)

    def forward(self, image: Tensor, *, level: int, alpha: float = 1.0) -> Tensor:
        x = F.leaky_relu(self.from_rgb[level](image), 0.2)
        for position in range(level, 0, -1):
            for convolution in cast(nn.ModuleList, self.blocks[position - 1]):
                x = F.leaky_relu(convolution(x), 0.2)
            x = F.avg_pool2d(x, 2)
            if position == level and alpha < 1:
                skip = F.leaky_relu(self.from_rgb[level - 1](F.avg_pool2d(image, 2)), 0.2)
                x = torch.lerp(skip, x, alpha)
        x = F.leaky_relu(self.last(minibatch_stddev(x)), 0.2)
        x = F.leaky_relu(self.dense(x), 0.2).flatten(1)
        return self.out(x).squeeze(1)


@dataclass(frozen=True)
class Position:
    """Where in the schedule a step is: resolution, blend factor and batch size."""

    resolution_px: int
    alpha: float
    batch: int

    @property
    def level(self) -> int:
        return self.resolution_px.bit_length() - 3


def total_steps(config: ProGANConfig) -> int:
    """Optimiser steps of the whole schedule."""
    return sum(-(-fade // batch) + -(-stable // batch) for _, fade, stable, batch in config.phases)


def position_at(step: int, config: ProGANConfig) -> Position:
    """Resolution and fade of a step; alpha grows linearly from 0 to 1 and never jumps.

    >>> position_at(0, CPU).resolution_px
    8
    """
    for resolution, fade, stable, batch in config.phases:
        fade_steps, stable_steps = -(-fade // batch), -(-stable // batch)
        if step < fade_steps:
            return Position(resolution, (step + 1) / (fade_steps + 1), batch)
        if step < fade_steps + stable_steps:
            return Position(resolution, 1.0, batch)
        step -= fade_steps + stable_steps
    last = config.phases[-1]
    return Position(last[0], 1.0, last[3])


def train(photos: Tensor, config: ProGANConfig, out: Path, *, device: str = "cpu", checkpoint_seconds: float = 120.0) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    generator, discriminator = Generator(config).to(device), Discriminator(config).to(device)
    average = deepcopy(generator)
    optimizers = {
        "generator_adam": torch.optim.Adam(generator.parameters(), config.lr, betas=(0.0, 0.99)),
        "discriminator_adam": torch.optim.Adam(discriminator.parameters(), config.lr, betas=(0.0, 0.99)),
    }

    def step(index: int, rng: torch.Generator) -> Mapping[str, float]:
        position = position_at(index, config)
        shape = {"level": position.level, "alpha": position.alpha}
        real = _draw(photos, position, rng).to(device)

        # Critic: Wasserstein distance, gradient penalty towards slope 1, small drift.
        z = torch.randn(position.batch, config.latent, generator=rng).to(device)
        with torch.no_grad():
            fake = generator(z, **shape)
        score_real, score_fake = discriminator(real, **shape), discriminator(fake, **shape)
        critic = score_fake.mean() - score_real.mean()
        loss = critic + config.drift * score_real.square().mean()
        if index % config.penalty_interval == 0:
            penalty = _gradient_penalty(discriminator, real, fake, shape, rng)
            loss = loss + config.penalty_interval * config.gradient_penalty * penalty
        optimizers["discriminator_adam"].zero_grad(set_to_none=True)
        loss.backward()
        optimizers["discriminator_adam"].step()

        # Generator: raise the critic's score of fresh fakes.
        z = torch.randn(position.batch, config.latent, generator=rng).to(device)
        for parameter in discriminator.parameters():
            parameter.requires_grad_(False)
        adversarial = -discriminator(generator(z, **shape), **shape).mean()
        optimizers["generator_adam"].zero_grad(set_to_none=True)
        adversarial.backward()
        optimizers["generator_adam"].step()
        for parameter in discriminator.parameters():
            parameter.requires_grad_(True)

        _move_average(average, generator, decay=0.5 ** (position.batch / config.ema_images))
        return {"critic": critic.item(), "px": position.resolution_px, "alpha": position.alpha}

    networks = {"generator": generator, "discriminator": discriminator, "average": average}
    state: dict[str, nn.Module | torch.optim.Optimizer] = {**networks, **optimizers}
    loop = Loop(total_steps(config), out, seed=config.seed, checkpoint_seconds=checkpoint_seconds)
    return run(loop, step, state, config=config)


def sample(average: Generator, z: Tensor, *, resolution_px: int = 128) -> Tensor:
    """Images [N, 3, R, R] in [-1, 1] of the averaged generator."""
    with torch.no_grad():
        return average(z, level=resolution_px.bit_length() - 3).clamp(-1, 1)


def _draw(photos: Tensor, position: Position, rng: torch.Generator) -> Tensor:
    """A batch of photographs, flipped at random, at the current resolution and fade."""
    index = torch.randint(len(photos), (position.batch,), generator=rng)
    real = photos[index.to(photos.device)].float() / 127.5 - 1
    flip = torch.rand(position.batch, generator=rng).to(real.device) < 0.5
    real = torch.where(flip.view(-1, 1, 1, 1), real.flip(3), real)
    real = F.avg_pool2d(real, real.shape[-1] // position.resolution_px)
    if position.alpha < 1:
        # Reals fade in too, so that both sides of the critic see the same sharpness.
        real = torch.lerp(upsample_nearest(F.avg_pool2d(real, 2)), real, position.alpha)
    return real


def _gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, shape: dict, rng: torch.Generator) -> Tensor:
    mix = torch.rand(len(real), 1, 1, 1, generator=rng).to(real.device)
    between = torch.lerp(real, fake, mix).requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(between, **shape).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


@torch.no_grad()
def _move_average(average: nn.Module, current: nn.Module, *, decay: float) -> None:
    for slow, fast in zip(average.parameters(), current.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)
