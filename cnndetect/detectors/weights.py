"""The weights registry, and how a weights file becomes a state that fits."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cnndetect.detectors.quantize import unpack
from cnndetect.errors import WeightsError
from cnndetect.paths import weights_root


@dataclass(frozen=True)
class WeightsRecord:
    """All that must be known about a weights file before anyone trusts its numbers.

    file: name below weights/.  protocol: how images enter (transforms/preprocess.py).  threshold_logit: balanced
    accuracy on the validation split, frozen.  progan_only: nothing but ProGAN fakes were seen.  network: its name in
    networks.py; "fusion" for a JSON file (fusion.py).  temperature: see calibration.py, None where it was not fitted.
    """

    name: str
    file: str
    sha256: str
    architecture: str
    protocol: str
    recipe: str
    training_data: str
    progan_only: bool
    seed: int
    initialisation: str
    threshold_logit: float
    licence: str
    note: str
    transform: str = "RGB in [0, 1], ImageNet mean removed, divided by ImageNet deviation; never resized"
    network: str = "resnet50"
    temperature: float | None = None


WEIGHTS: dict[str, WeightsRecord] = {
    record.name: record
    for record in (
        WeightsRecord(
            name="progan2-r50-bj01",
            file="progan2-r50-bj01.safetensors",
            sha256="1d131a5ab74af552161d84ac0526bff6d608b41427fa5f22dcdfbf7df0beff43",
            architecture="ResNet-50 v1.5, one logit; six bits a weight in large tensors, eight in others",
            protocol="nocrop",
            recipe="mini-blur-jpeg-0.1 with crop_px=64; Adam 1e-4, batch 64; stopped by its budget of 1860 s after 15 whole epochs",
            training_data="two ProGANs of this project (cat, scene; 128 px): 2240 fakes and 2240 photographs, "
            "validated on 280 and 280 of other photographs and seeds",
            progan_only=True,
            seed=0,
            initialisation="random (seed 0), fc.weight ~ N(0, 0.02)",
            threshold_logit=1.2896875739097595,
            temperature=0.9989822722345861,
            licence="Apache-2.0",
            note="Best of epochs 0 to 15 by validation accuracy (epoch 13), crops of 64 px; see docs/campaign-mini.md. Before packing: "
            "SHA-256 4d827c22591023c80cb518002b45449a9588d1f261a1371fd6d5c282e87529aa. Packing moved validation logits by 0.27 on "
            "average and their AP (0.99999) not in seven digits; threshold and temperature were fitted after packing.",
        ),
        WeightsRecord(
            name="progan2-npr",
            file="progan2-npr.safetensors",
            sha256="33344cbc73d248f9935144627cef501304059a52bdf134503d1e69d4b88060d0",
            architecture="NPR: neighbouring pixel relationships, residual trunk of 1.4 M weights, one logit; int8 per output channel",
            protocol="nocrop",
            recipe="mini-npr with crop_px=64; Adam 2e-4, batch 32, no blur, no JPEG; stopped by its budget of 240 s after one whole epoch",
            training_data="two ProGANs of this project (cat, scene; 128 px): 2240 fakes and 2240 photographs, "
            "validated on 280 and 280 of other photographs and seeds",
            progan_only=True,
            seed=0,
            initialisation="random (seed 0)",
            threshold_logit=-0.38614916801452637,
            temperature=1.3509777837422112,
            licence="Apache-2.0",
            network="npr",
            note="The better of two epochs by validation accuracy (epoch 0, 171 s on one shared core). Int8 moved validation logits by "
            "0.04 on average and their AP not at all.",
        ),
    )
}

# The detector that score() and the bench use when none is named.
DEFAULT_DETECTOR = "progan2-r50-bj01"


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
        for key in wanted if key in state and state[key].shape != wanted[key].shape
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
    digest = file_sha256(path)
    if digest != record.sha256:
        raise WeightsError(f"{path} has SHA-256 {digest}. Expected {record.sha256}; the file is damaged, install the package again.")
    return path


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, remembered while its size and time stay the same."""
    path = Path(path)
    status = path.stat()
    return _sha256(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=32)
def _sha256(path: str, size: int, time_ns: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
