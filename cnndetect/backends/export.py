"""A detector as an ONNX file for other programs, compared with torch before it is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cnndetect.backends.choose import EXACT, Run, installed
from cnndetect.detectors.base import Detector
from cnndetect.errors import ProtocolError
from cnndetect.files import sha256_of, write_whole
from cnndetect.transforms.preprocess import to_tensor

# Heights and widths on which the file is compared with torch: odd, even, square, wide.
SIZES = ((64, 64), (97, 131), (224, 224), (33, 350))


@dataclass(frozen=True)
class Exported:
    """An ONNX file and how far its logits are from torch's."""

    file: str
    bytes: int
    sha256: str
    sizes: tuple[tuple[int, int], ...]
    largest_difference: float


def export_onnx(detector: Detector, path: str | Path) -> Exported:
    """Write a detector as ONNX: ``images`` float32 [N, 3, H, W], normalised, of any size -> ``logits`` float32 [N].

    The file is compared with torch on drawn images of four sizes. Raises ProtocolError for a network that has no ONNX form
    here, and where a logit is off by more than 1e-4; then nothing is written.

    >>> export_onnx(load("effnet-progan"), "effnet-progan.onnx").largest_difference < 1e-4  # doctest: +SKIP
    True
    """
    from cnndetect.backends.onnx_graph import to_onnx
    from cnndetect.backends.tracing import formless

    if not isinstance(detector.network, nn.Module):
        raise ProtocolError(f"Detector {detector.name} is not a torch module. Expected one of list_detectors(), or a weights file.")
    without = formless(detector.network)
    if without:
        raise ProtocolError(
            f"{detector.name} has no ONNX form here, because of {', '.join(without)}. Expected a detector without a Fourier transform, such as "
            "effnet-progan; the members of a sum can be written alone."
        )
    model = to_onnx(detector.network, name=detector.name).SerializeToString()
    run, rng, reference = _run(model), np.random.default_rng(0), replace(detector, engine=None)
    largest = 0.0
    for height, width in SIZES:
        images = torch.stack([to_tensor(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(2)])
        largest = max(largest, float((run(images) - reference.logits(images)).abs().max()))
    if not largest <= EXACT:
        raise ProtocolError(
            f"The ONNX form of {detector.name} is off by {largest:.2g} in a logit. Expected {EXACT:g}; nothing was written."
        )
    write_whole(path, model)
    return Exported(Path(path).name, len(model), sha256_of(path), SIZES, largest)


def _run(model: bytes) -> Run:
    """A float32 engine of whichever kind is installed. Raises ProtocolError where none is."""
    if installed("onnxruntime"):
        from cnndetect.backends.onnxruntime_engine import onnxruntime_engine

        return onnxruntime_engine(model)
    if installed("openvino"):
        from cnndetect.backends.openvino_engine import openvino_engine

        return openvino_engine(model)
    raise ProtocolError("Nothing here can run the file to compare it. Run: pip install onnx onnxruntime")
