"""Ranges of activations, measured on photographs, for engines that compute in whole numbers of eight bits.

What enters a convolution or an addition of maps is rounded to 256 steps between two bounds. The first convolution computes in float: it
sees single grey levels of the image, which are the traces. So does what turns maps into logits. benchmarks/speed/precision.py compares
such choices on validation images; no test suite has a part in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from cnndetect.backends.ranges import RangesRecord
from cnndetect.backends.tracing import folded, has_form, members, trace, traced
from cnndetect.data.folders import evenly
from cnndetect.data.photos import split_files
from cnndetect.data.test_only import refuse_test_images
from cnndetect.detectors.base import Detector
from cnndetect.errors import ProtocolError
from cnndetect.images import to_rgb_array
from cnndetect.progress import bar
from cnndetect.transforms.preprocess import to_tensor

# What lies between the bounds: everything that was seen, or what an average photograph has.
BOUNDS = ("widest", "mean")

# Steps whose results are pixels; the convolution after them is the first.
_PIXELS = ("input", "neighbour_residual", "as_pixels")


def measure_ranges(
    detector: Detector,
    photographs: str | Path,
    *,
    split: str = "validation",
    count: int = 64,
    bounds: str = "widest",
    every_layer: bool = False,
    progress: bool = False,
) -> RangesRecord:
    """The ranges of a detector on photographs of one split, evenly chosen over the files, each at its own size.

    photographs: folder of numbered files; the split goes by file number (data/photos.py), "all" for every one.
    bounds: one of BOUNDS.  every_layer: the first convolution in whole numbers too.
    Raises ProtocolError for a detector that is not a torch module or has no identity, DataError for a folder without photographs.
    """
    if not isinstance(detector.network, nn.Module) or detector.weights_sha256 is None:
        raise ProtocolError(f"Detector {detector.name} has no weights file. Expected one of list_detectors(), or a weights file.")
    refuse_test_images(photographs, purpose="Measuring ranges of activations")
    files = evenly(split_files(photographs, split), count)
    with bar(files, desc="ranges", shown=progress) as watched:
        images = (to_tensor(np.ascontiguousarray(to_rgb_array(path))) for path in watched)
        ranges = activation_ranges(detector.network, images, bounds=bounds, every_layer=every_layer)
    return RangesRecord(detector=detector.name, weights_sha256=detector.weights_sha256, images=len(files), split=split, ranges=ranges)


def activation_ranges(
    network: nn.Module, images: Iterable[Tensor], *, bounds: str = "widest", every_layer: bool = False
) -> dict[str, tuple[float, float]]:
    """Bounds of every activation that an int8 engine rounds, by the name of its step.

    images: normalised float32 [3, H, W] of any size.
    """
    parts = dict(members(network))
    recorders = {prefix: _recorder(one, every_layer) for prefix, one in parts.items() if len(parts) == 1 or has_form(one)}
    with torch.inference_mode():
        for image in images:
            for recorder in recorders.values():
                recorder.run(image[None])
    found = {}
    for prefix, recorder in recorders.items():
        for name, pairs in recorder.found.items():
            low, high = np.array(pairs).T  # [images] each
            found[prefix + name] = (float(low.min()), float(high.max())) if bounds == "widest" else (float(low.mean()), float(high.mean()))
    return found


def _recorder(network: nn.Module, every_layer: bool) -> _Recorder:
    return _Recorder(fx.GraphModule(network, traced(network)), _rounded(network, every_layer))


def _rounded(network: nn.Module, every_layer: bool) -> set[str]:
    """Names of the activations that are rounded, where they are maps of several channels.

    A convolution to one channel is a linear function of evidence: it costs next to nothing in float.
    """
    steps = folded(trace(network))
    readers = [step for step in steps if step.kind == "add" or (step.kind == "conv" and len(step.weights["weight"]) > 1)]
    read = {name for step in readers for name in step.inputs if isinstance(name, str)}
    return read if every_layer else read - {step.name for step in steps if step.kind in _PIXELS}


class _Recorder(fx.Interpreter):
    """Runs a network and keeps the extremes of what passes the named steps, image by image."""

    def __init__(self, module: fx.GraphModule, wanted: set[str]) -> None:
        super().__init__(module)
        self.wanted = wanted
        self.found: dict[str, list[tuple[float, float]]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        # The graph's own name of its input may be another than "images".
        name = "images" if n.op == "placeholder" else n.name
        # Evidence is not rounded: photographs do not show how far fakes reach, and bounds would cut their logits off.
        if name in self.wanted and result.ndim == 4 and result.shape[1] > 1:
            self.found.setdefault(name, []).append((float(result.min()), float(result.max())))
        return result
