"""StyleGAN2: modulated convolutions, a skip generator, 128 px from the first step.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020 (arXiv 1912.04958).
Kept: weight modulation and demodulation instead of AdaIN, noise before the bias, skip generator whose RGB is upsampled
by a [1, 3, 3, 1] filter, transposed convolution with the same filter, residual discriminator, lazy R1, lazy path-length
regularisation with Adam's rate and moments corrected for the interval (appendix B), the mapping network at a hundredth of the rate,
no progressive growing.
Different: the discriminator's second convolution runs at full size before the pooling: the same filter as a filtered stride.
Reduced: 128 px, narrower layers, four mapping layers, fewer images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.families.stylegan import Styled, pixel_noise
from cnndetect.zoo.loop import Job, augmented_batch, generator_for, run
from cnndetect.zoo.parts.adversarial import Duel, logistic_discriminator, logistic_generator, r1_penalty
from cnndetect.zoo.parts.layers import EqualConv2d, EqualLinear, blur, minibatch_stddev
from cnndetect.zoo.resynthesis.config import DrivenConfig

_TAPS = (1, 3, 3, 1)


@dataclass(frozen=True)
class StyleGAN2Config:
    """Widths at 4, 8 ... 128 px and schedule."""

    channels: tuple[int, ...] = (64, 64, 64, 32, 16, 8)
    latent: int = 64
    mapping_layers: int = 4
    steps: int = 1200
    batch: int = 8
    lr: float = 0.0025
    r1_gamma: float = 0.5
    r1_interval: int = 16
    path_weight: float = 2.0
    path_interval: int = 8  # path_interval, r1_interval: steps between lazy regularisations
    mixing: float = 0.9
    psi: float = 0.7
    ema_images: float = 2000.0
    seed: int = 0


CPU = StyleGAN2Config()
GPU = StyleGAN2Config(
    channels=(256, 256, 256, 256, 128, 64), latent=256, mapping_layers=8, steps=20000, batch=32, r1_gamma=1.0, ema_images=10000.0
)


class Generator(Styled):
    """Styles [N, layers, latent] -> [N, 3, 128, 128] in about [-1, 1]."""

    def __init__(self, config: StyleGAN2Config):
        super().__init__(config.latent, config.mapping_layers)
        widths = config.channels
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.start = ModulatedConv(widths[0], widths[0], config.latent)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.up = nn.ModuleList(ModulatedConv(i, o, config.latent, upsample=True) for i, o in pairs)
        self.same = nn.ModuleList(ModulatedConv(o, o, config.latent) for _, o in pairs)
        self.to_rgb = nn.ModuleList(ModulatedConv(width, 3, config.latent, kernel_px=1, plain=True) for width in widths)
        self.layers = 1 + 2 * len(pairs)

    def forward(self, styles: Tensor, rng: torch.Generator) -> Tensor:
        return self.synthesise(self.constant.expand(len(styles), -1, -1, -1), styles, rng)

    def synthesise(self, x: Tensor, styles: Tensor, rng: torch.Generator) -> Tensor:
        """Everything after the constant: maps [N, C, 4, 4] and styles -> images."""
        x = self.start(x, styles[:, 0], rng)
        image = self.to_rgb[0](x, styles[:, 0], rng)
        for index, (up, same) in enumerate(zip(self.up, self.same, strict=True)):
            x = up(x, styles[:, 1 + 2 * index], rng)
            x = same(x, styles[:, 2 + 2 * index], rng)
            # Bilinear interpolation by two is the filter [1, 3, 3, 1].
            image = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
            image = image + self.to_rgb[index + 1](x, styles[:, 2 + 2 * index], rng)
        return image


class Decoder(nn.Module):
    """The generator driven by maps in place of its constant; the style of all layers comes from their mean through the mapping network."""

    random = True

    def __init__(self, config: DrivenConfig):
        super().__init__()
        self.inputs, self.level = config.channels[0], config.levels
        self.generator = Generator(replace(CPU, channels=config.channels))
        del self.generator.constant
        self.latent = EqualLinear(self.inputs, CPU.latent, gain=1.0)

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        style = self.generator.style(self.latent(x.mean(dim=(2, 3))))
        return self.generator.synthesise(x, style[:, None].expand(-1, self.generator.layers, -1), rng)

    def described(self, config: DrivenConfig) -> dict[str, object]:
        """What sets this decoder apart, for its record."""
        return {**config.architecture(), "slope": 0.2, "first_kernel": 3}


class ModulatedConv(nn.Module):
    """Convolution whose weights are scaled by the style and renormalised (equations 1 to 3).

    Scaling the input by the style and the output by the demodulation is the same sum as scaling the weights.
    plain: neither demodulation, noise nor activation (the RGB layers).
    """

    def __init__(self, inputs: int, outputs: int, latent: int, *, kernel_px: int = 3, upsample: bool = False, plain: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel_px, kernel_px))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = EqualLinear(latent, inputs, gain=1.0)
        nn.init.ones_(self.affine.bias)
        self.scale = 1 / math.sqrt(inputs * kernel_px**2)
        self.upsample, self.plain = upsample, plain
        if not plain:
            self.noise_strength = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, style: Tensor, rng: torch.Generator) -> Tensor:
        modulation = self.affine(style)  # [N, inputs]
        weight = self.weight * self.scale
        x = x * modulation[:, :, None, None]
        if self.upsample:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # 2H + 1
            x = blur(x, _TAPS, padding=(1, 1, 1, 1)) * 4
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if self.plain:
            return x + self.bias[:, None, None]
        power = modulation.float().square() @ weight.float().square().sum(dim=(2, 3)).T  # [N, outputs]
        x = x * torch.rsqrt(power + 1e-8)[:, :, None, None].to(x.dtype)
        return F.leaky_relu(x + self.noise_strength * pixel_noise(x, rng) + self.bias[:, None, None], 0.2) * math.sqrt(2)


class Discriminator(nn.Module):
    """Residual network with filtered strides: [N, 3, 128, 128] -> [N]."""

    def __init__(self, config: StyleGAN2Config):
        super().__init__()
        widths = config.channels
        self.from_rgb = EqualConv2d(3, widths[-1], 1)
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.first = nn.ModuleList(EqualConv2d(i, i, 3) for i, _ in pairs)
        self.second = nn.ModuleList(EqualConv2d(i, o, 3) for i, o in pairs)
        self.skip = nn.ModuleList(EqualConv2d(i, o, 1, gain=1.0) for i, o in pairs)
        self.last = EqualConv2d(widths[0] + 1, widths[0], 3)
        self.dense = EqualConv2d(widths[0], widths[0], 4, padding=0)
        self.out = EqualLinear(widths[0], 1, gain=1.0)

    def forward(self, image: Tensor) -> Tensor:
        x = F.leaky_relu(self.from_rgb(image), 0.2)
        for first, second, skip in zip(self.first, self.second, self.skip, strict=True):
            y = F.leaky_relu(first(x), 0.2)
            y = F.leaky_relu(F.avg_pool2d(second(blur(y)), 2), 0.2)
            x = (y + skip(F.avg_pool2d(x, 2))) / math.sqrt(2)
        x = F.leaky_relu(self.last(minibatch_stddev(x)), 0.2)
        x = F.leaky_relu(self.dense(x), 0.2).flatten(1)
        return self.out(x).squeeze(1)


class PathLength(nn.Module):
    """Distance of the image's gradient with respect to the style from its running mean (equation 4)."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, image: Tensor, styles: Tensor, rng: torch.Generator) -> Tensor:
        noise = torch.randn(image.shape, generator=rng, device=rng.device).to(image) / math.sqrt(image[0, 0].numel())
        (gradient,) = torch.autograd.grad((image * noise).sum(), styles, create_graph=True)
        lengths = gradient.float().square().sum(dim=2).mean(dim=1).sqrt()  # [N]
        self.mean.lerp_(lengths.detach().mean(), 0.01)
        return (lengths - self.mean).square().mean()


def train(photos: Tensor, config: StyleGAN2Config, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    photos = photos.to(job.device)
    path = PathLength().to(job.device)
    generator = Generator(config)
    duel = Duel(
        generator, Discriminator(config), job,
        lr=(config.lr, config.lr), betas=(0.0, 0.99), ema_images=config.ema_images,
    )  # fmt: skip

    duel.generator_adam = _lazy_adam(generator.rates(config.lr), config.lr, config.path_interval)
    duel.discriminator_adam = _lazy_adam([{"params": list(duel.discriminator.parameters())}], config.lr, config.r1_interval)

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        pixels = generator_for(config.seed + 1, index, device=job.device)

        def make(batch: int) -> tuple[Tensor, Tensor]:
            z = torch.randn(batch, config.latent, generator=rng).to(job.device)
            styles = generator.mixed_styles(z, config.mixing, rng)
            return generator(styles, pixels), styles

        real = augmented_batch(photos, config.batch, rng) * 2 - 1
        with job.mixed():
            with torch.no_grad():
                fake, _ = make(config.batch)
            loss = logistic_discriminator(duel.discriminator(real), duel.discriminator(fake))
        total = loss
        if index % config.r1_interval == 0:
            total = loss + config.r1_interval * config.r1_gamma / 2 * r1_penalty(duel.discriminator, real)
        duel.improve_discriminator(total)

        with duel.frozen():
            with job.mixed():
                image, _ = make(config.batch)
                adversarial = logistic_generator(duel.discriminator(image))
            total = adversarial
            if index % config.path_interval == 0:
                penalty = path(*make(max(config.batch // 2, 1)), pixels)
                total = adversarial + config.path_interval * config.path_weight * penalty
            duel.improve_generator(total, batch=config.batch)
        return {"discriminator": loss, "generator": adversarial}

    return run(job, config.steps, step, {**duel.state(), "path": path}, config=config, seed=config.seed)


def _lazy_adam(groups: list[dict[str, object]], lr: float, interval: int) -> torch.optim.Adam:
    """Adam for a penalty taken every ``interval`` steps: the rate times c, the moments to the power of c, c = k / (k + 1) (appendix B)."""
    share = interval / (interval + 1)
    for group in groups:
        group["lr"] = float(group.get("lr", lr)) * share  # type: ignore[arg-type]
    return torch.optim.Adam(groups, lr * share, betas=(0.0, 0.99**share))


@torch.no_grad()
def sample(network: Generator, config: StyleGAN2Config, rng: torch.Generator) -> Tensor:
    """One image [1, 3, 128, 128] in [0, 1], its style drawn towards the mean by ``psi``."""
    z = torch.randn(1, config.latent, generator=rng).to(network.constant.device)
    image = network(network.truncated_styles(z, config.psi), rng)
    return (image * 0.5 + 0.5).clamp(0, 1)
