"""The registry of generator families: how each is trained, and how it makes its fakes.

A family is either *unconditional* (noise -> image) or a *translation* (photograph -> image). To add one: write
its file with ``CPU``, ``GPU``, ``Network``, ``train`` and ``translate`` (or ``sample``) and add a line to FAMILIES.
"""

from __future__ import annotations

import importlib
import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from cnndetect.data.photos import SIZE_PX
from cnndetect.errors import DataError, WeightsError, lookup
from cnndetect.packing import to_steps, unpacked
from cnndetect.zoo.loop import Job, generator_for, save_generator

# Smaller tensors are not worth a scale per channel.
_LEAST_PACKED = 512

# What torch.load raises on files that are no checkpoints, and what a checkpoint of another kind lacks.
NOT_A_GENERATOR = (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, struct.error, pickle.UnpicklingError)


@dataclass(frozen=True)
class Family:
    """One generator family."""

    name: str
    kind: str  # "unconditional" or "translation"
    title: str
    trace: str  # what its upsampling leaves in an image

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"cnndetect.zoo.families.{self.name}")


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("progan", "unconditional", "ProGAN (Karras et al. 2018)", "nearest upsampling, 3x3 convolutions, pixel norm"),
        Family("stylegan", "unconditional", "StyleGAN (Karras et al. 2019)", "blurred nearest upsampling, AdaIN, noise per pixel"),
        Family("biggan", "unconditional", "BigGAN (Brock et al. 2019)", "nearest upsampling in residual blocks, attention, batch norm"),
        Family("cyclegan", "translation", "CycleGAN (Zhu et al. 2017)", "two 3x3 transposed convolutions, instance norm"),
        Family("stargan", "translation", "StarGAN (Choi et al. 2018)", "two 3x3 transposed convolutions, instance norm, label planes"),
        Family("gaugan", "translation", "GauGAN (Park et al. 2019)", "nearest upsampling, SPADE, noise at 4 px"),
        Family("crn", "translation", "CRN (Chen and Koltun 2017)", "bilinear upsampling, layer norm, perceptual loss"),
        Family("imle", "translation", "IMLE (Li et al. 2019)", "bilinear upsampling, layer norm, noise planes, perceptual loss"),
        Family("sitd", "translation", "SITD (Chen et al. 2018)", "2x2 transposed convolutions, pixel shuffle, L1 loss"),
        Family("san", "translation", "SAN (Dai et al. 2019)", "two pixel shuffles, second-order attention, L1 loss"),
        Family("deepfake", "translation", "Deepfake (Rossler et al. 2019)", "pixel shuffles in one region, colour transfer, blending"),
        Family("stylegan2", "unconditional", "StyleGAN2 (Karras et al. 2020)", "filtered transposed convolutions, demodulation, skips"),
        Family("dcgan", "unconditional", "DCGAN (Radford et al. 2016)", "five 4x4 transposed convolutions, batch norm"),
        Family("autogan", "translation", "AutoGAN simulator (Zhang et al. 2019)", "the upsampling of CycleGAN on the photograph itself"),
    )
}

# The families of the main table; the last three of FAMILIES stand beside them.
ELEVEN = tuple(FAMILIES)[:11]


def train_family(
    name: str,
    photos: np.ndarray,
    out: str | Path,
    *,
    recipe: str = "cpu",
    seed: int = 0,
    device: str = "cpu",
    start: str | Path | None = None,
) -> Path:
    """Train one family on ``photos`` [N, 128, 128, 3] uint8 and write OUT/checkpoint.pt and OUT/generator.pt.

    recipe: "cpu" (hours or less, small), "gpu", or another of the family's own.  start: a checkpoint to begin from.
    Raises UnknownNameError, DataError.
    """
    family = lookup("family", FAMILIES, name)
    config = _config(family, recipe, seed)
    if photos.ndim != 4 or photos.shape[1:] != (SIZE_PX, SIZE_PX, 3) or photos.dtype != np.uint8:
        raise DataError(f"Photographs of shape {photos.shape}, {photos.dtype} were given. Expected uint8 [N, {SIZE_PX}, {SIZE_PX}, 3].")
    tensor = torch.from_numpy(photos).permute(0, 3, 1, 2).contiguous()
    job = Job(Path(out), device=device, start=None if start is None else Path(start))
    checkpoint = family.module.train(tensor, config, job)
    return export(name, checkpoint, Path(out) / "generator.pt", recipe=recipe)


def export(name: str, checkpoint: str | Path, path: str | Path, *, recipe: str = "cpu") -> Path:
    """Keep of a training checkpoint what makes images: half-precision weights, the configuration and the family."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    part = "average" if "average" in content["state"] else "network"
    weights = {key: value.half() if value.is_floating_point() else value for key, value in content["state"][part].items()}
    kept = {"family": name, "recipe": recipe, "step": content["step"], "config": content["config"], "weights": weights}
    save_generator(Path(path), kept)
    return Path(path)


def pack(source: str | Path, path: str | Path) -> Path:
    """Write a generator.pt with one byte per weight: large tensors get a scale per output channel, the rest stay as they are."""
    content = torch.load(source, map_location="cpu", weights_only=True)
    packed: dict[str, object] = {}
    for key, value in content["weights"].items():
        if value.is_floating_point() and value.ndim >= 2 and value.numel() >= _LEAST_PACKED:
            packed[key] = to_steps(value)
        else:
            packed[key] = value
    save_generator(Path(path), {**content, "weights": packed})
    return Path(path)


@dataclass(frozen=True)
class Generator:
    """A trained generator, ready to make fakes. Same seed and index, same image, whatever else is made with it."""

    family: Family
    network: nn.Module
    config: object
    device: str = "cpu"

    def fake(self, index: int, *, seed: int, photo: np.ndarray | None = None) -> np.ndarray:
        """Fake number ``index``: uint8 [128, 128, 3]. Translations start from ``photo``, uint8 [128, 128, 3]."""
        rng = generator_for(seed, index)
        if self.family.kind == "unconditional":
            image = self.family.module.sample(self.network, self.config, rng)
        else:
            if photo is None:
                raise DataError(f"{self.family.name} makes its fakes from photographs and none was given. Give photo=.")
            source = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float() / 255
            image = self.family.module.translate(self.network, source.to(self.device), self.config, rng)
        return _to_uint8(image)[0]

    def fakes(self, count: int, *, seed: int, photos: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """``count`` fakes in order; translations take photograph ``index % len(photos)``."""
        for index in range(count):
            yield self.fake(index, seed=seed, photo=None if photos is None else photos[index % len(photos)])


def load_generator(path: str | Path, *, device: str = "cpu") -> Generator:
    """Read a ``generator.pt``. Raises WeightsError where it is something else."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        family = lookup("family", FAMILIES, content["family"])
    except NOT_A_GENERATOR as error:
        raise WeightsError(f"{path} is not a generator. Expected a file made by: python -m cnndetect.zoo train ({error})") from error
    described = {key: _tuples(value) for key, value in content["config"].items() if key != "start"}
    config = type(family.module.CPU)(**described)
    network = family.module.Generator(config) if family.kind == "unconditional" else family.module.Network(config)
    network.load_state_dict({key: unpacked(value) for key, value in content["weights"].items()})
    return Generator(family, network.to(device).eval(), config, device)


def _config(family: Family, recipe: str, seed: int) -> object:
    recipes = {"cpu": family.module.CPU, "gpu": family.module.GPU}
    if hasattr(family.module, "CPU_TUNE"):
        recipes |= {"cpu-tune": family.module.CPU_TUNE, "gpu-tune": family.module.GPU_TUNE}
    return replace(lookup("recipe", recipes, recipe), seed=seed)


def _tuples(value: object) -> object:
    # JSON knows no tuples; configurations hold nothing but numbers and tuples.
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def _to_uint8(image: Tensor) -> np.ndarray:
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
