"""Draws a small suite of three sizes, and detectors for it: bright is fake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cnndetect.bench.run import Benchmark, Options, run_suite
from cnndetect.bench.suites import find_suites
from cnndetect.detectors.base import Detector

SIZES = ((16, 12), (20, 20), (9, 33))


def draw_suite(root: Path, *, families: tuple[str, ...] = ("crn", "biggan"), per_class: int = 4) -> Path:
    """ROOT/FAMILY/{0_real,1_fake}/K.png; fakes are brighter, with overlap."""
    rng = np.random.default_rng(0)
    for family in families:
        for label, name in enumerate(("0_real", "1_fake")):
            folder = root / family / name
            folder.mkdir(parents=True)
            for index in range(per_class):
                level = rng.normal(110 + 25 * label, 25)
                array = level + rng.normal(0, 20, (*SIZES[index % len(SIZES)], 3))
                Image.fromarray(array.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
    return root


def brightness(images: torch.Tensor) -> torch.Tensor:
    """[N, 3, H, W] -> [N]."""
    return images.mean(dim=(1, 2, 3))


def named(network: Callable[[torch.Tensor], torch.Tensor] = brightness, name: str = "brightness", **fields: Any) -> Detector:
    """A detector whose finished results count as finished."""
    known: dict[str, Any] = {"weights_sha256": "f" * 64, "threshold_logit": 0.1, "progan_only": True}
    return Detector(name, network, **{**known, **fields})


def run(suite: Path, results: Path, detector: Detector | None = None, **options: Any) -> Benchmark:
    """One detector on a drawn suite, with few draws."""
    return run_suite(detector or named(), find_suites(suite)[0], Options(**{"draws": 50, **options}), results=results)


def unsaid() -> Detector:
    """For ``--detector drawn_suite:unsaid``: nobody knows what it was trained on."""
    return named(name="unsaid", progan_only=None)


def confessed() -> Detector:
    """For ``--detector drawn_suite:confessed``: it saw more than ProGAN and says so."""
    return named(name="confessed", progan_only=False)
