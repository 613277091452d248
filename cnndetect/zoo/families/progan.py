"""ProGAN: a generator of 128 px images, grown from 8 px with fade-in.

Source: Karras et al., "Progressive Growing of GANs", ICLR 2018 (arXiv 1710.10196).
Kept: nearest-neighbour upsampling + 3x3 convolutions, pixel norm, equalised learning rate, minibatch standard
deviation, WGAN-GP with drift, fade-in, exponential moving average of the generator, one network per category.
Different: learning rate 0.002 at batches of 8 to 16 (the paper: 0.001 at 16 and more).
Reduced: 128 px instead of 256 px, narrower layers, fewer images, the first resolution is 8 px; the CPU recipe takes
the gradient penalty every fourth step at four times the weight (lazy regularisation, arXiv 1912.04958 section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.loop import Job, run
from cnndetect.zoo.parts.adversarial import Duel, gradient_penalty
from cnndetect.zoo.parts.layers import EqualConv2d, EqualLinear, minibatch_stddev, pixel_norm, upsample_nearest
from cnndetect.zoo.parts.progressive import Phase, draw, position_at, total_steps
from cnndetect.zoo.resynthesis.config import DrivenConfig


@dataclass(frozen=True)
class ProGANConfig:
    """Widths and schedule."""

    channels: tuple[int, ...] = (64, 64, 64, 32, 16, 8)  # feature maps at 4, 8, 16 ... px
    latent: int = 64
    # (resolution_px, images while fading in, images after, batch)
    phases: tuple[Phase, ...] = (
        (8, 0, 48000, 16),
        (16, 16000, 48000, 16),
        (32, 12000, 36000, 16),
        (64, 6000, 12000, 8),
        (128, 3000, 15000, 8),
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

# These continue a ProGAN of the recipe above on the photographs of one category.
CPU_TUNE = replace(CPU, phases=((32, 0, 4000, 16), (64, 0, 1600, 8), (128, 0, 1200, 8)))
GPU_TUNE = replace(GPU, phases=((32, 0, 50000, 64), (64, 0, 50000, 64), (128, 0, 100000, 64)))


class Synthesis(nn.Module):
    """Maps [N, C, 4, 4] -> [N, 3, R, R] in about [-1, 1]; R = 4 * 2**level, blended with the level below by ``alpha``."""

    def __init__(self, widths: tuple[int, ...], *, slope: float = 0.2, first_kernel: int = 3):
        super().__init__()
        self.slope = slope
        self.first = EqualConv2d(widths[0], widths[0], first_kernel)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.blocks = nn.ModuleList(nn.ModuleList([EqualConv2d(i, o, 3), EqualConv2d(o, o, 3)]) for i, o in pairs)
        self.to_rgb = nn.ModuleList(EqualConv2d(width, 3, 1, gain=1.0) for width in widths)

    def synthesise(self, x: Tensor, *, level: int, alpha: float = 1.0) -> Tensor:
        """Everything after the dense layer."""
        x = pixel_norm(F.leaky_relu(x, self.slope))
        x = pixel_norm(F.leaky_relu(self.first(x), self.slope))
        below = x
        for block in self.blocks[:level]:
            below = x
            x = upsample_nearest(x)
            for convolution in cast(nn.ModuleList, block):
                x = pixel_norm(F.leaky_relu(convolution(x), self.slope))
        image = self.to_rgb[level](x)
        if alpha < 1 and level > 0:
            # Fade-in (figure 2): the new layers are a residual on the upsampled image of the level below.
            image = torch.lerp(upsample_nearest(self.to_rgb[level - 1](below)), image, alpha)
        return image


class Generator(Synthesis):
    """[N, latent] -> [N, 3, R, R] in about [-1, 1]; R = 4 * 2**level, blended with the level below by ``alpha``."""

    def __init__(self, config: ProGANConfig):
        super().__init__(config.channels)
        self.dense = EqualLinear(config.latent, config.channels[0] * 16, gain=2**0.5 / 4)

    def forward(self, z: Tensor, *, level: int, alpha: float = 1.0) -> Tensor:
        return self.synthesise(self.dense(pixel_norm(z)).view(len(z), -1, 4, 4), level=level, alpha=alpha)


class Decoder(Synthesis):
    """The generator without its dense layer, driven by maps of any size: [N, inputs, H, W] -> [N, 3, H * 2**levels, W * 2**levels]."""

    random = False

    def __init__(self, config: DrivenConfig):
        super().__init__(config.channels, slope=config.slope, first_kernel=config.first_kernel)
        self.inputs, self.level, self.fade = config.channels[0], config.levels, config.fade

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return self.synthesise(x, level=self.level, alpha=self.fade)

    def described(self, config: DrivenConfig) -> dict[str, object]:
        """What sets this decoder apart, for its record."""
        return config.architecture()


class Discriminator(nn.Module):
    """[N, 3, R, R] -> [N], mirror of the generator with average pooling and minibatch standard deviation."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
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


def train(photos: Tensor, config: ProGANConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    photos = photos.to(job.device)
    duel = Duel(
        Generator(config), Discriminator(config.channels), job,
        lr=(config.lr, config.lr), betas=(0.0, 0.99), ema_images=config.ema_images,
    )  # fmt: skip

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        position = position_at(index, config.phases)
        critic = partial(duel.discriminator, level=position.level, alpha=position.alpha)

        def make() -> Tensor:
            z = torch.randn(position.batch, config.latent, generator=rng).to(job.device)
            return duel.generator(z, level=position.level, alpha=position.alpha)

        # Critic: Wasserstein distance, gradient penalty towards slope 1, small drift.
        real = draw(photos, position, rng)
        with job.mixed():
            with torch.no_grad():
                fake = make()
            score_real, score_fake = critic(real).float(), critic(fake).float()
        distance = score_fake.mean() - score_real.mean()
        loss = distance + config.drift * score_real.square().mean()
        if index % config.penalty_interval == 0:
            penalty = gradient_penalty(critic, real, fake, rng)
            loss = loss + config.penalty_interval * config.gradient_penalty * penalty
        duel.improve_discriminator(loss)

        # Generator: raise the critic's score of fresh fakes.
        with duel.frozen(), job.mixed():
            duel.improve_generator(-critic(make()).float().mean(), batch=position.batch, restart=position.is_first)
        return {"critic": distance, "px": float(position.resolution_px), "alpha": position.alpha}

    return run(job, total_steps(config.phases), step, duel.state(), config=config, seed=config.seed)


@torch.no_grad()
def sample(network: Generator, config: ProGANConfig, rng: torch.Generator) -> Tensor:
    """One image [1, 3, 128, 128] in [0, 1] of the averaged generator."""
    z = torch.randn(1, config.latent, generator=rng).to(network.dense.weight.device)
    return (network(z, level=5) * 0.5 + 0.5).clamp(0, 1)
