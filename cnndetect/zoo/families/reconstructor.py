"""A reconstructor of random architecture: a decoder of no published generator, drawn from a seed.

Photographs painted again by many such decoders teach a detector the traces of decoders in general: mean AP 95.8 with three depths and
mixed upsamplers against 76.6 with one (GenSign, CVPR 2026). Nothing here is taken from a generator under test.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.resynthesis.config import START_PX, DrivenConfig

UPSAMPLERS = ("nearest", "bilinear", "bicubic", "pixel-shuffle", "transposed-4", "transposed-3")
NORMS = ("pixel", "instance", "batch", "group", "none")
ACTIVATIONS = ("relu", "leaky-0.01", "leaky-0.2", "elu", "gelu", "silu")
ORDERS = ("convolution-norm-activation", "norm-activation-convolution")


@dataclass(frozen=True)
class Architecture:
    """What a seed draws."""

    start_px: int
    width: int
    upsamplers: tuple[str, ...]  # one per level
    norm: str
    activation: str
    order: str
    first_kernel: int
    kernel: int
    last_kernel: int
    convolutions: int  # after each upsampling
    residual: bool
    noise: bool  # learned noise per pixel
    tanh: bool


def draw_architecture(seed: int) -> Architecture:
    """The architecture of a seed: the same seed always gives the same one, on every machine.

    >>> draw_architecture(5) == draw_architecture(5)
    True
    >>> len({draw_architecture(seed).upsamplers for seed in range(40)}) > 10
    True
    """
    rng = random.Random(f"reconstructor-{seed}")
    start_px = rng.choice(START_PX[1:] + START_PX[2:])
    levels = (128 // start_px).bit_length() - 1
    if rng.random() < 0.6:
        upsamplers = (rng.choice(UPSAMPLERS),) * levels
    else:
        upsamplers = tuple(rng.choice(UPSAMPLERS) for _ in range(levels))
    norm = rng.choice(NORMS)
    return Architecture(
        start_px=start_px,
        width=rng.choice((12, 16, 20, 24)),
        upsamplers=upsamplers,
        norm=norm,
        activation=rng.choice(ACTIVATIONS),
        order=rng.choice(ORDERS),
        first_kernel=rng.choice((1, 3, 5)),
        kernel=rng.choice((3, 3, 5)) if levels < 3 else 3,
        last_kernel=rng.choice((1, 3, 7)),
        convolutions=rng.choice((1, 2)),
        # Instance norm takes an image's colours away; they pass beside it.
        residual=rng.random() < 0.5 or norm == "instance",
        noise=rng.random() < 0.3,
        tanh=rng.random() < 0.5,
    )


class Decoder(nn.Module):
    """Maps [N, inputs, H, W] -> images [N, 3, H * 2**levels, W * 2**levels] in about [-1, 1]."""

    def __init__(self, config: DrivenConfig):
        super().__init__()
        self.architecture = arch = draw_architecture(config.seed)
        widths = tuple(min(arch.width * 2**level, 96) for level in range(len(arch.upsamplers), -1, -1))
        self.inputs, self.level = widths[0], len(arch.upsamplers)
        self.random = arch.noise
        self.first = nn.Conv2d(widths[0], widths[0], arch.first_kernel, padding=arch.first_kernel // 2)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.stages = nn.ModuleList(Stage(i, o, kind, arch) for (i, o), kind in zip(pairs, arch.upsamplers, strict=True))
        self.last = nn.Conv2d(widths[-1], 3, arch.last_kernel, padding=arch.last_kernel // 2)

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        x = _activate(self.first(x), self.architecture.activation)
        for stage in self.stages:
            x = stage(x, rng)
        image = self.last(x)
        return torch.tanh(image) if self.architecture.tanh else image

    def described(self, config: DrivenConfig) -> dict[str, object]:
        """The architecture, for the record."""
        return asdict(self.architecture)


class Stage(nn.Module):
    """One doubling of the size and the convolutions after it. [N, C, H, W] -> [N, C', 2H, 2W]."""

    def __init__(self, inputs: int, outputs: int, upsampler: str, arch: Architecture):
        super().__init__()
        self.arch = arch
        self.up = Upsampler(inputs, upsampler)
        sizes = [(inputs, outputs)] + [(outputs, outputs)] * (arch.convolutions - 1)
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, arch.kernel, padding=arch.kernel // 2) for i, o in sizes)
        before = arch.order == ORDERS[1]
        self.norms = nn.ModuleList(_norm(arch.norm, i if before else o) for i, o in sizes)
        self.skip = nn.Conv2d(inputs, outputs, 1) if arch.residual else None
        self.noise_strength = nn.Parameter(torch.full((outputs, 1, 1), 0.05)) if arch.noise else None

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        x = self.up(x)
        y = x
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            if self.arch.order == ORDERS[0]:
                y = _activate(norm(convolution(y)), self.arch.activation)
            else:
                y = convolution(_activate(norm(y), self.arch.activation))
        if self.noise_strength is not None:
            y = y + self.noise_strength * torch.randn(len(y), 1, *y.shape[2:], generator=rng).to(y)
        return y if self.skip is None else (y + self.skip(x)) * math.sqrt(0.5)


class Upsampler(nn.Module):
    """Doubles height and width: one of UPSAMPLERS. [N, C, H, W] -> [N, C, 2H, 2W]."""

    def __init__(self, width: int, kind: str):
        super().__init__()
        self.kind = kind
        self.layer: nn.Module | None = None
        if kind == "pixel-shuffle":
            self.layer = nn.Sequential(nn.Conv2d(width, 4 * width, 1), nn.PixelShuffle(2))
        elif kind == "transposed-4":
            self.layer = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
        elif kind == "transposed-3":
            self.layer = nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.layer is not None:
            return cast(Tensor, self.layer(x))
        if self.kind == "nearest":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return F.interpolate(x, scale_factor=2, mode=self.kind, align_corners=False)


class PixelNorm(nn.Module):
    """Unit mean square over the channels of every pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def _norm(kind: str, width: int) -> nn.Module:
    if kind == "pixel":
        return PixelNorm()
    if kind == "instance":
        return nn.InstanceNorm2d(width, affine=True)
    if kind == "batch":
        return nn.BatchNorm2d(width)
    if kind == "group":
        return nn.GroupNorm(4, width)
    return nn.Identity()


def _activate(x: Tensor, kind: str) -> Tensor:
    if kind.startswith("leaky-"):
        return F.leaky_relu(x, float(kind.removeprefix("leaky-")))
    functions: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "elu": F.elu, "gelu": F.gelu, "silu": F.silu}
    return functions[kind](x)
