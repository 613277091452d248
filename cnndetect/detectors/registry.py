"""From a name, a file, a factory or a callable to a Detector."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

from cnndetect.detectors.base import Detector
from cnndetect.detectors.resnet import resnet50_one_logit
from cnndetect.detectors.weights import DEFAULT_DETECTOR, WEIGHTS, file_sha256, fit_state, load_state, registered_file
from cnndetect.errors import ProtocolError, WeightsError, lookup

SUFFIXES = (".pth", ".pt", ".safetensors")

DetectorLike = str | Path | Detector | Callable | None


def list_detectors() -> list[str]:
    """Names of the bundled detectors, the default first."""
    return sorted(WEIGHTS, key=lambda name: (name != DEFAULT_DETECTOR, name))


def load(detector: DetectorLike = None, *, device: str | None = None) -> Detector:
    """A Detector, ready to score.

    detector: a registered name (None: the default), a ResNet-50 weights file, ``package.module:factory``, any callable
    [N, 3, H, W] -> [N], or a Detector.  device: "cpu", "cuda" ...; None is CUDA where there is one.
    Raises UnknownNameError, WeightsError, ProtocolError.

    >>> load(lambda images: images.mean(dim=(1, 2, 3)), device="cpu").name
    '<lambda>'
    """
    device = choose_device(device)
    if detector is None:
        detector = DEFAULT_DETECTOR
    if isinstance(detector, Detector):
        return replace(detector, device=device)
    if callable(detector):
        return _wrap(detector, getattr(detector, "__name__", type(detector).__name__), device)
    text = str(detector)
    if text not in WEIGHTS and (text.endswith(SUFFIXES) or Path(text).is_file()):
        return _from_file(Path(text), device)
    if ":" in text:
        return _wrap(_factory(text)(), text.replace(":", "."), device)
    return _from_registry(text, device)


def choose_device(device: str | None) -> str:
    """The device named, or CUDA where there is one. Raises ProtocolError where torch cannot use it."""
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ProtocolError(f"Device {device!r} cannot be used here ({str(error).splitlines()[0]}). Try device='cpu'.") from error
    return device


def _from_registry(name: str, device: str) -> Detector:
    record = lookup("detector", WEIGHTS, name)
    network = resnet50_one_logit()
    fit_state(network, load_state(registered_file(record)), source=record.file)
    return Detector(
        name, network, record.protocol, record.threshold_logit, record.sha256, record.progan_only, device, asdict(record)
    )


def _from_file(path: Path, device: str) -> Detector:
    network = resnet50_one_logit()
    fit_state(network, load_state(path), source=str(path))
    # A run folder of ours has the record beside the weights; only the frozen threshold is taken from it.
    beside = path.with_name("record.json")
    record = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    name = path.parent.name if path.stem == "best" else path.stem
    return Detector(name, network, threshold_logit=record.get("threshold_logit"), weights_sha256=file_sha256(path), device=device)


def _factory(spec: str) -> Callable:
    module_name, _, attribute = spec.partition(":")
    # The working directory is where a user's own module lies; python -m has it on the path, console scripts do not.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise WeightsError(
            f"{spec!r} cannot be imported ({error}). Expected package.module:factory, a function without arguments."
        ) from error


def _wrap(network: object, name: str, device: str) -> Detector:
    if isinstance(network, Detector):
        return replace(network, device=device)
    if not callable(network):
        raise ProtocolError(f"{name} gave a {type(network).__name__}. Expected a callable [N, 3, H, W] -> [N], or a Detector.")
    return Detector(name, network, device=device)
