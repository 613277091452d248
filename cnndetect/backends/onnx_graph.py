"""A network as an ONNX graph with dynamic height and width, written from its torch.fx trace.

Batch norms are folded into the convolutions before them. With ranges of its activations the graph computes in whole numbers of
eight bits. Weights that are stored as whole numbers (detectors/packed.py) enter it as they are and are not rounded again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from cnndetect.backends.ranges import Ranges
from cnndetect.backends.tracing import Step, folded, trace
from cnndetect.detectors.calibration import Calibrated
from cnndetect.detectors.fusion import Fusion
from cnndetect.detectors.networks.efficientnet import PIXEL_MEAN, PIXEL_STEP
from cnndetect.errors import ProtocolError
from cnndetect.transforms.preprocess import IMAGENET_MEAN, IMAGENET_STD

OPSET = 17


def to_onnx(network: nn.Module, *, ranges: Ranges | None = None, levels: bool = False, name: str = "detector") -> onnx.ModelProto:
    """The network as ONNX: ``images`` float32 [N, 3, H, W] -> ``logits`` float32 [N].

    images: normalised; with ``levels`` what ``as_levels`` makes of them, whole numbers that bfloat16 holds without rounding.
    ranges: of activations (ranges.py); with them convolutions compute in eight bits.
    Raises ProtocolError for a network whose operations have no ONNX form here.
    """
    graph = _Graph(ranges or {}, levels)
    logits = graph.network(network, "images", prefix="")
    graph.add("Identity", [logits], output="logits")
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, "H", "W"])
    result = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N"])
    proto = helper.make_graph(graph.nodes, name, [images], [result], initializer=graph.constants)
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9, producer_name="cnndetect")


def as_levels(images: Tensor) -> Tensor:
    """Normalised images as grey levels less the rounded mean of their channel: float32 [N, 3, H, W], whole numbers."""
    mean, deviation = (torch.tensor(values).view(3, 1, 1) * 255 for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images * deviation + mean).round_().sub_(mean.round())


class _Graph:
    """Nodes and constants that were written so far."""

    def __init__(self, ranges: Ranges, levels: bool) -> None:
        self.levels = levels
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.ranges = ranges

    def add(self, kind: str, inputs: list[str], *, output: str | None = None, **attributes: Any) -> str:
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def network(self, network: nn.Module, images: str, *, prefix: str) -> str:
        """Write a whole network; returns the name of its logits [N]."""
        if isinstance(network, Calibrated):
            logits = self.network(network.network, images, prefix=prefix)
            moved = self.add("Sub", [logits, self.constant(network.threshold)])
            return self.add("Div", [moved, self.constant(network.temperature)])
        if isinstance(network, Fusion):
            columns = [self.network(one, images, prefix=f"{prefix}{index}.") for index, one in enumerate(network.networks)]
            # In double precision, as the fusion itself.
            wide = [self.add("Cast", [column], to=TensorProto.DOUBLE) for column in columns]
            parts = [self.add("Mul", [one, self.constant(weight, np.float64)]) for one, weight in zip(wide, network.weights, strict=True)]
            total = self.add("Add", [self.add("Sum", parts), self.constant(network.bias, np.float64)])
            return self.add("Cast", [total], to=TensorProto.FLOAT)
        values: dict[str, str] = {}
        steps = folded(trace(network))
        for step in _on_levels(steps) if self.levels else steps:
            values[step.name] = self._step(step, [values.get(one, one) if isinstance(one, str) else one for one in step.inputs], images)
            if prefix + step.name in self.ranges:
                values[step.name] = self._eight_bits(values[step.name], *self.ranges[prefix + step.name])
        return values["output"]

    def _step(self, step: Step, inputs: list[Any], images: str) -> str:
        if step.kind == "input":
            return images
        if step.kind == "output":
            return inputs[0]
        if step.kind in _WRITERS:
            return _WRITERS[step.kind](self, step, inputs)
        raise ProtocolError(f"The operation {step.kind} of {step.name} has no ONNX form here. Use --backend torch.")

    def _eight_bits(self, value: str, low: float, high: float) -> str:
        """Round to 256 steps from low to high; zero, the padding of convolutions, stays zero."""
        low, high = min(low, 0.0), max(high, 1e-6)
        scale = (high - low) / 255
        pair = [self.constant(scale), self.constant(round(-low / scale), np.uint8)]
        return self.add("DequantizeLinear", [self.add("QuantizeLinear", [value, *pair]), *pair])

    def weights(self, weights: Tensor, *, rounded: bool) -> str:
        """A constant, in whole numbers where the activations are."""
        if not rounded:
            return self.constant(weights.numpy())
        steps, scale = exact_steps(weights)
        zeros = self.constant(np.zeros(len(scale)), np.int8)
        return self.add("DequantizeLinear", [self.constant(steps.numpy(), np.int8), self.constant(scale.numpy()), zeros], axis=0)


def exact_steps(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [C, ...] as whole numbers, int8, and a scale per channel; exact where they were packed that way.

    Folding a batch norm multiplies a channel by a factor, which changes only its scale.
    """
    flat = weights.double().flatten(1)
    largest = flat.abs().amax(dim=1, keepdim=True).clamp(min=1e-30)
    for steps in (127, 31):
        whole = flat / largest * steps
        if (whole - whole.round()).abs().max() < 1e-3:
            break
    else:
        steps = 127
        whole = flat / largest * steps
    return whole.round().to(torch.int8).view(weights.shape), (largest / steps).flatten().float()


def _on_levels(steps: list[Step]) -> list[Step]:
    """The same steps for images that are levels: the normalisation goes into the convolution that reads them.

    Its zero padding is the rounded mean then, at most half a level from the mean itself.
    """
    mean, deviation = (torch.tensor(values, dtype=torch.float64) * 255 for values in (IMAGENET_MEAN, IMAGENET_STD))
    residuals = {step.name for step in steps if step.kind == "neighbour_residual" and step.inputs == ("images",)}
    readers = [step for step in steps if {"images", *residuals} & {one for one in step.inputs if isinstance(one, str)}]
    if any(step.kind not in ("conv", "neighbour_residual", "as_pixels") for step in readers):
        raise ProtocolError("The images enter more than convolutions here, so that an engine would round them. Use --precision float32.")
    result = []
    for step in steps:
        if step.kind == "conv" and step in readers:
            weight = step.weights["weight"].double() / deviation.view(1, 3, 1, 1)
            changed = {"weight": weight.float()}
            if step.inputs[0] == "images":  # a residual has no offset
                offset = (weight.sum(dim=(2, 3)) * (mean.round() - mean)).sum(dim=1)
                changed["bias"] = (step.weights.get("bias", torch.zeros(len(weight))).double() + offset).float()
            step = replace(step, weights={**step.weights, **changed})
        result.append(step)
    return result


def _convolution(graph: _Graph, step: Step, inputs: list[Any]) -> str:
    layer = step.layer
    assert isinstance(layer, nn.Conv2d)
    pads = [*layer.padding, *layer.padding]
    # Where the input is not rounded, as that of the first convolution, the weights are not either; nor are those of evidence.
    rounded = inputs[0].startswith("dequantizelinear") and len(step.weights["weight"]) > 1
    names = [inputs[0], graph.weights(step.weights["weight"], rounded=rounded)]
    if "bias" in step.weights:
        names.append(graph.constant(step.weights["bias"].numpy()))
    return graph.add(
        "Conv", names, kernel_shape=list(layer.kernel_size), strides=list(layer.stride), pads=pads,
        dilations=list(layer.dilation), group=layer.groups,
    )  # fmt: skip


def _linear(graph: _Graph, step: Step, inputs: list[Any]) -> str:
    names = [graph.constant(step.weights[key].numpy()) for key in ("weight", "bias")]
    return graph.add("Gemm", [inputs[0], *names], transB=1)


def _batch_norm(graph: _Graph, step: Step, inputs: list[Any]) -> str:
    factor, offset = (step.weights[key].numpy().reshape(-1, 1, 1) for key in ("weight", "bias"))
    return graph.add("Add", [graph.add("Mul", [inputs[0], graph.constant(factor)]), graph.constant(offset)])


def _max_pool(graph: _Graph, step: Step, inputs: list[Any]) -> str:
    size, stride, pad = (step.options[key] for key in ("kernel_size", "stride", "padding"))
    return graph.add("MaxPool", [inputs[0]], kernel_shape=[size] * 2, strides=[stride] * 2, pads=[pad] * 4)


def _mean(graph: _Graph, step: Step, inputs: list[Any]) -> str:
    return graph.add("ReduceMean", [inputs[0]], axes=list(step.options["dim"]), keepdims=int(step.options.get("keepdim", False)))


def _squeeze(graph: _Graph, step: Step, inputs: list[Any]) -> str:
    return graph.add("Squeeze", [inputs[0], graph.constant([step.options["dim"]], np.int64)])


def _column(graph: _Graph, step: Step, inputs: list[Any]) -> str:
    return graph.add("Gather", [inputs[0], graph.constant(step.options["index"], np.int64)], axis=1)


def _residual(graph: _Graph, step: Step, inputs: list[Any]) -> str:
    """neighbour_residual of detectors/networks/npr.py."""
    (images,) = inputs
    zeros, sides, two = (graph.constant(value, np.int64) for value in ([0, 0], [2, 3], [2, 2]))
    size = graph.add("Slice", [graph.add("Shape", [images]), graph.constant([2], np.int64), graph.constant([4], np.int64)])
    even = graph.add("Mul", [graph.add("Div", [size, two]), two])
    cells = graph.add("Slice", [images, zeros, even, sides])
    corners = graph.add("Slice", [cells, zeros, even, sides, two])
    scales = graph.constant([1, 1, 2, 2])
    wide = graph.add(
        "Resize", [corners, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )  # fmt: skip
    return graph.add("Mul", [graph.add("Sub", [cells, wide]), graph.constant(2 / 3)])


def _pixels(graph: _Graph, step: Step, inputs: list[Any]) -> str:
    """as_pixels of detectors/networks/efficientnet.py."""
    mean, deviation = (np.array(values).reshape(3, 1, 1) * 255 for values in (IMAGENET_MEAN, IMAGENET_STD))
    factor, offset = (np.ones_like(mean), mean.round()) if graph.levels else (deviation, mean)
    scaled = graph.add("Mul", [inputs[0], graph.constant(factor / PIXEL_STEP)])
    return graph.add("Add", [scaled, graph.constant((offset - PIXEL_MEAN) / PIXEL_STEP)])


def _elementwise(kind: str) -> Callable[[_Graph, Step, list[Any]], str]:
    def write(graph: _Graph, step: Step, inputs: list[Any]) -> str:
        return graph.add(kind, [one if isinstance(one, str) else graph.constant(one) for one in inputs])

    return write


_WRITERS: dict[str, Callable[[_Graph, Step, list[Any]], str]] = {
    "conv": _convolution,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "max_pool": _max_pool,
    "mean": _mean,
    "squeeze": _squeeze,
    "column": _column,
    "neighbour_residual": _residual,
    "as_pixels": _pixels,
    "relu": lambda graph, step, inputs: graph.add("Relu", inputs),
    "relu6": lambda graph, step, inputs: graph.add("Clip", [inputs[0], graph.constant(0.0), graph.constant(6.0)]),
    "same": lambda graph, step, inputs: inputs[0],
    "flatten": lambda graph, step, inputs: graph.add("Flatten", inputs, axis=1),
    "global_mean": lambda graph, step, inputs: graph.add("GlobalAveragePool", inputs),
    "add": _elementwise("Add"),
    "sub": _elementwise("Sub"),
    "mul": _elementwise("Mul"),
    "div": _elementwise("Div"),
}
