"""Paint a photograph again: an encoder drives a generator's own decoder, and both learn to give photographs back.

Such a fake shows what its photograph shows. It carries the decoder's upsampling, normalisation and noise, and nothing else tells it from the
photograph. The decoder is the one that its family's file defines; the encoder only says what to paint. Records and tables call these images
"resynthesised": they are no samples of the generator.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
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


class Resynthesiser(nn.Module):
    """Encoder and decoder: images [N, 3, H, W] in [-1, 1] -> the same, painted again. H and W: multiples of the depth."""

    def __init__(self, config: DrivenConfig):
        super().__init__()
        self.decoder = decoder_of(config.family).Decoder(config)
        self.noise = config.noise
        self.depth = 2**self.decoder.level
        self.encoder = Encoder(self.decoder.level, config.encoder_width, self.decoder.inputs)

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
