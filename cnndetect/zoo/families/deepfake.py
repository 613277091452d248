"""Deepfake: a region of a photograph encoded, decoded as another subject, and blended back.

Source: the face-swapping autoencoder behind FaceForensics++'s "DeepFakes" (Rössler et al., ICCV 2019, arXiv 1901.08971,
section 3): one encoder shared by two decoders, each trained to restore its own subject from warped crops; the swap decodes
with the other decoder.
Kept: shared encoder with a bottleneck, two decoders with pixel-shuffle upsampling, warped inputs, colour transfer to the replaced region,
soft mask.
Different: the bottleneck is a map of a quarter of the region's size instead of a vector, which minutes of training cannot fill; differences
and local contrast are asked for beside L1.
Reduced: regions of 40 to 80 px, decoded at 64 px, in a 128 px image; narrower layers. No people and no faces: the two subjects are the
colder and the warmer half of the photographs, and size and place of the region are drawn, for no detector of animal faces comes with this
package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.loop import Job, augmented_batch, fit
from cnndetect.zoo.parts.image_to_image import restoring_loss
from cnndetect.zoo.parts.labels import warmth, warmth_borders
from cnndetect.zoo.parts.layers import blur

REGION_PX = 64


@dataclass(frozen=True)
class DeepfakeConfig:
    """Width, maps of the bottleneck and schedule."""

    width: int = 16
    bottleneck: int = 24
    steps: int = 1500
    batch: int = 6
    lr: float = 2e-3
    warp: float = 0.01  # largest shift of a grid point, as a share of the region
    sizes_px: tuple[int, int] = (40, 80)  # smallest and largest side of a replaced region
    seed: int = 0


CPU = DeepfakeConfig()
GPU = DeepfakeConfig(width=96, bottleneck=64, steps=30000, batch=64, lr=2e-4)


class Network(nn.Module):
    """Regions [N, 3, 64, 64] in [0, 1] and subject (0 cold, 1 warm) -> [N, 3, 64, 64]. ``borders`` [1] separates the subjects."""

    borders: Tensor

    def __init__(self, config: DeepfakeConfig):
        super().__init__()
        width = config.width
        self.register_buffer("borders", torch.zeros(1))
        stages: list[nn.Module] = []
        for inputs, outputs in ((3, width * 2), (width * 2, width * 4)):
            stages += [nn.Conv2d(inputs, outputs, 5, 2, 2), nn.LeakyReLU(0.1)]
        self.encoder = nn.Sequential(*stages, nn.Conv2d(width * 4, config.bottleneck, 1))
        self.widen = nn.Sequential(nn.Conv2d(config.bottleneck, width * 4, 3, padding=1), nn.LeakyReLU(0.1))
        self.decoders = nn.ModuleList(
            nn.Sequential(_shuffle(width * 4, width * 2), _shuffle(width * 2, width), nn.Conv2d(width, 3, 5, padding=2), nn.Sigmoid())
            for _ in range(2)
        )

    def forward(self, region: Tensor, subject: int) -> Tensor:
        return self.decoders[subject](self.widen(self.encoder(region)))


def place_of(photo: Tensor, config: DeepfakeConfig, rng: torch.Generator) -> tuple[slice, slice]:
    """Rows and columns of a square of random size and place in photographs [N, 3, H, W]."""
    least, most = config.sizes_px
    side = int(torch.randint(least, most + 1, (1,), generator=rng))
    top, left = (int(torch.randint(length - side + 1, (1,), generator=rng)) for length in photo.shape[2:])
    return slice(top, top + side), slice(left, left + side)


def warped(region: Tensor, amount: float, rng: torch.Generator) -> Tensor:
    """Regions bent by a smooth random displacement of at most ``amount`` of their side. [N, 3, H, W] -> same."""
    coarse = (torch.rand(len(region), 2, 5, 5, generator=rng) * 2 - 1) * 2 * amount
    bend = F.interpolate(coarse, region.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    straight = F.affine_grid(torch.eye(2, 3).expand(len(region), -1, -1), list(region.shape), align_corners=False)
    return F.grid_sample(region, (straight + bend).to(region), padding_mode="reflection", align_corners=False)


def match_colour(region: Tensor, target: Tensor) -> Tensor:
    """Give every channel the mean and the deviation of the target (Reinhard et al. 2001). [N, 3, H, W] -> same."""
    mean, deviation = region.mean(dim=(2, 3), keepdim=True), region.std(dim=(2, 3), keepdim=True)
    wanted_mean, wanted = target.mean(dim=(2, 3), keepdim=True), target.std(dim=(2, 3), keepdim=True)
    return (region - mean) / (deviation + 1e-6) * wanted + wanted_mean


def soft_mask(size_px: int = REGION_PX) -> Tensor:
    """One inside an ellipse, zero at the border, soft between: [1, 1, size, size].

    >>> mask = soft_mask(); bool(mask[0, 0, 32, 32] == 1), bool(mask[0, 0, 0].max() == 0)
    (True, True)
    """
    line = torch.linspace(-1, 1, size_px)
    radius = (line[:, None].square() + line[None].square()).sqrt()
    mask = ((0.9 - radius) / 0.25).clamp(0, 1)[None, None]
    return blur(mask * mask * (3 - 2 * mask))


def train(photos: Tensor, config: DeepfakeConfig, job: Job) -> Path:
    """Train on ``photos`` [N, 3, 128, 128] uint8 and return the checkpoint's path. Resumes."""
    torch.manual_seed(config.seed)
    network = Network(config)
    network.borders.copy_(warmth_borders(photos, 2))
    is_warm = warmth(photos) / 255 > network.borders
    subjects = [photos[~is_warm].to(job.device), photos[is_warm].to(job.device)]
    job.place(network)

    def loss_of(rng: torch.Generator) -> Tensor:
        losses = []
        for subject, theirs in enumerate(subjects):
            region = augmented_batch(theirs, config.batch, rng, crop_px=REGION_PX)
            restored = network(warped(region, config.warp, rng), subject)
            losses.append(restoring_loss(restored * 2 - 1, region * 2 - 1))
        return torch.stack(losses).mean()

    return fit(network, loss_of, config, job, lr_drop=0.25)


@torch.no_grad()
def translate(network: Network, photo: Tensor, config: DeepfakeConfig, rng: torch.Generator) -> Tensor:
    """Photographs [N, 3, 128, 128] in [0, 1], each with a region swapped whose size and place come from ``rng``."""
    rows, columns = place_of(photo, config, rng)
    region = photo[:, :, rows, columns]
    seen = F.interpolate(region, (REGION_PX, REGION_PX), mode="bicubic", antialias=True).clamp(0, 1)
    is_warm = (warmth(photo) > network.borders).view(-1, 1, 1, 1)
    decoded = torch.where(is_warm, network(seen, 0), network(seen, 1))
    swapped = match_colour(F.interpolate(decoded, region.shape[2:], mode="bicubic", antialias=True), region)
    fake = photo.clone()
    fake[:, :, rows, columns] = torch.lerp(region, swapped, soft_mask(region.shape[2]).to(photo))
    return fake.clamp(0, 1)


def _shuffle(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs * 4, 3, padding=1), nn.LeakyReLU(0.1), nn.PixelShuffle(2))
