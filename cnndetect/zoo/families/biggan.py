"""BigGAN: a class-conditional generator of 128 px images.

Source: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", ICLR 2019 (arXiv 1809.11096).
Kept: class-conditional batch norm from a shared embedding joined with a chunk of the noise per block, residual blocks
with nearest upsampling, self-attention, orthogonal weights at the start, spectral norm in both networks, projection
discriminator, hinge loss, orthogonal regularisation of the generator, truncated noise, averaged generator.
Reduced: 128 px at a fraction of the width, eight classes instead of a thousand, one discriminator step per generator
step at 2e-4 and 4e-4 instead of two at 5e-5 and 2e-4; standing statistics come from noise that is not truncated.
Nobody has annotated the photographs: the classes are clusters of their colours and contrast (zoo/parts/labels.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.loop import Job, augmented_batch, run
from cnndetect.zoo.parts import layers
from cnndetect.zoo.parts.adversarial import Duel, hinge_discriminator
from cnndetect.zoo.parts.labels import group_by_appearance
from cnndetect.zoo.parts.layers import SelfAttention, upsample_nearest
from cnndetect.zoo.resynthesis.config import DrivenConfig


@dataclass(frozen=True)
class BigGANConfig:
    """Sizes and schedule."""

    channels: tuple[int, ...] = (64, 64, 64, 32, 16, 8)  # feature maps at 4, 8 ... 128 px
    classes: int = 8
    embedding: int = 16
    chunk: int = 12  # noise values per block
    attention_px: int = 32
    steps: int = 2400
    batch: int = 8
    lr: tuple[float, float] = (2e-4, 4e-4)
    orthogonal: float = 1e-4
    truncation: float = 1.0  # largest noise value of samples
    ema_images: float = 2000.0
    seed: int = 0


CPU = BigGANConfig()
GPU = BigGANConfig(
    channels=(512, 512, 256, 256, 128, 64), embedding=64, chunk=20, steps=20000, batch=64, lr=(1e-4, 4e-4), ema_images=20000.0
)


def spectral(layer: nn.Module) -> nn.Module:
    """The layer with orthogonal weights and spectral normalisation (section 3).

    Orthogonal weights have no singular value but one, so normalising the largest leaves the signal as strong as it was. From other
    weights it shrinks in every layer, and a hinge discriminator says nothing.
    """
    nn.init.orthogonal_(layer.weight)  # type: ignore[arg-type]
    return layers.spectral(layer)


class ConditionalNorm(nn.Module):
    """Batch norm whose gain and bias come from the class embedding and a chunk of noise (figure 15)."""

    def __init__(self, channels: int, condition: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = spectral(nn.Linear(condition, 2 * channels, bias=False))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, bias = self.affine(condition)[:, :, None, None].chunk(2, dim=1)
        return self.norm(x) * (1 + gain) + bias


class UpBlock(nn.Module):
    """Residual block that doubles the size. [N, C, H, W], [N, condition] -> [N, C', 2H, 2W]."""

    def __init__(self, inputs: int, outputs: int, condition: int):
        super().__init__()
        self.first_norm, self.second_norm = ConditionalNorm(inputs, condition), ConditionalNorm(outputs, condition)
        self.first, self.second = spectral(nn.Conv2d(inputs, outputs, 3, padding=1)), spectral(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = spectral(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        y = self.first(upsample_nearest(F.relu(self.first_norm(x, condition))))
        y = self.second(F.relu(self.second_norm(y, condition)))
        return y + upsample_nearest(self.skip(x))


class Generator(nn.Module):
    """Noise [N, chunks * chunk] and classes [N] -> [N, 3, 128, 128] in [-1, 1]."""

    def __init__(self, config: BigGANConfig):
        super().__init__()
        widths, self.chunk = config.channels, config.chunk
        self.chunks = len(widths)
        condition = config.embedding + config.chunk
        self.embed = nn.Embedding(config.classes, config.embedding)
        self.dense = spectral(nn.Linear(config.chunk, widths[0] * 16))
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.blocks = nn.ModuleList(UpBlock(i, o, condition) for i, o in pairs)
        self.attention_after = config.attention_px.bit_length() - 4
        if 0 <= self.attention_after < len(pairs):
            self.attention = SelfAttention(widths[self.attention_after + 1])
        self.norm = nn.BatchNorm2d(widths[-1])
        self.to_rgb = spectral(nn.Conv2d(widths[-1], 3, 3, padding=1))

    def forward(self, z: Tensor, classes: Tensor) -> Tensor:
        first, *rest = z.split(self.chunk, dim=1)
        embedded = self.embed(classes)
        x = self.dense(first).view(len(z), -1, 4, 4)
        return self.synthesise(x, [torch.cat([embedded, chunk], dim=1) for chunk in rest])

    def synthesise(self, x: Tensor, conditions: Sequence[Tensor]) -> Tensor:
        """Everything after the dense layer: maps [N, C, 4, 4] and a condition per block -> images."""
        for index, (block, condition) in enumerate(zip(self.blocks, conditions, strict=True)):
            x = block(x, condition)
            if index == self.attention_after:
                x = self.attention(x)
        return torch.tanh(self.to_rgb(F.relu(self.norm(x))))


class Decoder(Generator):
    """The generator without its dense layer and classes, driven by maps; every block's condition is made from their mean.

    Attention stays at 32 px of 128; a decoder that starts there or later has none.
    """

    random = False

    def __init__(self, config: DrivenConfig):
        super().__init__(replace(CPU, channels=config.channels))
        self.inputs, self.level = config.channels[0], config.levels
        del self.dense, self.embed
        # Block k doubles start_px * 2**k.
        place = (CPU.attention_px // config.start_px).bit_length() - 2
        if hasattr(self, "attention"):
            del self.attention
        self.attention_after = place
        if place >= 0:
            self.attention = SelfAttention(config.channels[place + 1])
        self.conditions = nn.ModuleList(nn.Linear(self.inputs, CPU.embedding + CPU.chunk) for _ in self.blocks)

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:  # type: ignore[override]
        mean = x.mean(dim=(2, 3))
        return self.synthesise(x, [condition(mean) for condition in self.conditions])

    def described(self, config: DrivenConfig) -> dict[str, object]:
        """What sets this decoder apart, for its record."""
        return config.architecture()


class DownBlock(nn.Module):
    """Residual block that halves the size, or keeps it. [N, C, H, W] -> [N, C', H/2, W/2].

    first: the input is the image, which no ReLU may cut at mid-grey.  reduce: whether the size is halved.
    """

    def __init__(self, inputs: int, outputs: int, *, first: bool = False, reduce: bool = True):
        super().__init__()
        self.starts, self.reduce = first, reduce
        self.first, self.second = spectral(nn.Conv2d(inputs, outputs, 3, padding=1)), spectral(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = spectral(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x if self.starts else F.relu(x))))
        return F.avg_pool2d(y, 2) + self.skip(F.avg_pool2d(x, 2)) if self.reduce else y + self.skip(x)


class Discriminator(nn.Module):
    """Images [N, 3, 128, 128] and classes [N] -> [N]: a score and its projection on the class (Miyato and Koyama 2018)."""

    def __init__(self, config: BigGANConfig):
        super().__init__()
        widths = config.channels[::-1]
        pairs = list(zip((3, *widths[:-1]), widths, strict=True))
        last = len(pairs) - 1
        self.blocks = nn.ModuleList(DownBlock(i, o, first=place == 0, reduce=place < last) for place, (i, o) in enumerate(pairs))
        # The first block already halves the image: 64 px after it, 4 px after the last that halves.
        self.attention_after = last + 2 - config.attention_px.bit_length()
        self.attention = SelfAttention(widths[self.attention_after])
        self.out = spectral(nn.Linear(widths[-1], 1))
        self.embed = spectral(nn.Embedding(config.classes, widths[-1]))

    def forward(self, image: Tensor, classes: Tensor) -> Tensor:
        x = image
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == self.attention_after:
                x = self.attention(x)
        x = F.relu(x).sum(dim=(2, 3))
        return self.out(x).squeeze(1) + (self.embed(classes) * x).sum(dim=1)


def orthogonal_penalty(network: nn.Module) -> Tensor:
    """Squared inner products between different filters, summed over layers (equation 3; the embedding is left out)."""
    total: Tensor | float = 0.0
    for name, weight in network.named_parameters():
        if weight.ndim >= 2 and not name.startswith("embed"):
            flat = weight.flatten(1)
            gram = flat @ flat.T
            total = total + (gram - torch.diag_embed(gram.diagonal())).square().sum()
    return total  # type: ignore[return-value]


def train(photos: Tensor, config: BigGANConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    labels = group_by_appearance(photos, config.classes, seed=config.seed)
    photos = photos.to(job.device)
    duel = Duel(Generator(config), Discriminator(config), job, lr=config.lr, betas=(0.0, 0.999), ema_images=config.ema_images)

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        chosen = torch.randint(len(photos), (config.batch,), generator=rng)
        real = augmented_batch(photos, config.batch, rng, index=chosen) * 2 - 1
        of_real = labels[chosen].to(job.device)

        def make() -> tuple[Tensor, Tensor]:
            z = torch.randn(config.batch, config.chunk * len(config.channels), generator=rng).to(job.device)
            classes = labels[torch.randint(len(labels), (config.batch,), generator=rng)].to(job.device)
            return duel.generator(z, classes), classes

        with job.mixed():
            with torch.no_grad():
                fake = make()
            loss = hinge_discriminator(duel.discriminator(real, of_real), duel.discriminator(*fake))
        duel.improve_discriminator(loss)

        with duel.frozen(), job.mixed():
            adversarial = -duel.discriminator(*make()).float().mean()
            duel.improve_generator(adversarial + config.orthogonal * orthogonal_penalty(duel.generator), batch=config.batch)
        if index + 1 == config.steps:
            _settle(duel, make)
        return {"discriminator": loss, "generator": adversarial}

    return run(job, config.steps, step, duel.state(), config=config, seed=config.seed)


@torch.no_grad()
def sample(network: Generator, config: BigGANConfig, rng: torch.Generator) -> Tensor:
    """One image [1, 3, 128, 128] in [0, 1] of a random class; noise beyond ``truncation`` is drawn again (section 3.1)."""
    z = torch.randn(1, config.chunk * len(config.channels), generator=rng)
    while (beyond := z.abs() > config.truncation).any():
        z = torch.where(beyond, torch.randn(z.shape, generator=rng), z)
    classes = torch.randint(config.classes, (1,), generator=rng)
    device = network.embed.weight.device
    return network(z.to(device), classes.to(device)) * 0.5 + 0.5


@torch.no_grad()
def _settle(duel: Duel, make, *, batches: int = 40) -> None:
    """Batch statistics of the averaged generator itself ("standing statistics", appendix B)."""
    average, current = duel.average, duel.generator
    assert average is not None
    norms = [module for module in average.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batches
    duel.generator = average.train()
    for _ in range(batches):
        make()
    duel.generator = current
