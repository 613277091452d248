"""StyleGAN: a generator of 128 px images with a style per layer, grown from 8 px.

Source: Karras et al., "A Style-Based Generator Architecture for GANs", CVPR 2019 (arXiv 1812.04948).
Kept: mapping network at a hundredth of the learning rate, AdaIN, noise per pixel with learned strength, learned
constant, blurred upsampling, mixing regularisation, logistic loss with R1, progressive growing, truncation towards the
mean style.
Different: ProGAN's discriminator, without blur before its pooling; no noise and no AdaIN on the constant itself.
Reduced: 128 px instead of 1024 px, narrower layers, four mapping layers instead of eight, fewer images; R1 is weaker, as
small images ask for (StyleGAN2-ADA, arXiv 2006.06676, appendix C), and taken at some steps only (lazy regularisation,
arXiv 1912.04958 section 3.1).
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

from cnndetect.zoo.families.progan import Discriminator
from cnndetect.zoo.loop import Job, generator_for, run
from cnndetect.zoo.parts.adversarial import Duel, logistic_discriminator, logistic_generator, r1_penalty
from cnndetect.zoo.parts.layers import EqualConv2d, EqualLinear, blur, pixel_norm, upsample_nearest
from cnndetect.zoo.parts.progressive import Phase, draw, position_at, total_steps
from cnndetect.zoo.resynthesis.config import DrivenConfig

_MAPPING_RATE = 0.01
_MEAN_STYLE_RATE = 0.005


@dataclass(frozen=True)
class StyleGANConfig:
    """Widths and schedule, as in ProGANConfig."""

    channels: tuple[int, ...] = (64, 64, 64, 32, 16, 8)
    latent: int = 64
    mapping_layers: int = 4
    phases: tuple[Phase, ...] = (
        (8, 0, 40000, 16),
        (16, 16000, 44000, 16),
        (32, 12000, 32000, 16),
        (64, 5000, 11000, 8),
        (128, 3000, 14000, 8),
    )
    lr: float = 0.002
    r1_gamma: float = 0.5
    penalty_interval: int = 8
    mixing: float = 0.9  # chance of two styles in one image
    psi: float = 0.7  # truncation of samples
    ema_images: float = 2000.0
    seed: int = 0


CPU = StyleGANConfig()
GPU = StyleGANConfig(
    channels=(256, 256, 256, 256, 128, 64),
    latent=256,
    mapping_layers=8,
    phases=tuple((px, 0 if px == 8 else 100000, 300000 if px == 128 else 100000, 64) for px in (8, 16, 32, 64, 128)),
    r1_gamma=1.0,
    penalty_interval=4,
    ema_images=10000.0,
)


class Styled(nn.Module):
    """What StyleGAN and StyleGAN2 share: the mapping network and the mean style, which travels with the weights.

    layers: number of layers that take a style, set by the generator.
    """

    mean_style: Tensor
    layers: int

    def __init__(self, latent: int, mapping_layers: int):
        super().__init__()
        self.mapping = nn.ModuleList(EqualLinear(latent, latent) for _ in range(mapping_layers))
        self.register_buffer("mean_style", torch.zeros(latent))

    def style(self, z: Tensor) -> Tensor:
        """The mapping network: [N, latent] -> [N, latent]."""
        w = pixel_norm(z)
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), 0.2)
        return w

    def mixed_styles(self, z: Tensor, mixing: float, rng: torch.Generator, *, used: int | None = None) -> Tensor:
        """Styles of each layer [N, layers, latent], with a second style from a random layer on (section 3.1). Moves the mean.

        used: layers of the present resolution, among which the crossing is drawn; all where not given.
        """
        layers = self.layers if used is None else used
        w = self.style(z)
        styles = w[:, None].repeat(1, self.layers, 1)
        if torch.rand(1, generator=rng).item() < mixing:
            crossing = int(torch.randint(1, layers, (1,), generator=rng))
            other = self.style(torch.randn(z.shape, generator=rng).to(z))
            styles[:, crossing:] = other[:, None]
        self.mean_style.lerp_(w.detach().float().mean(dim=0), _MEAN_STYLE_RATE)
        return styles

    def rates(self, lr: float) -> list[dict[str, object]]:
        """Parameter groups: the mapping network at a hundredth of the rate (StyleGAN, appendix C; kept by StyleGAN2)."""
        named = list(self.named_parameters())
        slow = [parameter for name, parameter in named if name.startswith("mapping.")]
        fast = [parameter for name, parameter in named if not name.startswith("mapping.")]
        return [{"params": fast}, {"params": slow, "lr": lr * _MAPPING_RATE}]

    def truncated_styles(self, z: Tensor, psi: float) -> Tensor:
        """One style for all layers [N, layers, latent], drawn towards the mean by ``psi`` (appendix B)."""
        w = torch.lerp(self.mean_style, self.style(z), psi)
        return w[:, None].repeat(1, self.layers, 1)


def pixel_noise(x: Tensor, rng: torch.Generator) -> Tensor:
    """One plane of noise for the feature maps [N, C, H, W]: [N, 1, H, W]."""
    return torch.randn(len(x), 1, *x.shape[2:], generator=rng, device=rng.device).to(x)


class Generator(Styled):
    """Styles [N, layers, latent] -> [N, 3, R, R] in about [-1, 1]; R = 4 * 2**level."""

    def __init__(self, config: StyleGANConfig):
        super().__init__(config.latent, config.mapping_layers)
        widths = config.channels
        self.constant = nn.Parameter(torch.ones(1, widths[0], 4, 4))
        self.start = StyledConv(widths[0], widths[0], config.latent)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.blocks = nn.ModuleList(
            nn.ModuleList([StyledConv(i, o, config.latent, upsample=True), StyledConv(o, o, config.latent)]) for i, o in pairs
        )
        self.to_rgb = nn.ModuleList(EqualConv2d(width, 3, 1, gain=1.0) for width in widths)
        self.layers = 1 + 2 * len(pairs)

    def forward(self, styles: Tensor, rng: torch.Generator, *, level: int = 5, alpha: float = 1.0) -> Tensor:
        return self.synthesise(self.constant.expand(len(styles), -1, -1, -1), styles, rng, level=level, alpha=alpha)

    def synthesise(self, x: Tensor, styles: Tensor, rng: torch.Generator, *, level: int, alpha: float = 1.0) -> Tensor:
        """Everything after the constant: maps [N, C, 4, 4] and styles -> images."""
        x = self.start(x, styles[:, 0], rng)
        below = x
        for index, block in enumerate(self.blocks[:level]):
            below = x
            for place, layer in enumerate(cast(nn.ModuleList, block)):
                x = layer(x, styles[:, 1 + 2 * index + place], rng)
        image = self.to_rgb[level](x)
        if alpha < 1 and level > 0:
            image = torch.lerp(upsample_nearest(self.to_rgb[level - 1](below)), image, alpha)
        return image


class Decoder(nn.Module):
    """The generator driven by maps in place of its constant; the style of all layers comes from their mean through the mapping network."""

    random = True

    def __init__(self, config: DrivenConfig):
        super().__init__()
        self.inputs, self.level, self.fade = config.channels[0], config.levels, config.fade
        self.generator = Generator(replace(CPU, channels=config.channels))
        del self.generator.constant
        self.latent = EqualLinear(self.inputs, CPU.latent, gain=1.0)

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        style = self.generator.style(self.latent(x.mean(dim=(2, 3))))
        styles = style[:, None].expand(-1, self.generator.layers, -1)
        return self.generator.synthesise(x, styles, rng, level=self.level, alpha=self.fade)

    def described(self, config: DrivenConfig) -> dict[str, object]:
        """What sets this decoder apart, for its record."""
        return {**config.architecture(), "slope": 0.2, "first_kernel": 3}


class StyledConv(nn.Module):
    """Convolution, noise, leaky ReLU, then AdaIN (figure 1b). [N, C, H, W], [N, latent] -> [N, C', H or 2H, W or 2W]."""

    def __init__(self, inputs: int, outputs: int, latent: int, *, upsample: bool = False):
        super().__init__()
        self.convolution = EqualConv2d(inputs, outputs, 3)
        self.noise_strength = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.affine = EqualLinear(latent, 2 * outputs, gain=1.0)
        self.upsample = upsample

    def forward(self, x: Tensor, style: Tensor, rng: torch.Generator) -> Tensor:
        if self.upsample:
            x = blur(self.convolution(upsample_nearest(x)))
        else:
            x = self.convolution(x)
        x = F.leaky_relu(x + self.noise_strength * pixel_noise(x, rng), 0.2)
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, dim=1)
        return F.instance_norm(x) * (1 + scale) + shift


def train(photos: Tensor, config: StyleGANConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    photos = photos.to(job.device)
    generator = Generator(config)
    duel = Duel(
        generator, Discriminator(config.channels), job,
        lr=(config.lr, config.lr), betas=(0.0, 0.99), ema_images=config.ema_images,
    )  # fmt: skip
    duel.generator_adam = torch.optim.Adam(generator.rates(config.lr), config.lr, betas=(0.0, 0.99))

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        position = position_at(index, config.phases)
        critic = partial(duel.discriminator, level=position.level, alpha=position.alpha)
        pixels = generator_for(config.seed + 1, index, device=job.device)

        def make() -> Tensor:
            z = torch.randn(position.batch, config.latent, generator=rng).to(job.device)
            styles = generator.mixed_styles(z, config.mixing, rng, used=1 + 2 * position.level)
            return generator(styles, pixels, level=position.level, alpha=position.alpha)

        real = draw(photos, position, rng)
        with job.mixed():
            with torch.no_grad():
                fake = make()
            loss = logistic_discriminator(critic(real), critic(fake))
        total = loss
        if index % config.penalty_interval == 0:
            total = loss + config.penalty_interval * config.r1_gamma / 2 * r1_penalty(critic, real)
        duel.improve_discriminator(total)

        with duel.frozen(), job.mixed():
            adversarial = logistic_generator(critic(make()))
            duel.improve_generator(adversarial, batch=position.batch, restart=position.is_first)
        return {"discriminator": loss, "generator": adversarial, "px": float(position.resolution_px)}

    return run(job, total_steps(config.phases), step, duel.state(), config=config, seed=config.seed)


@torch.no_grad()
def sample(network: Generator, config: StyleGANConfig, rng: torch.Generator) -> Tensor:
    """One image [1, 3, 128, 128] in [0, 1], its style drawn towards the mean by ``psi``."""
    z = torch.randn(1, config.latent, generator=rng).to(network.constant.device)
    image = network(network.truncated_styles(z, config.psi), rng)
    return (image * 0.5 + 0.5).clamp(0, 1)
