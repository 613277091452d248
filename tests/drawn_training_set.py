"""Draws a small training set: smooth images as reals, blocky ones as fakes, in the official layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnndetect.train.config import TrainConfig
from cnndetect.transforms.augment import AugmentConfig

SMALL_CROP = AugmentConfig(resize_px=None, crop_px=24, blur_probability=0.3, jpeg_probability=0.3)


def draw_training_set(root: Path, *, per_folder: int = 10, classes: tuple[str, ...] = ("cat", "dog"), size_px: int = 32) -> Path:
    """ROOT/{train,val}/class/{0_real,1_fake}/: ``per_folder`` images each, 4 in val."""
    rng = np.random.default_rng(0)
    for split, count in (("train", per_folder), ("val", 4)):
        for name in classes:
            for label, filter in (("0_real", Image.Resampling.BICUBIC), ("1_fake", Image.Resampling.NEAREST)):
                folder = root / split / name / label
                folder.mkdir(parents=True)
                for index in range(count):
                    coarse = Image.fromarray(rng.integers(0, 256, (size_px // 8, size_px // 8, 3), dtype=np.uint8))
                    coarse.resize((size_px, size_px), filter).save(folder / f"{index:03d}.png")
    return root


def small_config(data: Path, out: Path, **changes: Any) -> TrainConfig:
    """The tiny network, one thread, two epochs of five steps."""
    fields: dict[str, Any] = {
        "data": data,
        "out": out,
        "name": "run",
        "augment": SMALL_CROP,
        "arch": "tiny",
        "init": "random",
        "lr": 0.01,
        "batch_size": 8,
        "max_epochs": 2,
        "device": "cpu",
        "threads": 1,
    }
    return TrainConfig(**{**fields, **changes})
