"""vintagify: a CycleGAN (Zhu et al. 2017) from photographs to old ones."""

from __future__ import annotations

from pathlib import Path

import torch

from cnndetect.zoo.public.generator import Make, PublicGenerator, import_file, to_pixels, to_tensor
from cnndetect.zoo.public.origins import Wheel

_CODE, _WEIGHTS = "vintagify/generator.py", "vintagify/resources/G_A2B_epoch33.pth"


def _load(root: Path) -> Make:
    network = import_file(root / _CODE).ResnetGenerator().eval()
    network.load_state_dict(torch.load(root / _WEIGHTS, map_location="cpu", weights_only=True))
    return lambda photo, index: to_pixels((network(to_tensor(photo) * 2 - 1) + 1) / 2)


GENERATOR = PublicGenerator(
    name="vintagify",
    origin=Wheel("vintagify", "0.1.2", (_CODE, _WEIGHTS), "f7d2b74d470809cabb2f7a4a43dfb9a04545c317f6efe9fe36dd0472edb937ad"),
    licence="MIT",
    what="CycleGAN, ResNet with 9 blocks: a photograph becomes an old one",
    load=_load,
)
