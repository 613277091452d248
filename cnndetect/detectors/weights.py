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

from cnndetect.detectors.packed import unpack
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


_EIGHT = "eight ProGANs of this project (bedroom, cat, clothing, dog, house_front, kitchen, monkey, scene; 128 px)"

WEIGHTS: dict[str, WeightsRecord] = {
    record.name: record
    for record in (
        WeightsRecord(
            name="progan8-r50-bj01",
            file="progan8-r50-bj01.safetensors",
            sha256="f8c7784f38fd1bbb079153152d1397e08c220f6ce3327a2e7661ee52feb28017",
            architecture="ResNet-50 v1.5, one logit; six bits a weight in large tensors, eight in others",
            protocol="nocrop",
            recipe="mini-blur-jpeg-0.1 with crop_px=64; Adam 1e-4 for two epochs of 16,000 images, 1e-5 for a third, batch 64",
            training_data=f"{_EIGHT}: 8000 of 23312 fakes and as many photographs, whole, mirrored and as native JPEG crops; "
            "validated on 2367 and 2367 of other photographs and seeds",
            progan_only=True,
            seed=0,
            initialisation="file progan2-r50-bj01.safetensors (sha256 "
            "1d131a5ab74af552161d84ac0526bff6d608b41427fa5f22dcdfbf7df0beff43), fc from the file: the detector of the first campaign, from "
            "random weights, which saw ProGANs of cat and scene",
            threshold_logit=-0.641804963350296,
            temperature=0.6774255548782039,
            licence="Apache-2.0",
            note="Chosen over the same training without augmentation by AP on 1,000 validation images, clean and as JPEG 75 together "
            "(0.99976 against 0.99964); see docs/campaign-detectors.md. Before packing: SHA-256 "
            "1f2703b093bb58c7275a75176dc32e0919d7d0ab2453216846348fe895efee1b. Packing moved validation logits by 0.43 on average. "
            "Threshold and temperature were fitted after packing, on the same images and degradations, at most 5 % false alarms.",
        ),
        WeightsRecord(
            name="progan8-npr",
            file="progan8-npr.safetensors",
            sha256="60190cb2fd45fdb3f638944ded722adb404fbc31c06182e27d0a1865645be78c",
            architecture="NPR: neighbouring pixel relationships, residual trunk of 1.4 M weights, one logit; int8 per output channel",
            protocol="nocrop",
            recipe="mini-npr with crop_px=64; Adam 2e-4, batch 32, no blur, no JPEG; one epoch of 24,000 images",
            training_data=f"{_EIGHT}: 12000 of 23312 fakes and as many photographs, whole, mirrored and as native JPEG crops; "
            "validated on 500 and 500 of other photographs and seeds",
            progan_only=True,
            seed=0,
            initialisation="random (seed 0), fc.weight ~ N(0, 0.02)",
            threshold_logit=0.2777063697576523,
            temperature=0.9467447708689457,
            licence="Apache-2.0",
            network="npr",
            note="617 s on one shared core; see docs/campaign-detectors.md. Int8 moved validation logits by 0.13 on average and their AP "
            "not at all. Threshold and temperature were fitted after packing, on 1,000 validation images, clean and as JPEG 75.",
        ),
        WeightsRecord(
            name="progan8-fusion",
            file="progan8-fusion.json",
            sha256="2a32ad85b603fabaa0fef9a52497024c48ce306ea3b73bbd0dc2c492003bfb24",
            architecture="weighted sum of the logits of progan8-r50-bj01 and progan8-npr",
            protocol="nocrop",
            recipe="logistic regression of the members' logits on ProGAN validation images (cnndetect.detectors.fusion)",
            training_data="that of its members; the sum on 1,000 of their validation images, clean and as JPEG 75",
            progan_only=True,
            seed=0,
            initialisation="that of its members",
            threshold_logit=0.46171039247582346,
            temperature=0.7819687926382676,
            licence="Apache-2.0",
            network="fusion",
            note="Two weights and a bias were fitted; no test image took part. See docs/campaign-detectors.md.",
        ),
    )
}

# The detector that score() and the bench use when none is named.
DEFAULT_DETECTOR = "progan8-r50-bj01"


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
