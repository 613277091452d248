"""Paint a photograph again: an encoder drives a generator's own decoder, and both learn to give photographs back.

Such a fake shows what its photograph shows. It carries the decoder's upsampling, normalisation and noise, and nothing else tells it from the
photograph. The decoder is the one that its family's file defines; the encoder only says what to paint. Records and tables call these images
"resynthesised": they are no samples of the generator.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.errors import ProtocolError
from cnndetect.zoo.registry import FAMILIES
from cnndetect.zoo.resynthesis.config import DrivenConfig
from cnndetect.zoo.resynthesis.disturb import disturb

RECONSTRUCTOR = "reconstructor"


class Encoder(nn.Module):
    """Strided convolutions: [N, 3, H, W] -> [N, outputs, H / 2**levels, W / 2**levels]."""

    def __init__(self, levels: int, width: int, outputs: int):
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for level in range(levels):
            maps = min(width * 2**level, outputs, 192) if level else width
            layers += [nn.Conv2d(inputs, maps, 4, 2, 1), nn.LeakyReLU(0.2)]
            inputs = maps
        layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(outputs, outputs, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


class Reduced(nn.Module):
    """The image at the size of the decoder's first map (bicubic), so that the decoder has to super-resolve it. Shapes as ``Encoder``'s."""

    def __init__(self, levels: int, outputs: int):
        super().__init__()
        self.factor = 2**levels
        self.layer = nn.Conv2d(3, outputs, 3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        size = [side // self.factor for side in image.shape[2:]]
        return self.layer(F.interpolate(image, size, mode="bicubic", antialias=True, align_corners=False))


class Mosaic(nn.Module):
    """One colour of every pixel (Bayer's RGGB), so that the decoder has to make the other two. Shapes as ``Encoder``'s."""

    def __init__(self, levels: int, outputs: int):
        super().__init__()
        self.factor = 2**levels
        self.layer = nn.Conv2d(self.factor**2, outputs, 3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        plane = image[:, 1:2].clone()
        plane[:, 0, ::2, ::2] = image[:, 0, ::2, ::2]
        plane[:, 0, 1::2, 1::2] = image[:, 2, 1::2, 1::2]
        return self.layer(F.pixel_unshuffle(plane, self.factor))


class Resynthesiser(nn.Module):
    """Encoder and decoder: images [N, 3, H, W] in [-1, 1] -> the same, painted again. H and W: multiples of the depth."""

    def __init__(self, config: DrivenConfig):
        super().__init__()
        self.decoder = decoder_of(config.family).Decoder(config)
        self.noise = config.noise
        self.depth = 2**self.decoder.level
        level, inputs = self.decoder.level, self.decoder.inputs
        self.encoder: nn.Module
        if config.encoder == "learned":
            self.encoder = Encoder(level, config.encoder_width, inputs)
        else:
            self.encoder = (Reduced if config.encoder == "reduced" else Mosaic)(level, inputs)

    def forward(self, image: Tensor, rng: torch.Generator, *, disturbed: bool = False) -> Tensor:
        maps = self.encoder(image)
        if disturbed:
            maps = torch.cat([disturb(one[None], rng) for one in maps])
        if self.noise:
            maps = maps + self.noise * torch.randn(maps.shape, generator=rng).to(maps)
        return self.decoder(maps, rng)


def decoder_of(family: str) -> ModuleType:
    """The module of a family whose decoder an encoder can drive. Raises ProtocolError for the others."""
    if family == RECONSTRUCTOR:
        return importlib.import_module("cnndetect.zoo.families.reconstructor")
    module = FAMILIES[family].module if family in FAMILIES else None
    if module is None or not hasattr(module, "Decoder"):
        able = [name for name, known in FAMILIES.items() if known.kind == "unconditional"]
        raise ProtocolError(f"{family!r} has no decoder to drive with photographs. Expected one of {', '.join(able)}, {RECONSTRUCTOR}.")
    return module
