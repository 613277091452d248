"""Weights files: how one is read, checked and copied into a network."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cnndetect.detectors.packed import unpack
from cnndetect.detectors.records import WeightsRecord
from cnndetect.errors import WeightsError
from cnndetect.files import sha256_of
from cnndetect.paths import weights_root

# The detector that score() and the bench use when none is named.
DEFAULT_DETECTOR = "fusion-progan"


def load_state(path: str | Path) -> dict[str, Tensor]:
    """The float32 state of a weights file, whatever its kind.

    path: our safetensors (float or int8), an official checkpoint (a dict with ``model``), or a plain state dict.
    Pickles are read with weights_only=True: a checkpoint cannot run code. Raises WeightsError.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} does not exist. Expected a weights file: .safetensors, .pth or .pt.")
    try:
        if path.suffix.lower() == ".safetensors":
            state = load_file(path)
        else:
            content: dict = torch.load(path, map_location="cpu", weights_only=True)
            state = content.get("model", content.get("state_dict", content)) if isinstance(content, dict) else content
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        raise WeightsError(
            f"{path} cannot be read as weights ({error}). The file is damaged or of another kind; fetch it again."
        ) from error
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict. Expected tensors by name, or a dict with the key 'model'.")
    # A network trained with DataParallel has every name behind "module.".
    try:
        return unpack({name.removeprefix("module."): value for name, value in state.items()})
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def fit_state(network: nn.Module, state: dict[str, Tensor], *, source: str) -> None:
    """Copy a state into a network, strictly. Raises WeightsError that names the keys which do not fit."""
    wanted = network.state_dict()
    # Files from before torch 0.4.1 do not count batches; the count is not used in evaluation.
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in wanted]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if missing or unexpected or shapes:
        raise WeightsError(
            f"{source} does not fit {type(network).__name__}. Missing ({len(missing)}): {missing[:4]}. Unexpected "
            f"({len(unexpected)}): {unexpected[:4]}. Other shape ({len(shapes)}): {shapes[:4]}. Expected its names and shapes."
        )
    network.load_state_dict(state, strict=False)


def registered_file(record: WeightsRecord) -> Path:
    """Path of a registered file whose SHA-256 was checked."""
    path = weights_root() / record.file
    if not path.is_file():
        raise WeightsError(f"The weights of {record.name} are not at {path}. Install the package again, or set CNNDETECT_WEIGHTS.")
    digest = sha256_of(path)
    if digest != record.sha256:
        raise WeightsError(f"{path} has SHA-256 {digest}. Expected {record.sha256}; the file is damaged, install the package again.")
    return path
