"""demosaicnet: joint demosaicking and denoising (Gharbi et al. 2016) of a Bayer mosaic."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn.functional import pad

from cnndetect.zoo.public.generator import Make, PublicGenerator, import_file, to_pixels, to_tensor
from cnndetect.zoo.public.origins import Wheel

_CODE, _MOSAIC, _WEIGHTS = "demosaicnet/modules.py", "demosaicnet/mosaic.py", "demosaicnet/data/bayer.pth"

# The network loses 31 px on every side. An even margin keeps the phase of the mosaic.
_MARGIN_PX = 32


def _load(root: Path) -> Make:
    # The file asks for the place of its weights when it is imported, in a way that needs an old setuptools.
    places = {"pkg_resources": SimpleNamespace(resource_filename=lambda package, name: name)}
    network = import_file(root / _CODE, beside=places).BayerDemosaick(pretrained=False).eval()
    network.load_state_dict(torch.load(root / _WEIGHTS, map_location="cpu", weights_only=True))
    bayer = import_file(root / _MOSAIC).bayer

    def make(photo: np.ndarray, index: int) -> np.ndarray:
        height, width = photo.shape[:2]
        image = network(bayer(pad(to_tensor(photo), (_MARGIN_PX,) * 4, mode="reflect")))
        top, left = (image.shape[2] - height) // 2, (image.shape[3] - width) // 2
        return to_pixels(image[:, :, top : top + height, left : left + width])

    return make


GENERATOR = PublicGenerator(
    name="demosaicnet",
    origin=Wheel("demosaicnet", "0.0.14", (_CODE, _MOSAIC, _WEIGHTS), "b5d4e7721241df6c2c8da57b9939650f4407097e939f7d7119c2b04483c0d8d1"),
    licence="MIT",
    what="demosaicking network: two thirds of the colours are made from a Bayer mosaic",
    load=_load,
)
