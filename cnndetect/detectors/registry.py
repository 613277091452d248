"""Loads detectors: from a name, a file, a saved folder, the Hugging Face Hub, a factory or a callable."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from cnndetect.detectors.base import Detector
from cnndetect.detectors.classifiers import FILES, load_classifier
from cnndetect.detectors.fusion import Fusion, Member, read_fusion
from cnndetect.detectors.hub import SCHEME, fetch_files, is_ours, is_saved, open_saved, saved_name
from cnndetect.detectors.networks import DEFAULT_NETWORK, architecture_of, unfilled
from cnndetect.detectors.networks.resnext import in_class_order
from cnndetect.detectors.official import OFFICIAL, OfficialRecord, fetched_official, is_fetched, official_names, recognise
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.published.fetching import find_weights, is_here
from cnndetect.detectors.published.loading import load_published
from cnndetect.detectors.published.record import Published
from cnndetect.detectors.records import FUSION, WeightsRecord, record_beside, registered
from cnndetect.detectors.run_record import run_beside
from cnndetect.detectors.weights import DEFAULT_DETECTOR, fit_state, load_state, registered_file
from cnndetect.errors import ProtocolError, WeightsError, lookup
from cnndetect.files import sha256_of

SUFFIXES = (".pth", ".pt", ".safetensors", ".json")

DetectorLike = str | Path | Detector | Callable | None


def list_detectors() -> list[str]:
    """Names that ``load`` takes: the bundled detectors, the default first, then official and published ones that were fetched."""
    bundled = sorted(registered(), key=lambda name: (name != DEFAULT_DETECTOR, name))
    fetched = [name for name, record in OFFICIAL.items() if is_fetched(record)]
    return bundled + fetched + [name for name, record in PUBLISHED.items() if is_here(record)]


def load(detector: DetectorLike = None, *, device: str | None = None) -> Detector:
    """A Detector, ready to score.

    detector: a registered name (None: the default), an official one such as "wang2020-blur-jpg-0.1", a published one such as
    "npr" once it was fetched, "NAME=FILE" for a published one with the user's copy of its weights, "hf://USER/REPO[@REVISION]" or
    a folder that ``detectors save`` wrote, a weights file of any architecture of networks.py, a fusion's JSON file,
    ``package.module:factory``, any callable [N, 3, H, W] -> [N], or a Detector.
    device: "cpu", "cuda" ...; None is CUDA where there is one.
    Raises UnknownNameError, WeightsError, ProtocolError, DownloadError.

    >>> load(lambda images: images.mean(dim=(1, 2, 3)), device="cpu").name
    '<lambda>'
    """
    device = choose_device(device)
    if detector is None:
        detector = DEFAULT_DETECTOR
    if isinstance(detector, Detector):
        # An engine was built for one device.
        return replace(detector, device=device, engine=detector.engine if device == detector.device else None)
    if callable(detector):
        return _wrap(detector, getattr(detector, "__name__", type(detector).__name__), device)
    text = str(detector)
    name, copy = _split(text)
    if name in PUBLISHED:
        return load_published(find_weights(PUBLISHED[name], copy), device=device)
    if is_saved(text):
        if not is_ours(text):
            return load_classifier(fetch_files(text, FILES), name=saved_name(text), device=device)
        saved = open_saved(text)
        found = _from_file(saved.weights, device)
        return replace(found, name=saved_name(text), record={**found.record, "address": text} if text.startswith(SCHEME) else found.record)
    if _is_file(text):
        return _from_file(Path(text), device)
    if ":" in text:
        factory = _factory(text)
        network = factory()
        return _wrap(network, name_of(text), device, identity=_identity(factory, network))
    return _from_registry(text, device)


def name_of(detector: str | Path | None) -> str:
    """The name that ``load`` gives, without loading; a factory that returns a Detector may choose its own.

    Raises UnknownNameError for an unknown name, WeightsError for a file that does not exist.

    >>> name_of("package.module:factory")
    'package.module.factory'
    """
    text = str(DEFAULT_DETECTOR if detector is None else detector)
    if _split(text)[0] in PUBLISHED:
        return _split(text)[0]
    if is_saved(text):
        return saved_name(text)
    if _is_file(text):
        path = Path(text)
        if not path.is_file():
            raise WeightsError(f"{path} does not exist. Expected a weights file: {', '.join(SUFFIXES)}.")
        # The trainer calls its best weights "best"; the run's name is the folder's.
        return path.resolve().parent.name if path.stem == "best" else path.stem.removesuffix(FUSION)
    return text.replace(":", ".") if ":" in text else _record(text).name


def choose_device(device: str | None) -> str:
    """The device named, or CUDA where there is one. Raises ProtocolError where torch cannot use it."""
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ProtocolError(f"Device {device!r} cannot be used here ({str(error).splitlines()[0]}). Try device='cpu'.") from error
    return device


def _record(name: str) -> WeightsRecord | OfficialRecord:
    table: dict[str, WeightsRecord | OfficialRecord | Published] = {**registered(), **official_names(), **PUBLISHED}
    return cast(WeightsRecord | OfficialRecord, lookup("detector", table, name))


def _split(text: str) -> tuple[str, str | None]:
    """The name and the user's copy of NAME=FILE, where NAME is published; else the text as it is."""
    name, mark, copy = text.partition("=")
    return (name, copy) if mark and name in PUBLISHED else (text, None)


def _from_registry(name: str, device: str) -> Detector:
    record = _record(name)
    if isinstance(record, OfficialRecord):
        path, digest = fetched_official(record)
        network = _network(path, DEFAULT_NETWORK)
        return Detector(
            name=record.name, network=network, protocol=record.protocol, weights_sha256=digest, progan_only=record.progan_only,
            device=device, record=asdict(record),
        )  # fmt: skip
    path = registered_file(record)
    network = _fusion(path, device)[0] if path.suffix == ".json" else _network(path, record.network)
    return _recorded(record.name, network, record, device)


def _recorded(name: str, network: Callable, record: WeightsRecord, device: str) -> Detector:
    """The detector of a network and the record of its weights."""
    return Detector(
        name=name, network=network, protocol=record.protocol, threshold_logit=record.threshold_logit, temperature=record.temperature,
        weights_sha256=record.sha256, progan_only=record.progan_only, device=device, record=record.as_plain(),
    )  # fmt: skip


def _from_file(path: Path, device: str) -> Detector:
    name = name_of(path)  # says so where the file is missing
    digest = sha256_of(path)
    record = record_beside(path, digest)
    if path.suffix.lower() == ".json":
        fusion, members = _fusion(path, device)
        if record:
            return _recorded(name, fusion, record, device)
        known, fitted = [member.progan_only for member in members], read_fusion(path)
        return Detector(
            name=name, network=fusion, threshold_logit=fitted.threshold_logit, temperature=fitted.temperature, weights_sha256=digest,
            progan_only=None if None in known else all(known), device=device, record=asdict(fitted),
        )  # fmt: skip
    network = _network(path, record.network if record else None)
    official = recognise(path, digest)
    if official:
        return Detector(name=name, network=network, weights_sha256=digest, progan_only=True, device=device, record=asdict(official))
    if record:
        return _recorded(name, network, record, device)
    run = run_beside(path, digest)
    threshold = None if run is None else run.threshold_logit
    return Detector(name=name, network=network, threshold_logit=threshold, weights_sha256=digest, device=device)


def _fusion(path: Path, device: str) -> tuple[Fusion, list[Detector]]:
    """The network of a fusion's JSON file, and its members. Raises WeightsError where a member is not the one that was fitted."""

    def checked(member: Member) -> Detector:
        beside = path.parent / member.detector
        found = load(beside if beside.is_file() else member.detector, device=device)
        if found.weights_sha256 != member.weights_sha256:
            raise WeightsError(
                f"{path} was fitted with {member.detector} of SHA-256 {member.weights_sha256}, and this one has "
                f"{found.weights_sha256}. Restore that file, or fit the fusion again."
            )
        return found

    record = read_fusion(path)
    members = [checked(member) for member in record.members]
    return Fusion([member.network for member in members], [member.weight for member in record.members], record.bias), members


def _network(path: Path, name: str | None = None) -> nn.Module:
    """The network of a weights file: of the architecture named, or of the one whose names and shapes the file has."""
    state = load_state(path)
    name = name or architecture_of(state) or DEFAULT_NETWORK
    network = unfilled(name)
    fit_state(network, in_class_order(path, state) if name == "resnext101" else state, source=path.name)
    return network


def _is_file(text: str) -> bool:
    return text not in registered() and text not in OFFICIAL and (text.lower().endswith(SUFFIXES) or Path(text).is_file())


def _factory(spec: str) -> Callable:
    module_name, _, attribute = spec.partition(":")
    # The working directory is where a user's own module lies; python -m has it on the path, console scripts do not.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise WeightsError(
            f"{spec!r} cannot be imported ({error}). Expected package.module:factory, a function without arguments."
        ) from error
    if not callable(factory):
        raise WeightsError(f"{spec!r} is a {type(factory).__name__}. Expected a function without arguments that returns a detector.")
    return factory


def _wrap(network: object, name: str, device: str, *, identity: str | None = None) -> Detector:
    if isinstance(network, Detector):
        return replace(network, device=device)
    if not callable(network):
        raise ProtocolError(f"{name} gave a {type(network).__name__}. Expected a callable [N, 3, H, W] -> [N], or a Detector.")
    return Detector(name, network, device=device, identity=identity)


def _identity(factory: Callable, network: object) -> str | None:
    """SHA-256 of the weights, the layers and the source of a factory's Module; None where these cannot be seen.

    A plain function may read weights from anywhere, so nothing proves that it is the function of another run.
    """
    if not isinstance(network, nn.Module):
        return None
    digest = hashlib.sha256(str(network).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    written: list[Callable] = [factory, *map(type, network.modules())]
    try:
        sources = {inspect.getsourcefile(thing) for thing in written}
        for content in sorted(Path(source).read_bytes() for source in sources if source):
            digest.update(content)
    except (OSError, TypeError):
        return None
    return digest.hexdigest()
