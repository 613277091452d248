"""Loads a published detector from the user's copy of its weights. A file that does not fit is refused, and what does not fit is named.

A checkpoint is only data. It is read with weights_only=True, which runs no code, and its keys are looked up, never evaluated: a key
that is not a parameter of the network is an error that names it.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cnndetect.detectors.adapter import Adapter
from cnndetect.detectors.base import Detector
from cnndetect.detectors.published.record import Present, Published, State, WeightFile
from cnndetect.detectors.weights import fit_state
from cnndetect.errors import WeightsError
from cnndetect.files import sha256_of
from cnndetect.paths import weights_root

# Where checkpoints of the field keep their state; a plain state dict has none of these.
_WRAPPERS = ("model", "state_dict", "netC", "model_state_dict")


def load_published(present: Present, *, device: str = "cpu") -> Detector:
    """The detector of checked files, ready to score. Raises WeightsError where a file does not fit its network."""
    record = present.record
    network = record.build()
    # A package has loaded its own files, whose checksums were compared.
    for path in present.paths if record.package is None else ():
        fill(network, record, read_state(path), source=path.name)
    return Detector(
        record.name, Adapter(network, record.prepare, record.output), weights_sha256=present.sha256, progan_only=record.progan_only,
        device=device, record=record.as_plain(),
    )  # fmt: skip


def fill(network: nn.Module, record: Published, state: State, *, source: str) -> None:
    """Copy a checkpoint's state into a network: renamed, strict, nothing added, nothing dropped. Raises WeightsError."""
    # Before renaming, which need not understand what it is given.
    strange = [key for key in state if not _is_name(key)]
    if strange:
        raise WeightsError(
            f"{source} has a key that is no parameter's name: {strange[0][:80]!r}. Expected names of {record.title}; do not use this file."
        )
    renamed = record.convert(state) if record.convert else {record.renamed(key): value for key, value in state.items()}
    if len(renamed) != len(state):
        raise WeightsError(f"{source} names one tensor of {record.title} twice. Expected each once; fetch it again.")
    part = network.get_submodule(record.part) if record.part else network
    fit_state(part, renamed, source=source)


def read_state(path: str | Path) -> State:
    """Tensors by name from .pth, .pt, .ckpt, .safetensors or Keras's .h5. Raises WeightsError; runs nothing of the file."""
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} does not exist. Expected a weights file.")
    readers: dict[str, Callable[[Path], object]] = {".safetensors": load_file, ".h5": _read_h5}
    try:
        content = readers.get(path.suffix.lower(), _read_pickle)(path)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(
            f"{path} cannot be read as weights ({lines[0]}). Expected tensors only; a file that needs code of its own to load is refused."
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path} holds no state dict. Expected tensors by name, plain or under one of {', '.join(_WRAPPERS)}.")
    state = {str(key).removeprefix("module."): value for key, value in content.items()}
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def checked(record: Published, weights: str | Path) -> Present:
    """The user's own copy: a file, or a folder with several. Size and checksums are compared where they are known."""
    given = Path(weights)
    if len(record.files) > 1 and not given.is_dir():
        names = ", ".join(file.name for file in record.files)
        raise WeightsError(f"{record.name} has {len(record.files)} files: {names}. Expected a folder that holds them, got {given}.")
    paths = tuple(given / file.name if given.is_dir() else given for file in record.files)
    for path, file in zip(paths, record.files, strict=True):
        check_file(path, file)
    return Present(record, paths, _joined(record, [sha256_of(path) for path in paths]))


def known_sha256(record: Published) -> str | None:
    """What ``checked`` gives for the authors' files; None where the record lacks the SHA-256 of one of them."""
    digests = [file.sha256 for file in record.files if file.sha256]
    return _joined(record, digests) if digests and len(digests) == len(record.files) else None


def _joined(record: Published, digests: list[str]) -> str:
    """One digest of a detector's files, whose digests are given, and of the files that ship for it."""
    every = [*digests, *(sha256_of(weights_root() / name) for name in record.ships)]
    return every[0] if len(every) == 1 else hashlib.sha256("\n".join(every).encode()).hexdigest()


def check_file(path: Path, file: WeightFile) -> None:
    """Raise WeightsError where a file is missing, or is another one than the record's."""
    if not path.is_file():
        raise WeightsError(f"{path} does not exist. Expected {file.name}: {file.place}.")
    size = path.stat().st_size
    if size < 400 and path.read_bytes().startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path} is a Git LFS pointer, not the file. Fetch it with: git lfs pull.")
    found = {"size": str(size)}
    expected = {"size": str(file.size) if file.size else None, "sha256": file.sha256, "md5": file.md5, "blob": file.blob}
    if file.sha256:
        found["sha256"] = sha256_of(path)
    if file.md5:
        found["md5"] = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if file.blob:
        found["blob"] = git_blob(path)
    for kind, wanted in expected.items():
        if wanted and found[kind] != wanted:
            raise WeightsError(f"{path} has {kind} {found[kind]}. Expected {wanted} of {file.name}; it is damaged or another file.")


def git_blob(path: Path) -> str:
    """SHA-1 of a file as git names it: of "blob SIZE", a zero byte and the content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _read_pickle(path: Path) -> object:
    # Trainers keep their command line beside the weights; a Namespace holds values and runs nothing.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_h5(path: Path) -> dict[str, Tensor]:
    """Arrays of a Keras file by their path in it."""
    from cnndetect.detectors.published.extras import need

    h5py = need("h5py", extra="peers", what=path.name)
    found: dict[str, Tensor] = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.__setitem__(name, torch.from_numpy(item[()])) if hasattr(item, "shape") else None)
    return found


def _is_name(key: str) -> bool:
    """Letters, digits, ``_``, ``.``, and in Keras's files ``/`` and ``:``."""
    return bool(key) and all(character.isalnum() or character in "_./:-" for character in key)
