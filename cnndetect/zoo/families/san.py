"""SAN: super-resolution by four with a second-order attention network.

Source: Dai et al., "Second-order Attention Network for Single Image Super-Resolution", CVPR 2019.
Kept: non-local blocks around the body, groups of residual blocks ending in second-order channel attention (covariance
pooling with Newton-Schulz square root), share-source skip connections, two pixel-shuffle stages, L1 loss.
Different: attention is scaled by the root of its width.
Reduced: 128 px, 32 feature maps instead of 64, 3 groups of 3 blocks instead of 20 of 10.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.loop import Job, augmented_batch, fit

SCALE = 4


@dataclass(frozen=True)
class SANConfig:
    """Width, depth and schedule."""

    width: int = 32
    groups: int = 3
    blocks: int = 3
    steps: int = 1000
    batch: int = 8
    lr: float = 5e-4
    seed: int = 0


CPU = SANConfig()
CPU_TUNE = replace(CPU, steps=1500, lr=3e-4)
GPU = SANConfig(width=64, groups=8, blocks=6, steps=60000, batch=32, lr=2e-4)
GPU_TUNE = replace(GPU, steps=4000)


class Network(nn.Module):
    """[N, 3, h, w] in [0, 1] -> [N, 3, 4h, 4w]."""

    def __init__(self, config: SANConfig):
        super().__init__()
        width = config.width
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.before, self.after = NonLocal(width), NonLocal(width)
        self.groups = nn.ModuleList(Group(width, config.blocks) for _ in range(config.groups))
        self.share = nn.Parameter(torch.zeros(1))
        self.body_end = nn.Conv2d(width, width, 3, padding=1)
        self.magnify = nn.Sequential(
            nn.Conv2d(width, width * 4, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Conv2d(width, width * 4, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Conv2d(width, 3, 3, padding=1),
        )

    def forward(self, small: Tensor) -> Tensor:
        shallow = self.head(small)
        x = start = self.before(shallow)
        for group in self.groups:
            x = group(x) + self.share * start  # share-source skip connection (section 3.3)
        x = self.after(x)
        return self.magnify(self.body_end(x) + shallow)


class Group(nn.Module):
    """Residual blocks that end in second-order channel attention. [N, C, h, w] -> same."""

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)) for _ in range(blocks)
        )
        self.attention = SecondOrderAttention(width)
        self.end = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for block in self.blocks:
            y = y + block(y)
        return x + self.end(self.attention(y))


class SecondOrderAttention(nn.Module):
    """Channel weights from the square root of the feature covariance (section 3.2). [N, C, h, w] -> same."""

    def __init__(self, width: int, reduction: int = 8):
        super().__init__()
        hidden = max(width // reduction, 2)
        self.gate = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        centred = flat - flat.mean(dim=2, keepdim=True)
        covariance = centred @ centred.transpose(1, 2) / flat.shape[2]  # [N, C, C]
        weights = self.gate(square_root(covariance).mean(dim=1))  # [N, C]
        return x * weights[:, :, None, None]


def square_root(matrix: Tensor, *, iterations: int = 5) -> Tensor:
    """Square root of positive semi-definite matrices [N, C, C] by Newton-Schulz (the paper's equations 6 to 8).

    >>> bool(torch.allclose(square_root(4 * torch.eye(3)[None]), 2 * torch.eye(3), atol=1e-3))
    True
    """
    size = matrix.shape[-1]
    trace = matrix.diagonal(dim1=1, dim2=2).sum(dim=1).view(-1, 1, 1) + 1e-6
    identity = torch.eye(size, device=matrix.device, dtype=matrix.dtype).expand_as(matrix)
    y, z = matrix / trace, identity
    for _ in range(iterations):
        t = 0.5 * (3 * identity - z @ y)
        y, z = y @ t, t @ z
    return y * trace.sqrt()


class NonLocal(nn.Module):
    """Every position attends to every other within quarters of the map (region-level non-local, section 3.3)."""

    def __init__(self, width: int):
        super().__init__()
        inner = max(width // 4, 4)
        self.query, self.key, self.value = (nn.Conv2d(width, inner, 1) for _ in range(3))
        self.out = nn.Conv2d(inner, width, 1)
        # Starts as the identity.
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = x.tensor_split(2, dim=2)
        rows = [torch.cat([self._attend(part) for part in half.tensor_split(2, dim=3)], dim=3) for half in (top, bottom)]
        return x + self.out(torch.cat(rows, dim=2))

    def _attend(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2).transpose(1, 2) for layer in (self.query, self.key, self.value))
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).unflatten(2, x.shape[2:])


def reduce_four(photo: Tensor) -> Tensor:
    """Anti-aliased bicubic reduction by four. [N, 3, H, W] -> [N, 3, H/4, W/4]."""
    return F.interpolate(photo, scale_factor=1 / SCALE, mode="bicubic", antialias=True).clamp(0, 1)


def train(photos: Tensor, config: SANConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    photos = photos.to(job.device)
    network = job.place(Network(config))

    def loss_of(rng: torch.Generator) -> Tensor:
        photo = augmented_batch(photos, config.batch, rng)
        return F.l1_loss(network(reduce_four(photo)), photo)

    return fit(network, loss_of, config, job, lr_drop=0.25, clip_norm=1.0)


@torch.no_grad()
def translate(network: Network, photo: Tensor, config: SANConfig, rng: torch.Generator) -> Tensor:
    """Photographs [N, 3, H, W] in [0, 1], reduced and magnified back. ``rng`` is not needed: nothing is random."""
    return network(reduce_four(photo)).clamp(0, 1)
