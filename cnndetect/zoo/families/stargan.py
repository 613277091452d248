"""StarGAN: one generator that translates between all domains, conditioned on a label.

Source: Choi et al., "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation",
CVPR 2018 (arXiv 1711.09020).
Kept: the label as extra input planes, one discriminator that scores patches and names the domain, WGAN-GP,
classification loss (weight 1), cycle loss (weight 10), transposed convolutions and instance norm, no norm in the
discriminator.
Different: the gradient penalty is taken on the mean over patches instead of their sum, the learning rate does not fall, slope 0.2 instead of 0.01,
the cycle loss has differences and local contrast beside L1.
Reduced: 128 px, a quarter of the width, three residual blocks instead of six, two discriminator steps per
generator step instead of five; the generator first learns to give every photograph back (``warmup`` steps), which a short
adversarial training never does. The domains are three thirds of the photographs, from cold to warm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.loop import Job, augmented_batch, run
from cnndetect.zoo.parts.adversarial import Duel, gradient_penalty
from cnndetect.zoo.parts.image_to_image import PatchDiscriminator, ResidualGenerator, restoring_loss
from cnndetect.zoo.parts.labels import warmth, warmth_borders


@dataclass(frozen=True)
class StarGANConfig:
    """Width, depth, schedule and the weights of the losses."""

    width: int = 16
    blocks: int = 3
    domains: int = 3
    warmup: int = 2000
    warmup_lr: float = 1e-3  # warmup_lr, warmup_px: of the first ``warmup`` steps
    warmup_px: int = 64
    steps: int = 2400
    batch: int = 4
    lr: float = 1e-4
    critic_steps: int = 2
    classification: float = 1.0
    cycle: float = 10.0
    gradient_penalty: float = 10.0
    seed: int = 0


CPU = StarGANConfig()
GPU = StarGANConfig(width=64, blocks=6, warmup=1000, steps=20000, batch=16, lr=1e-4, critic_steps=5)


class Network(nn.Module):
    """The generator; ``borders`` [domains - 1] says which domain a photograph belongs to and travels with the weights."""

    borders: Tensor

    def __init__(self, config: StarGANConfig):
        super().__init__()
        self.register_buffer("borders", torch.zeros(config.domains - 1))
        self.domains = config.domains
        self.generator = ResidualGenerator(3 + config.domains, config.width, config.blocks)

    def domain_of(self, photo: Tensor) -> Tensor:
        """Domain of photographs [N, 3, H, W] in [-1, 1]: [N] int64."""
        return torch.bucketize(warmth(photo) / 2, self.borders)

    def forward(self, photo: Tensor, target: Tensor) -> Tensor:
        label = F.one_hot(target, self.domains).to(photo.dtype)[:, :, None, None].expand(-1, -1, *photo.shape[2:])
        return self.generator(torch.cat([photo, label], dim=1))


class Discriminator(nn.Module):
    """[N, 3, 128, 128] -> scores [N, 1, h, w] and domains [N, domains]."""

    def __init__(self, config: StarGANConfig):
        super().__init__()
        self.patches = PatchDiscriminator(3, config.width, depth=5, norm=False)
        self.domain = nn.Conv2d(self.patches.width, config.domains, 4)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.patches.features(image)[-1]  # [N, C, 4, 4]
        return self.patches.out(x), self.domain(x).flatten(1)


def train(photos: Tensor, config: StarGANConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    photos = photos.to(job.device)
    network = Network(config)
    network.borders.copy_(warmth_borders(photos.cpu(), config.domains))
    duel = Duel(network, Discriminator(config), job, lr=(config.lr, config.lr), betas=(0.5, 0.999))

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        crop_px = config.warmup_px if index < config.warmup else None
        photo = augmented_batch(photos, config.batch, rng, crop_px=crop_px) * 2 - 1
        source = network.domain_of(photo)
        duel.generator_adam.param_groups[0]["lr"] = config.warmup_lr if index < config.warmup else config.lr
        if index < config.warmup:
            with job.mixed():
                restored = restoring_loss(network(photo, source), photo)
            duel.improve_generator(config.cycle * restored, batch=config.batch)
            return {"restored": restored}
        target = torch.randint(config.domains, (config.batch,), generator=rng).to(job.device)

        with job.mixed():
            with torch.no_grad():
                fake = network(photo, target)
            (score_real, named), (score_fake, _) = duel.discriminator(photo), duel.discriminator(fake)
        critic = score_fake.float().mean() - score_real.float().mean()
        penalty = gradient_penalty(lambda image: duel.discriminator(image)[0].mean(dim=(1, 2, 3)), photo, fake, rng)
        classified = F.cross_entropy(named.float(), source)
        duel.improve_discriminator(critic + config.classification * classified + config.gradient_penalty * penalty)
        losses = {"critic": critic, "classified": classified}
        if (index + 1) % config.critic_steps:
            return losses

        with duel.frozen(), job.mixed():
            fake = network(photo, target)
            score, named = duel.discriminator(fake)
            cycle = restoring_loss(network(fake, source), photo)
            adversarial = -score.float().mean() + config.classification * F.cross_entropy(named.float(), target)
            duel.improve_generator(adversarial + config.cycle * cycle, batch=config.batch)
        return {**losses, "cycle": cycle}

    return run(job, config.steps, step, duel.state(), config=config, seed=config.seed)


@torch.no_grad()
def translate(network: Network, photo: Tensor, config: StarGANConfig, rng: torch.Generator) -> Tensor:
    """Photographs [N, 3, H, W] in [0, 1], each in another domain than its own, drawn from ``rng``."""
    photo = photo * 2 - 1
    shift = torch.randint(1, config.domains, (len(photo),), generator=rng).to(photo.device)
    target = (network.domain_of(photo) + shift) % config.domains
    return (network(photo, target) * 0.5 + 0.5).clamp(0, 1)
