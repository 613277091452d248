"""Image classifiers of the Hugging Face Hub as detectors: input, output and weights as their own files state them.

A repository that ``cnndetect detectors push`` did not write is taken if it holds a classifier of transformers in safetensors whose
two classes say which of them is fake. Code from a repository is never run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cnndetect.detectors.adapter import Adapter
from cnndetect.detectors.base import Detector
from cnndetect.detectors.published.extras import need
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.files import read_record, sha256_of
from cnndetect.transforms.inputs import Input

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
FILES = (CONFIG, PROCESSOR, WEIGHTS)

# Words of class names, as they are used on the Hub.
FAKE = frozenset({"fake", "ai", "artificial", "synthetic", "generated", "aigenerated", "deepfake", "gan", "machine"})
REAL = frozenset({"real", "human", "hum", "natural", "nature", "authentic", "photo", "photograph", "realism"})
_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # PIL's numbers
_ELSE = "Declare it yourself: see docs/own-model.md."


class _Logits(nn.Module):
    """The network of transformers, its answer without the wrapper: [N, 3, H, W] -> [N, 2]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(pixel_values=images).logits


def load_classifier(folder: Path, *, name: str, device: str) -> Detector:
    """The detector of a folder with FILES. Raises WeightsError, ProtocolError that say what is missing or not understood."""
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        raise WeightsError(f"{name} has no {', '.join(missing)}. Expected a classifier of transformers in safetensors. {_ELSE}")
    config, processor = (
        read_record(folder / file, dict[str, Any], what="the JSON of a classifier", advice=_ELSE, error=WeightsError)
        for file in (CONFIG, PROCESSOR)
    )
    labels = {int(key): str(value) for key, value in config.get("id2label", {}).items()}
    output, prepare = orientation(labels), stated_input(processor)
    transformers = need("transformers", extra="peers", what=name)
    try:
        model = transformers.AutoModelForImageClassification.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{name} is no classifier that transformers loads ({line}). {_ELSE}") from error
    digests = [sha256_of(folder / file) for file in FILES]
    record = {"address": name, "labels": labels, "transform": prepare.words(), "licence": "see its page", "trained_on": "see its page"}
    return Detector(
        name, Adapter(_Logits(model), prepare, output), weights_sha256=digests[-1], device=device, record=record,
        identity=hashlib.sha256("\n".join(digests).encode()).hexdigest(),
    )  # fmt: skip


def orientation(labels: Mapping[int, str]) -> str:
    """Which output of adapter.OUTPUTS two classes are, from their names. Raises ProtocolError where these do not tell.

    >>> orientation({0: "artificial", 1: "human"}), orientation({0: "Real", 1: "AI-generated"})
    ('fake-real', 'real-fake')
    """
    kinds = {index: (bool(_words(name) & FAKE), bool(_words(name) & REAL)) for index, name in labels.items()}
    if kinds == {0: (True, False), 1: (False, True)}:
        return "fake-real"
    if kinds == {0: (False, True), 1: (True, False)}:
        return "real-fake"
    raise ProtocolError(f"The classes {dict(labels)} do not say which one is fake. Expected two, such as real and fake. {_ELSE}")


def stated_input(processor: Mapping[str, Any]) -> Input:
    """The Input that a preprocessor_config.json states. Raises ProtocolError for what Input cannot do.

    >>> stated_input({"size": {"height": 224, "width": 224}, "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}).resize
    (224, 224)
    """
    try:
        size = processor.get("size") if processor.get("do_resize", True) else None
        resize, crop = _sides(size), None
        if isinstance(resize, int) and "crop_pct" in processor:  # ConvNeXt's: short side, then crop; whole from 384 px on
            resize, crop = (int(resize / processor["crop_pct"]), resize) if resize < 384 else ((resize, resize), None)
        if processor.get("do_center_crop"):
            found = _sides(processor["crop_size"])
            crop = found if isinstance(found, int) or found is None else found[0]
        if processor.get("do_rescale", True) and abs(processor.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
            raise ValueError(f"rescale_factor {processor['rescale_factor']}")
        normal = processor.get("do_normalize", True)
        mean, std = (processor["image_mean"], processor["image_std"]) if normal else ((0.0,) * 3, (1.0,) * 3)
        return Input(resize, crop, _three(mean), _three(std), _RESAMPLING[processor.get("resample", 2)], "down")
    except (KeyError, ValueError, TypeError) as error:
        raise ProtocolError(f"Its {PROCESSOR} states an input that is not understood ({error!r}). {_ELSE}") from error


def _three(values: Any) -> tuple[float, float, float]:
    """One number per channel, or one for all."""
    red, green, blue = [values] * 3 if isinstance(values, (int, float)) else values
    return float(red), float(green), float(blue)


def _sides(size: Any) -> int | tuple[int, int] | None:
    """One number: the short side."""
    if size is None:
        return None
    if isinstance(size, int):
        return (size, size)
    return int(size["shortest_edge"]) if "shortest_edge" in size else (int(size["height"]), int(size["width"]))


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.lower())) | {re.sub(r"[^a-z]", "", name.lower())}
