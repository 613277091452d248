"""What a public generator is: its origin, its licence, and a function that makes its image of a photograph."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnndetect.data.photos import SIZE_PX
from cnndetect.zoo.public.origins import Origin

# (photograph uint8 [128, 128, 3], number of the image) -> uint8 [size, size, 3].
Make = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class PublicGenerator:
    """A generator that others trained."""

    name: str
    """Of its test set."""
    origin: Origin
    licence: str
    """Of code and weights, as their authors state it."""
    what: str
    """Architecture, and what it does here."""
    load: Callable[[Path], Make]
    """Takes the origin's folder."""
    kind: Literal["photograph", "noise"] = "photograph"
    """What it starts from. Images of noise do not look at the photograph that they are given."""
    size_px: int = SIZE_PX
    """Side of its images; its reals are cut to it."""
    needs: tuple[str, ...] = ()
    """Modules beside those of cnndetect."""

    def missing(self) -> list[str]:
        """Needed modules that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def import_file(path: Path, *, beside: Mapping[str, Any] | None = None) -> ModuleType:
    """Import one file of an origin, without the package around it.

    beside: modules by name that the file imports and that exist for this import alone.
    """
    spec = importlib.util.spec_from_file_location(f"public_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    before = {name: sys.modules.get(name) for name in beside or {}}
    sys.modules.update(beside or {})
    try:
        spec.loader.exec_module(module)
    finally:
        for name, value in before.items():
            if value is None:
                del sys.modules[name]
            else:
                sys.modules[name] = value
    return module


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


def to_pixels(image: Tensor) -> np.ndarray:
    """float [1, 3, H, W] in [0, 1] -> uint8 [H, W, 3], clipped and rounded.

    >>> to_pixels(to_tensor(np.full((1, 1, 3), 7, np.uint8))).ravel().tolist()
    [7, 7, 7]
    """
    return (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def reduced(pixels: np.ndarray, factor: int = 4) -> np.ndarray:
    """The photograph as a super-resolution network gets it: bicubic, 1/factor of the side."""
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((width // factor, height // factor), Image.Resampling.BICUBIC))
