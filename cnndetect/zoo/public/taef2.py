"""taesd: taef2, a small autoencoder that reads and writes the latents of a latent-diffusion model."""

from __future__ import annotations

from pathlib import Path

from cnndetect.zoo.public.generator import Make, PublicGenerator, import_file, to_pixels, to_tensor
from cnndetect.zoo.public.origins import Repository

_CODE, _ENCODER, _DECODER = "taesd.py", "taef2_encoder.pth", "taef2_decoder.pth"


def _load(root: Path) -> Make:
    network = import_file(root / _CODE).TAESD(root / _ENCODER, root / _DECODER).eval()
    return lambda photo, index: to_pixels(network.decoder(network.encoder(to_tensor(photo))))


GENERATOR = PublicGenerator(
    name="taef2",
    origin=Repository(
        "madebyollin/taesd",
        "5cccb12dc72074a4be35680c3b108548a7c69978",
        (_CODE, _ENCODER, _DECODER),
        "6f5b8bab0b423554eeae95b404eb435806e277ce0474d9de34167fa713f3704c",
    ),
    licence="MIT",
    what="decoder of a latent-diffusion model: the photograph is encoded to 16 px latents and painted again",
    load=_load,
)
