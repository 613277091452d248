"""CycleGAN: a photograph of one domain translated to the other and back, without pairs.

Source: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017
(arXiv 1703.10593).
Kept: two generators with transposed convolutions and instance norm, two patch discriminators, least-squares GAN, cycle
loss (weight 10), identity loss (weight 5), a pool of 50 earlier fakes.
Different: instance norm in the residual blocks only, Kaiming weights instead of N(0, 0.02), patches of 38 px instead of 70 px, learning rate
0.0005 at batch 4 instead of 0.0002 at 1, crops of 64 px, cycle and identity loss with differences and local contrast beside L1.
Reduced: 128 px, a third of the width and of the residual blocks; both generators first learn to give a photograph back
(``warmup`` steps), which a short adversarial training never does. The domains are the colder and the warmer half of the
photographs (mean red minus mean blue): nobody has annotated them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from cnndetect.zoo.loop import Job, augmented_batch, run
from cnndetect.zoo.parts.adversarial import Duel, least_squares
from cnndetect.zoo.parts.image_to_image import ImagePool, PatchDiscriminator, ResidualGenerator, restoring_loss
from cnndetect.zoo.parts.labels import warmth, warmth_borders


@dataclass(frozen=True)
class CycleGANConfig:
    """Width, depth, schedule and the weights of cycle and identity."""

    width: int = 16
    blocks: int = 3
    warmup: int = 1200  # steps that only learn to give a photograph back
    steps: int = 1500
    batch: int = 4
    crop_px: int = 64  # side of the random squares that it learns from
    lr: float = 5e-4
    cycle: float = 10.0
    identity: float = 5.0
    pool: int = 50
    seed: int = 0


CPU = CycleGANConfig()
# This continues a training of the recipe above that learned to give photographs back.
CPU_TUNE = replace(CPU, warmup=0, steps=80)
GPU = CycleGANConfig(width=48, blocks=6, warmup=500, steps=12000, batch=8, crop_px=128, lr=2e-4)
GPU_TUNE = replace(GPU, warmup=0, steps=4000)


class Network(nn.Module):
    """Two generators; ``borders`` [1] says which domain a photograph belongs to and travels with the weights."""

    borders: Tensor

    def __init__(self, config: CycleGANConfig):
        super().__init__()
        self.register_buffer("borders", torch.zeros(1))
        self.to_warm = ResidualGenerator(3, config.width, config.blocks)
        self.to_cold = ResidualGenerator(3, config.width, config.blocks)

    def forward(self, photo: Tensor) -> Tensor:
        """Every photograph [N, 3, H, W] in [-1, 1] in the other domain."""
        warm = warmth(photo) / 2 > self.borders
        return torch.where(warm.view(-1, 1, 1, 1), self.to_cold(photo), self.to_warm(photo))


def train(photos: Tensor, config: CycleGANConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes.

    A resumed run starts with an empty pool of earlier fakes.
    """
    torch.manual_seed(config.seed)
    network = Network(config)
    network.borders.copy_(warmth_borders(photos, 2))
    is_warm = warmth(photos) / 255 > network.borders
    warm_photos, cold_photos = photos[is_warm].to(job.device), photos[~is_warm].to(job.device)
    critics = nn.ModuleDict({name: PatchDiscriminator(3, config.width) for name in ("warm", "cold")})
    duel = Duel(network, critics, job, lr=(config.lr, config.lr), betas=(0.5, 0.999))
    pools = {name: ImagePool(config.pool) for name in ("warm", "cold")}

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        # The learning rate falls to zero over the second half.
        rate = config.lr * min(1.0, 2 * (1 - index / config.steps))
        for adam in (duel.generator_adam, duel.discriminator_adam):
            adam.param_groups[0]["lr"] = rate
        warm = augmented_batch(warm_photos, config.batch, rng, crop_px=config.crop_px) * 2 - 1
        cold = augmented_batch(cold_photos, config.batch, rng, crop_px=config.crop_px) * 2 - 1

        to_warm, to_cold = network.to_warm, network.to_cold
        with duel.frozen(), job.mixed():
            if index < config.warmup:
                restored = restoring_loss(to_warm(warm), warm) + restoring_loss(to_cold(cold), cold)
                duel.improve_generator(config.cycle * restored, batch=config.batch)
                return {"restored": restored}
            as_warm, as_cold = to_warm(cold), to_cold(warm)
            adversarial = least_squares(critics["warm"](as_warm), 1.0) + least_squares(critics["cold"](as_cold), 1.0)
            cycle = restoring_loss(to_cold(as_warm), cold) + restoring_loss(to_warm(as_cold), warm)
            identity = restoring_loss(to_warm(warm), warm) + restoring_loss(to_cold(cold), cold)
            duel.improve_generator(adversarial + config.cycle * cycle + config.identity * identity, batch=config.batch)

        loss: Tensor | float = 0.0
        with job.mixed():
            for name, real, fake in (("warm", warm, as_warm), ("cold", cold, as_cold)):
                score_real, score_fake = critics[name](real), critics[name](pools[name].mix(fake, rng))
                loss = loss + 0.5 * (least_squares(score_real, 1.0) + least_squares(score_fake, 0.0))
        duel.improve_discriminator(loss)  # type: ignore[arg-type]
        return {"adversarial": adversarial, "cycle": cycle, "identity": identity, "discriminator": loss}

    return run(job, config.steps, step, duel.state(), config=config, seed=config.seed)


@torch.no_grad()
def translate(network: Network, photo: Tensor, config: CycleGANConfig, rng: torch.Generator) -> Tensor:
    """Photographs [N, 3, H, W] in [0, 1] in the other domain. ``rng`` is not needed: nothing is random."""
    return (network(photo * 2 - 1) * 0.5 + 0.5).clamp(0, 1)
