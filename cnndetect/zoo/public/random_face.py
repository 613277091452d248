"""random-face: MobileStyleGAN (Belousov 2021), a StyleGAN2 of faces distilled into a small network, run by OpenVINO.

Its teacher was trained on photographs of people, for non-commercial use: build this set for yourself, and do not pass it on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnndetect.zoo.public.generator import Make, PublicGenerator
from cnndetect.zoo.public.origins import Wheel

_FILES = tuple(f"random_face/data/{part}Network.{suffix}" for part in ("Mapping", "Synthesis") for suffix in ("xml", "bin"))
_LATENTS, _TRUNCATION, _OF_MEAN, _SIDE_PX = 512, 0.5, 256, 128


def _load(root: Path) -> Make:
    import openvino

    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    mapping, synthesis = (core.compile_model(core.read_model(root / file), "CPU", exact) for file in _FILES[::2])

    def style(seed: int) -> np.ndarray:
        latents = np.random.default_rng(seed).standard_normal((1, _LATENTS)).astype(np.float32)
        return mapping([latents])[0]

    mean = np.mean([style(1_000_000 + number) for number in range(_OF_MEAN)], axis=0)

    def make(photo: np.ndarray, index: int) -> np.ndarray:
        face = synthesis([(mean + _TRUNCATION * (style(index) - mean)).astype(np.float32)])["img"][0]  # [3, 1024, 1024] in [-1, 1]
        top, left = np.random.default_rng(index).integers(192, face.shape[1] - 192 - _SIDE_PX, 2)
        cut = face[:, top : top + _SIDE_PX, left : left + _SIDE_PX]
        return ((cut.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8).transpose(1, 2, 0)

    return make


GENERATOR = PublicGenerator(
    name="mobilestylegan",
    origin=Wheel("random-face", "2021.7.21.1", _FILES, "bdb2efe4f6b1a001d081eb868e8437b84779795913a6073a393c38c2e722f9d7"),
    licence="Apache-2.0; its teacher non-commercial",
    what="MobileStyleGAN, a distilled StyleGAN2: 128 px cut from 1,024 px faces, not resized",
    load=_load,
    kind="noise",
    needs=("openvino",),
)
