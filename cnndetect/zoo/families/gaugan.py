"""GauGAN: a label map turned into a 128 px image, the map entering at every normalisation.

Source: Park et al., "Semantic Image Synthesis with Spatially-Adaptive Normalization", CVPR 2019 (arXiv 1903.07291).
Kept: SPADE residual blocks with nearest upsampling and spectral norm, a discriminator of patches at two scales that
sees image and labels, hinge loss, feature matching (weight 10), perceptual loss (weight 10), two time scales,
noise at the start.
Different: rates 1 to 2 on a CPU instead of 1 to 4, no spectral norm in the discriminator, a skip without SPADE that is learned at every width,
feature matching averaged over layers and scales instead of summed.
Reduced: 128 px, a sixth of the width, batch norm statistics of one device, label maps of clustered regions (zoo/parts/labels.py)
instead of annotation, EfficientNet-Lite0 features instead of VGG-19.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.features import PerceptualFeatures, perceptual_distance
from cnndetect.zoo.loop import Job, run
from cnndetect.zoo.parts.adversarial import Duel, hinge_discriminator
from cnndetect.zoo.parts.image_to_image import PatchDiscriminator
from cnndetect.zoo.parts.labels import CLASSES, LAYOUT, fit_centres, label_maps, one_hot
from cnndetect.zoo.parts.layers import spectral, upsample_nearest


@dataclass(frozen=True)
class GauGANConfig:
    """Sizes and schedule."""

    channels: tuple[int, ...] = (64, 64, 64, 48, 32, 16)  # feature maps at 4, 8 ... 128 px
    hidden: int = 24  # feature maps between labels and modulation
    latent: int = 32
    critic_width: int = 16
    steps: int = 700
    batch: int = 4
    lr: tuple[float, float] = (4e-4, 8e-4)
    matching: float = 10.0
    perceptual: float = 10.0
    seed: int = 0


CPU = GauGANConfig()
GPU = GauGANConfig(channels=(512, 512, 512, 256, 128, 64), hidden=128, latent=256, critic_width=64, steps=12000, batch=16, lr=(1e-4, 4e-4))


class Spade(nn.Module):
    """Normalise, then scale and shift every pixel as its label says (equation 1). [N, C, H, W], labels -> [N, C, H, W]."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = nn.Conv2d(LAYOUT, hidden, 3, padding=1)
        self.modulate = nn.Conv2d(hidden, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        scale, shift = self.modulate(F.relu(self.shared(layout))).chunk(2, dim=1)
        return self.norm(x) * (1 + scale) + shift


class SpadeBlock(nn.Module):
    """Residual block of two SPADE convolutions with a learned skip. [N, C, H, W], labels -> [N, C', H, W]."""

    def __init__(self, inputs: int, outputs: int, hidden: int):
        super().__init__()
        middle = min(inputs, outputs)
        self.first_norm, self.second_norm = Spade(inputs, hidden), Spade(middle, hidden)
        self.first, self.second = spectral(nn.Conv2d(inputs, middle, 3, padding=1)), spectral(nn.Conv2d(middle, outputs, 3, padding=1))
        self.skip = spectral(nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        y = self.first(F.leaky_relu(self.first_norm(x, layout), 0.2))
        y = self.second(F.leaky_relu(self.second_norm(y, layout), 0.2))
        return y + self.skip(x)


class Network(nn.Module):
    """Noise [N, latent] and layout [N, classes + 1, 128, 128] -> [N, 3, 128, 128] in [-1, 1]. ``centres`` travels with the weights."""

    centres: Tensor

    def __init__(self, config: GauGANConfig):
        super().__init__()
        widths = config.channels
        self.register_buffer("centres", torch.zeros(CLASSES, 5))
        self.dense = nn.Linear(config.latent, widths[0] * 16)
        pairs = list(zip((widths[0], *widths[:-1]), widths, strict=True))
        self.blocks = nn.ModuleList(SpadeBlock(i, o, config.hidden) for i, o in pairs)
        self.to_rgb = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z: Tensor, layout: Tensor) -> Tensor:
        x = self.dense(z).view(len(z), -1, 4, 4)
        for index, block in enumerate(self.blocks):
            if index:
                x = upsample_nearest(x)
            x = block(x, F.adaptive_avg_pool2d(layout, x.shape[-1]))
        return torch.tanh(self.to_rgb(F.leaky_relu(x, 0.2)))


class Discriminator(nn.Module):
    """Image and layout [N, 4 + classes, 128, 128] -> per scale: feature maps, then the score map."""

    def __init__(self, config: GauGANConfig):
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(3 + LAYOUT, config.critic_width) for _ in range(2))

    def forward(self, image: Tensor, layout: Tensor) -> list[list[Tensor]]:
        x, outputs = torch.cat([image, layout], dim=1), []
        for scale in self.scales:
            maps = scale.features(x)  # type: ignore[operator]
            outputs.append([*maps, scale.out(maps[-1])])  # type: ignore[operator]
            x = F.avg_pool2d(x, 2)
        return outputs


def matching_loss(fake: list[list[Tensor]], real: list[list[Tensor]]) -> Tensor:
    """Mean L1 distance of the discriminator's feature maps (pix2pixHD, Wang et al. 2018, equation 4): a scalar."""
    pairs = [pair for ours, theirs in zip(fake, real, strict=True) for pair in zip(ours[:-1], theirs[:-1], strict=True)]
    return torch.stack([(ours - theirs.detach()).abs().mean() for ours, theirs in pairs]).mean()


def train(photos: Tensor, config: GauGANConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    network = Network(config)
    network.centres.copy_(fit_centres(photos, seed=config.seed))
    maps = label_maps(photos, network.centres)
    features = job.place(PerceptualFeatures())
    duel = Duel(network, Discriminator(config), job, lr=config.lr, betas=(0.0, 0.9))
    photos, maps = photos.to(job.device), maps.to(job.device)

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        chosen = torch.randint(len(photos), (config.batch,), generator=rng).to(photos.device)
        photo, layout = photos[chosen].float() / 127.5 - 1, one_hot(maps[chosen])
        if torch.rand(1, generator=rng).item() < 0.5:
            photo, layout = photo.flip(3), layout.flip(3)
        z = torch.randn(config.batch, config.latent, generator=rng).to(job.device)

        with job.mixed():
            fake = duel.generator(z, layout)
            judged_real, judged_fake = duel.discriminator(photo, layout), duel.discriminator(fake.detach(), layout)
            pairs = zip(judged_real, judged_fake, strict=True)
            loss = torch.stack([hinge_discriminator(real[-1], false[-1]) for real, false in pairs]).mean()
        duel.improve_discriminator(loss)

        with duel.frozen(), job.mixed():
            judged_real, judged_fake = duel.discriminator(photo, layout), duel.discriminator(fake, layout)
            adversarial = -torch.stack([maps_of[-1].float().mean() for maps_of in judged_fake]).mean()
            matched = matching_loss(judged_fake, judged_real)
            with torch.no_grad():
                target = features(photo * 0.5 + 0.5)
            perceived = perceptual_distance(features(fake * 0.5 + 0.5), target).mean()
            duel.improve_generator(adversarial + config.matching * matched + config.perceptual * perceived, batch=config.batch)
        return {"discriminator": loss, "adversarial": adversarial, "matching": matched, "perceptual": perceived}

    return run(job, config.steps, step, duel.state(), config=config, seed=config.seed)


@torch.no_grad()
def translate(network: Network, photo: Tensor, config: GauGANConfig, rng: torch.Generator) -> Tensor:
    """Images from the label maps of photographs [N, 3, H, W] in [0, 1], with noise from ``rng``."""
    maps = label_maps((photo.cpu() * 255).round().to(torch.uint8), network.centres.cpu())
    z = torch.randn(len(photo), config.latent, generator=rng).to(photo.device)
    return (network(z, one_hot(maps).to(photo.device)) * 0.5 + 0.5).clamp(0, 1)
