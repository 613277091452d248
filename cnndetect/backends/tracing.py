"""Trace a network with torch.fx and reduce it to the few operations that detectors are made of."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from cnndetect.detectors.calibration import Calibrated
from cnndetect.detectors.fusion import Fusion
from cnndetect.detectors.networks.efficientnet import as_pixels
from cnndetect.detectors.networks.npr import neighbour_residual
from cnndetect.errors import ProtocolError


@dataclass(frozen=True)
class Step:
    """One operation."""

    name: str
    """Of its result."""
    kind: str
    """Such as "conv", "add" or "mean"."""
    inputs: tuple[Any, ...]
    """Names of results before it, tensors or numbers."""
    layer: nn.Module | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def trace(network: nn.Module) -> list[Step]:
    """The steps of a network in evaluation mode, input first, output last. Raises ProtocolError for an operation that is not known here.

    A network whose ``forward`` depends on the size of its images has a method ``whole`` that does not.
    """
    graph = traced(network)
    constants = {str(node.target): _attribute(network, str(node.target)) for node in graph.nodes if node.op == "get_attr"}
    try:
        return [_step(node, network, constants) for node in graph.nodes if node.op != "get_attr"]
    except (KeyError, TypeError, ValueError) as error:  # a known operation, called in a way that is not, such as mean() over everything
        raise ProtocolError(f"{type(network).__name__} has no form outside torch here ({type(error).__name__}: {error}).") from error


def has_form(network: nn.Module) -> bool:
    """Whether a network consists of operations that are known here."""
    try:
        trace(network)
    except ProtocolError:
        return False
    return True


def formless(network: nn.Module) -> list[str]:
    """Types of the networks that a network sums or calibrates and that have no form outside torch."""
    return [type(one).__name__ for _, one in members(network) if not has_form(one)]


def traced(network: nn.Module) -> fx.Graph:
    """The torch.fx graph of a network. Raises ProtocolError where it cannot be traced."""

    class Tracer(fx.Tracer):
        traced_func_name = "whole" if hasattr(network, "whole") else "forward"

    try:
        return Tracer(autowrap_functions=(neighbour_residual, as_pixels)).trace(network)
    except Exception as error:  # noqa: BLE001  tracing runs the network's own code on stand-ins
        raise ProtocolError(f"{type(network).__name__} cannot be traced ({type(error).__name__}: {error}).") from error


def members(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The networks that a network sums or calibrates, with the prefix of their steps in an ONNX graph."""
    if isinstance(network, Calibrated):
        yield from members(network.network, prefix)
    elif isinstance(network, Fusion):
        for index, one in enumerate(network.networks):
            yield from members(one, f"{prefix}{index}.")
    else:
        yield prefix, network


def folded(steps: list[Step]) -> list[Step]:
    """The same with every batch norm inside the convolution before it."""
    readers = [str(one) for step in steps for one in step.inputs]
    by_name = {step.name: step for step in steps}
    result: dict[str, Step] = {}
    for step in steps:
        before = by_name.get(str(step.inputs[0])) if step.inputs else None
        if step.kind != "batch_norm" or before is None or before.kind != "conv" or readers.count(before.name) != 1:
            result[step.name] = step
            continue
        del result[before.name]
        factor, offset = step.weights["weight"], step.weights["bias"]
        weight = before.weights["weight"] * factor.view(-1, 1, 1, 1)
        bias = before.weights["bias"] * factor + offset if "bias" in before.weights else offset
        result[step.name] = replace(before, name=step.name, weights={"weight": weight, "bias": bias})
    return list(result.values())


def _step(node: fx.Node, network: nn.Module, constants: dict[str, Tensor]) -> Step:
    inputs = tuple(_value(one, constants) for one in node.args)
    if node.op == "placeholder":
        return Step("images", "input", ())
    if node.op == "output":
        return Step("output", "output", inputs)
    if node.op == "call_module":
        return _layer(node.name, inputs, network.get_submodule(str(node.target)))
    kind, read = _FUNCTIONS.get(node.target, (None, None))
    if kind is None:
        raise ProtocolError(f"{type(network).__name__} uses {node.target} ({node.name}), which has no form outside torch here.")
    count = 2 if kind in ("add", "sub", "mul", "div") else 1
    return Step(node.name, kind, inputs[:count], options=read(node) if read else {})


def _value(argument: Any, constants: dict[str, Tensor]) -> Any:
    if not isinstance(argument, fx.Node):
        return argument
    if argument.op == "placeholder":
        return "images"
    return constants[str(argument.target)] if argument.op == "get_attr" else argument.name


def _attribute(network: nn.Module, target: str) -> Tensor:
    owner, _, name = target.rpartition(".")
    return getattr(network.get_submodule(owner), name).detach().float().cpu()


def _layer(name: str, inputs: tuple[Any, ...], layer: nn.Module) -> Step:
    weights = {key: value.detach().float().cpu() for key, value in layer.named_parameters()}
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return Step(name, "conv", inputs, layer, weights)
    if isinstance(layer, nn.Linear) and layer.bias is not None:
        return Step(name, "linear", inputs, layer, weights)
    if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None:
        mean, variance = layer.running_mean.double().cpu(), layer.running_var.double().cpu()
        factor = weights["weight"].double() / torch.sqrt(variance + layer.eps)
        return Step(
            name, "batch_norm", inputs, layer, {"weight": factor.float(), "bias": (weights["bias"].double() - mean * factor).float()}
        )
    if isinstance(layer, nn.MaxPool2d):
        return Step(name, "max_pool", inputs, options={key: getattr(layer, key) for key in ("kernel_size", "stride", "padding")})
    if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in (1, (1, 1)):
        return Step(name, "global_mean", inputs)
    if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) == (1, -1):
        return Step(name, "flatten", inputs)
    for kind, words in ((nn.ReLU, "relu"), (nn.ReLU6, "relu6"), (nn.Identity, "same"), (nn.Dropout, "same")):
        if isinstance(layer, kind):
            return Step(name, words, inputs)
    raise ProtocolError(f"A layer {type(layer).__name__} ({name}) has no form outside torch here.")


def _mean_options(node: fx.Node) -> dict[str, Any]:
    dim = node.args[1] if len(node.args) > 1 else node.kwargs["dim"]
    return {"dim": (dim,) if isinstance(dim, int) else tuple(dim), "keepdim": node.kwargs.get("keepdim", False)}  # type: ignore[arg-type]


def _dim_option(node: fx.Node) -> dict[str, Any]:
    return {"dim": node.args[1] if len(node.args) > 1 else node.kwargs["dim"]}


def _flatten_options(node: fx.Node) -> dict[str, Any]:
    dims = (*node.args[1:], *node.kwargs.values())
    if dims not in ((1,), (1, -1)):
        raise ProtocolError(f"The flattening of {dims} ({node.name}) has no form outside torch here.")
    return {}


def _column_option(node: fx.Node) -> dict[str, Any]:
    every, index = node.args[1] if isinstance(node.args[1], tuple) and len(node.args[1]) == 2 else (None, None)
    if every != slice(None) or not isinstance(index, int):
        raise ProtocolError(f"The selection {node.args[1]} ({node.name}) has no form outside torch here.")
    return {"index": index}


_FUNCTIONS: dict[Any, tuple[str, Callable[[fx.Node], dict[str, Any]] | None]] = {
    operator.add: ("add", None),
    operator.sub: ("sub", None),
    operator.mul: ("mul", None),
    operator.truediv: ("div", None),
    operator.getitem: ("column", _column_option),
    torch.add: ("add", None),
    torch.relu: ("relu", None),
    nn.functional.relu: ("relu", None),
    torch.flatten: ("flatten", _flatten_options),
    neighbour_residual: ("neighbour_residual", None),
    as_pixels: ("as_pixels", None),
    "mean": ("mean", _mean_options),
    "squeeze": ("squeeze", _dim_option),
    "flatten": ("flatten", _flatten_options),
    "relu": ("relu", None),
}
