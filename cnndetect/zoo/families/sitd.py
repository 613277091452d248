"""SITD: a U-Net that develops dark, noisy raw exposures simulated from photographs.

Source: Chen et al., "Learning to See in the Dark", CVPR 2018 (arXiv 1805.01934).
Kept: Bayer raw packed to four half-size planes, amplification by 100, U-Net with transposed convolutions and skip
connections (four levels instead of five), twelve output planes shuffled to RGB at full size, L1 loss.
Reduced: the raw is synthetic (a photograph is linearised, mosaicked, darkened, given Poisson and Gaussian noise and
quantised to 14 bits), 128 px, 16 to 128 feature maps instead of 32 to 512.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.loop import Job, augmented_batch, fit


@dataclass(frozen=True)
class SITDConfig:
    """Width, schedule and camera."""

    width: int = 16
    steps: int = 1500
    batch: int = 8
    lr: float = 1e-3
    gain: float = 100.0  # amplification
    electrons: float = 40000.0  # full well of the bright exposure; read_noise too
    read_noise: float = 3.0
    seed: int = 0


CPU = SITDConfig()
CPU_TUNE = replace(CPU, steps=4000, lr=5e-4)
GPU = SITDConfig(width=32, steps=40000, batch=32, lr=1e-4)
GPU_TUNE = replace(GPU, steps=4000)


class Network(nn.Module):
    """Packed raw [N, 4, H/2, W/2] in [0, 1] -> RGB [N, 3, H, W] in about [0, 1]."""

    def __init__(self, config: SITDConfig):
        super().__init__()
        width = config.width
        widths = [width, width * 2, width * 4, width * 8]
        self.down = nn.ModuleList(_double(i, o) for i, o in zip([4, *widths[:-1]], widths, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(w * 2, w, 2, stride=2) for w in reversed(widths[:-1]))
        self.merge = nn.ModuleList(_double(w * 2, w) for w in reversed(widths[:-1]))
        self.out = nn.Conv2d(width, 12, 1)

    def forward(self, raw: Tensor) -> Tensor:
        skips, x = [], raw
        for index, block in enumerate(self.down):
            x = block(x if index == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips[:-1]), strict=True):
            x = merge(torch.cat([up(x), skip], dim=1))
        return F.pixel_shuffle(self.out(x), 2)


def expose(photo: Tensor, config: SITDConfig, rng: torch.Generator) -> Tensor:
    """The packed, amplified dark raw of photographs [N, 3, H, W] in [0, 1] -> [N, 4, H/2, W/2] in [0, 1]."""
    linear = photo.clamp(0, 1) ** 2.2
    red, blue = linear[:, 0, ::2, ::2], linear[:, 2, 1::2, 1::2]
    green_a, green_b = linear[:, 1, ::2, 1::2], linear[:, 1, 1::2, ::2]
    packed = torch.stack([red, green_a, green_b, blue], dim=1)

    # The dark exposure holds 1/gain of the electrons: shot noise, read noise, 14-bit quantisation, then amplification.
    electrons = packed * (config.electrons / config.gain)
    noisy = torch.poisson(electrons.cpu(), generator=rng)
    noisy = noisy + config.read_noise * torch.randn(noisy.shape, generator=rng)
    code = (noisy / config.electrons * 16383).round().clamp(min=0)
    return (code / 16383 * config.gain).clamp(0, 1).to(photo.device)


def train(photos: Tensor, config: SITDConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    photos = photos.to(job.device)
    network = job.place(Network(config))

    def loss_of(rng: torch.Generator) -> Tensor:
        photo = augmented_batch(photos, config.batch, rng)
        return F.l1_loss(network(expose(photo, config, rng)), photo)

    # The paper drops the learning rate tenfold at half of the schedule.
    return fit(network, loss_of, config, job, lr_drop=0.1)


@torch.no_grad()
def translate(network: Network, photo: Tensor, config: SITDConfig, rng: torch.Generator) -> Tensor:
    """The developed dark exposure of photographs [N, 3, H, W] in [0, 1] -> [N, 3, H, W] in [0, 1]."""
    return network(expose(photo, config, rng)).clamp(0, 1)


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.LeakyReLU(0.2),
    )
