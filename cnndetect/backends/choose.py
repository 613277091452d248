"""Choose the engine that computes a detector's logits."""

from __future__ import annotations

import platform
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from cnndetect.backends.memory import give_back, keep_few_kernels
from cnndetect.backends.ranges import Ranges, stored_ranges
from cnndetect.detectors.base import KEPT, Detector, Engine
from cnndetect.detectors.calibration import Calibrated
from cnndetect.detectors.fusion import Fusion
from cnndetect.detectors.networks.strips import whole_pixels_of
from cnndetect.errors import ProtocolError, lookup
from cnndetect.files import versions
from cnndetect.kept import kept_record
from cnndetect.metrics.calibration import calibrate
from cnndetect.transforms.preprocess import to_tensor

# The largest difference from a logit of torch that counts as none.
EXACT = 1e-4

# Each backend, with the packages that it needs beside torch.
BACKENDS: dict[str, tuple[str, ...]] = {
    "auto": (),
    "torch": (),
    "onnxruntime": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
    "compile": (),
}

# Each precision, with the backends that have it on a CPU, the fastest first; "auto" never compiles.
PRECISIONS: dict[str, tuple[str, ...]] = {
    "float32": ("onnxruntime", "openvino", "torch", "compile"),
    "bfloat16": ("openvino", "torch"),
    "int8": ("onnxruntime", "openvino"),
}

# An engine gets no more pixels at once; larger images go through the network itself, in strips.
CHUNK_PIXELS = 600_000

Run = Callable[[Tensor], Tensor]


def accelerated(detector: Detector, backend: str = "auto", precision: str = "float32", *, ranges: Ranges | None = None) -> Detector:
    """The same detector with an engine that computes its logits; its network is kept for everything that looks inside it.

    backend, precision: a name of BACKENDS and one of PRECISIONS. A detector in bfloat16 or int8 has both in its name and in its
    identity, so that its scores are never taken for those of the reference.  ranges: of activations, for int8; those stored with
    the weights if None.
    Raises UnknownNameError, and ProtocolError where a backend that was named is not installed, does not have this precision, has
    no form of this network, or gives other logits.

    >>> accelerated(Detector("mine", lambda images: images.mean(dim=(1, 2, 3)))).backend
    'torch'
    """
    lookup("backend", BACKENDS, backend)
    lookup("precision", PRECISIONS, precision)
    keep_few_kernels()  # before torch computes what an engine is compared with
    on_cpu = torch.device(detector.device).type == "cpu"
    if precision == "float32":
        if backend == "torch":
            return replace(detector, engine=None)
        if backend == "auto":
            # A network without an identity may be in training: what an engine keeps of its weights would grow old.
            known = detector.identity is not None and isinstance(detector.network, nn.Module)
            return _kept_fastest(detector) if known and on_cpu and detector.engine is None else detector
    if backend == "auto":
        backend = next((one for one in PRECISIONS[precision] if installed(one)), PRECISIONS[precision][0]) if on_cpu else "torch"
    _check(detector, backend, precision, on_cpu)
    assert isinstance(detector.network, nn.Module)
    ranges = (ranges or stored_ranges(detector)) if precision == "int8" else None
    run = _built(detector.network, backend, precision, ranges)
    give_back()  # what writing and reading the graph took
    if BACKENDS[backend]:
        run = _whole_or_chunks(detector.network, run)
    if precision == "float32":
        off = _kept_difference(detector, backend, run)
        if not off <= EXACT:
            raise ProtocolError(f"{backend} gives {detector.name} logits that differ by {off:.2g} from torch's. Use --backend torch.")
        return replace(detector, engine=Engine(run, backend, precision))
    label = f"{backend}-{precision}"
    identity = None if detector.identity is None else f"{detector.identity} {label}"
    return replace(detector, engine=Engine(run, backend, precision), name=f"{detector.name}+{label}", identity=identity)


def installed(backend: str) -> bool:
    """Whether the packages of a backend can be imported."""
    return all(find_spec(package) for package in BACKENDS[backend])


def _kept_fastest(detector: Detector) -> Detector:
    """The detector with its fastest exact engine, built once and again when its weights have changed since."""
    assert isinstance(detector.network, nn.Module)
    tensors = chain(detector.network.parameters(), detector.network.buffers())
    weights = tuple((one.data_ptr(), 0 if one.is_inference() else one._version) for one in tensors)
    state = (weights, torch.get_num_threads())
    kept = detector.__dict__.get(KEPT)
    if kept is None or kept[0] != state:
        kept = state, _fastest_exact(detector)
        detector.__dict__[KEPT] = kept
    return kept[1]


def _fastest_exact(detector: Detector) -> Detector:
    for backend in PRECISIONS["float32"]:
        if backend == "torch":
            break
        if installed(backend):
            try:
                return accelerated(detector, backend)
            except ProtocolError as error:
                if "differ by" in str(error):
                    warnings.warn(f"{error} torch computes its logits.".replace(" Use --backend torch.", ""), stacklevel=3)
                break  # an operation that no engine has
    return detector


def _check(detector: Detector, backend: str, precision: str, on_cpu: bool) -> None:
    if backend not in PRECISIONS[precision]:
        have = ", ".join(PRECISIONS[precision])
        raise ProtocolError(f"Backend {backend!r} does not compute in {precision}. Expected one of: {have}.")
    if not on_cpu and backend not in ("torch", "compile"):
        raise ProtocolError(f"Backend {backend!r} runs on the CPU, and {detector.name} is on {detector.device}. Use --device cpu.")
    if not isinstance(detector.network, nn.Module):
        raise ProtocolError(f"Detector {detector.name} is not a torch module, so that {backend!r} cannot read it. Use --backend torch.")
    if not installed(backend):
        raise ProtocolError(f"Backend {backend!r} is not installed. Run: pip install {' '.join(BACKENDS[backend])}")


def _whole_or_chunks(network: nn.Module, run: Run) -> Run:
    """The engine on a few images at a time; an image that needs strips goes through the network itself."""

    def call(images: Tensor) -> Tensor:
        pixels = images.shape[2] * images.shape[3]
        if pixels > whole_pixels_of(network):
            return network(images)
        count = max(CHUNK_PIXELS // pixels, 1)
        return torch.cat([run(chunk).reshape(len(chunk)) for chunk in images.split(count)])

    return call


def _built(network: nn.Module, backend: str, precision: str, ranges: Ranges | None) -> Run:
    # Each engine is imported when it is used: none of them is needed for torch's.
    if backend == "compile":
        from cnndetect.backends.torch_engines import compiled

        return compiled(network)
    if backend == "torch":
        from cnndetect.backends.torch_engines import autocast

        return autocast(network)
    if isinstance(network, Calibrated):
        inner = _built(network.network, backend, precision, ranges)
        return lambda images: calibrate(inner(images), threshold=network.threshold, temperature=network.temperature)
    if isinstance(network, Fusion):
        return _member_by_member(network, backend, precision, ranges)
    from cnndetect.backends.onnx_graph import as_levels, to_onnx

    # OpenVINO computes in bfloat16 what it does not compute in int8: grey levels survive that, normalised ones do not.
    levels = backend == "openvino" and precision != "float32"
    model = to_onnx(network, ranges=ranges, levels=levels).SerializeToString()
    if backend == "openvino":
        from cnndetect.backends.openvino_engine import openvino_engine

        run = openvino_engine(model, bfloat16=levels)
    else:
        from cnndetect.backends.onnxruntime_engine import onnxruntime_engine

        run = onnxruntime_engine(model)
    return (lambda images: run(as_levels(images))) if levels else run


def _member_by_member(network: Fusion, backend: str, precision: str, ranges: Ranges | None) -> Run:
    """An engine for every member that has a form outside torch; torch computes the others. Raises ProtocolError where none has."""
    from cnndetect.backends.tracing import has_form

    def built_or_torch(index: int, one: nn.Module) -> Run:
        prefix = f"{index}."
        own = ranges and {name.removeprefix(prefix): pair for name, pair in ranges.items() if name.startswith(prefix)}
        try:
            return _built(one, backend, precision, own)
        except ProtocolError:
            if has_form(one):
                raise
            return one

    runs = [built_or_torch(index, one) for index, one in enumerate(network.networks)]
    if all(run is one for run, one in zip(runs, network.networks, strict=True)):
        raise ProtocolError(f"No member of this sum has a form in {backend} here. Use --backend torch.")
    return lambda images: network.fused([run(images).reshape(len(images)) for run in runs]).float()


def probe() -> Tensor:
    """Two fixed images of noise, normalised: float32 [2, 3, 96, 80]."""
    rng = np.random.default_rng(0)
    return torch.stack([to_tensor(rng.integers(0, 256, (96, 80, 3), dtype=np.uint8)) for _ in range(2)])


def _kept_difference(detector: Detector, backend: str, run: Run) -> float:
    """``_difference``, measured once for the same weights, packages and kind of processor: it takes longer than writing the graph."""
    if detector.identity is None or not BACKENDS[backend]:
        return _difference(detector, run)
    # Have been imported, to write the graph and to run it.
    code = [sys.modules[f"cnndetect.backends.{name}"] for name in ("choose", "onnx_graph", "tracing", f"{backend}_engine")]
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    made_from = [detector.identity, backend, processor, *(f"{name} {one}" for name, one in versions().items())]
    return kept_record("engines", made_from, code, lambda: _difference(detector, run), float)


def _difference(detector: Detector, run: Run) -> float:
    """The largest difference from a logit of torch on the fixed images."""
    images = probe().to(detector.device)
    expected = replace(detector, engine=None).logits(images)
    with torch.inference_mode():
        difference = (run(images).reshape(len(images)).float().cpu() - expected).abs().max()
    return float(difference) if torch.isfinite(difference) else float("inf")
