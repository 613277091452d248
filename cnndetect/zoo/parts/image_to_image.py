"""Networks of the image-to-image families: a residual generator with transposed convolutions, and a patch discriminator.

Sources: Johnson et al. 2016 (arXiv 1603.08155) for the generator, Isola et al. 2017 (arXiv 1611.07004) for the discriminator;
both as used by CycleGAN (Zhu et al. 2017) and StarGAN (Choi et al. 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnndetect.zoo.resynthesis.losses import energy_loss, gradient_loss, high_bands

_ENERGY = 5.0


def _norm(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


class Residual(nn.Module):
    """Two 3x3 convolutions with instance norm and a skip. [N, C, H, W] -> same."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"), _norm(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"), _norm(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResidualGenerator(nn.Module):
    """Two strided convolutions down, residual blocks, two steps up. [N, inputs, H, W] -> [N, 3, H, W] in [-1, 1].

    Instance norm stays inside the residual blocks: on the way in and out it would erase every photograph's brightness and
    contrast, which a short training never learns to guess back.

    upsampling: "transposed" (3x3, stride 2) or "nearest" (nearest, then 3x3).

    >>> ResidualGenerator(3, 4, 1)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 3, 32, 32])
    """

    def __init__(self, inputs: int, width: int, blocks: int, *, upsampling: str = "transposed"):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 7, padding=3, padding_mode="reflect"), nn.ReLU()]
        for factor in (1, 2):
            layers += [nn.Conv2d(width * factor, width * factor * 2, 3, 2, 1), nn.ReLU()]
        layers += [Residual(width * 4) for _ in range(blocks)]
        for factor in (4, 2):
            if upsampling == "transposed":
                layers += [nn.ConvTranspose2d(width * factor, width * factor // 2, 3, 2, 1, output_padding=1)]
            else:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width * factor, width * factor // 2, 3, padding=1)]
            layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect"), nn.Tanh())
        for layer in layers:
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(layer.weight, mode="fan_in" if isinstance(layer, nn.Conv2d) else "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def restoring_loss(fake: Tensor, real: Tensor) -> Tensor:
    """L1 of pixels and of their differences, and the local contrast of two high bands: a scalar. Images [N, 3, H, W] in [-1, 1].

    L1 alone blurs, and leaves the grid of a strided convolution where it is; the other two terms cost both.
    """
    energy = energy_loss(high_bands(fake), high_bands(real))
    return (fake - real).abs().mean() + gradient_loss(fake, real) + _ENERGY * energy


class PatchDiscriminator(nn.Module):
    """A score per overlapping patch: [N, inputs, H, W] -> [N, 1, h, w], and the feature maps on the way.

    depth: strided convolutions.  norm: instance norm in all stages but the first.
    """

    def __init__(self, inputs: int, width: int, *, depth: int = 3, norm: bool = True):
        super().__init__()
        stages: list[nn.Module] = [nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2))]
        for _ in range(depth - 1):
            layers: list[nn.Module] = [nn.Conv2d(width, width * 2, 4, 2, 1)]
            if norm:
                layers.append(_norm(width * 2))
            stages.append(nn.Sequential(*layers, nn.LeakyReLU(0.2)))
            width *= 2
        self.stages = nn.ModuleList(stages)
        self.width = width
        self.out = nn.Conv2d(width, 1, 3, padding=1)

    def features(self, image: Tensor) -> list[Tensor]:
        """The map after every stage, largest first."""
        maps = []
        for stage in self.stages:
            image = stage(image)
            maps.append(image)
        return maps

    def forward(self, image: Tensor) -> Tensor:
        return self.out(self.features(image)[-1])


class ImagePool:
    """Fakes of earlier steps, mixed among the new ones so that the discriminator does not forget (Shrivastava et al. 2017)."""

    def __init__(self, size: int):
        self.size = size
        self.images: list[Tensor] = []

    def mix(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """Each fake, or with chance one half an older one in its place."""
        mixed = []
        for fake in fakes.detach():
            if len(self.images) < self.size:
                self.images.append(fake)
            elif self.size and torch.rand(1, generator=rng).item() < 0.5:
                place = int(torch.randint(self.size, (1,), generator=rng))
                fake, self.images[place] = self.images[place], fake
            mixed.append(fake)
        return torch.stack(mixed)
