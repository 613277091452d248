"""leftthomas/SRGAN: SRGAN x4 (Ledig et al. 2017).

The licence came to the repository in 2020, after the weights had left it; they lie in its history.
"""

from __future__ import annotations

from pathlib import Path

import torch

from cnndetect.zoo.public.generator import Make, PublicGenerator, import_file, reduced, to_pixels, to_tensor
from cnndetect.zoo.public.origins import Repository

_CODE, _WEIGHTS = "model.py", "epochs/netG_epoch_4_100.pth"


def _load(root: Path) -> Make:
    network = import_file(root / _CODE).Generator(4).eval()
    network.load_state_dict(torch.load(root / _WEIGHTS, map_location="cpu", weights_only=True))
    return lambda photo, index: to_pixels(network(to_tensor(reduced(photo))))


GENERATOR = PublicGenerator(
    name="srgan",
    origin=Repository(
        "leftthomas/SRGAN",
        "b0323c6ca4ca920f7daa41ba05f44bd220557cd9",
        (_CODE, _WEIGHTS),
        "254939e7f52c6dca274c2fef9d79c8ac535d0f8f1d514be6dfdf5c7ffd4db199",
    ),
    licence="MIT (stated after these weights)",
    what="SRGAN x4 (pixel shuffle, adversarial): 32 px become 128 px",
    load=_load,
)
