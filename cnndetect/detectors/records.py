"""Records of weights files: one JSON file beside each, ``NAME.json`` beside ``NAME.safetensors``.

The commands that pack and calibrate weights write them, and the registry reads every record below ``paths.weights_root()``. A
new bundled detector is therefore a weights file and its record, and no change of code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from cnndetect import files
from cnndetect.errors import ProtocolError, WeightsError, lookup
from cnndetect.files import write_whole
from cnndetect.paths import weights_root

# What may stand before ".json" in a weights file that is JSON itself: a fusion (detectors/fusion.py).
FUSION = ".fusion"
# And before that of ranges of activations, which are no record either (backends/ranges.py).
RANGES = ".ranges"
NORMALISED = "RGB in [0, 1], ImageNet mean removed, divided by ImageNet deviation; never resized"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thresholds of a verdict, frozen on validation images: real below the one, fake above the other, unsure between them."""

    real_below_logit: float
    fake_above_logit: float


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The weights file that a packed one was made from, by its name and its SHA-256."""

    file: str
    sha256: str


class Packing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bits of a weight, and what they did to logits and AP of validation images, where that was measured."""

    bits: int
    images: int | None = None
    largest_difference: float | None = None
    mean_difference: float | None = None
    ap_before: float | None = None
    ap_after: float | None = None


class WeightsRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that must be known about a weights file before anyone trusts its numbers."""

    name: str  # of the detector: the stem of the record's file
    file: str  # of the weights, in the same folder
    sha256: str
    title: str = ""  # one line for tables and cards
    network: str = "resnet50"  # its name in detectors/networks; "fusion" for a JSON file of detectors/fusion.py
    architecture: str = ""  # in words, storage included
    protocol: str = "nocrop"  # how images enter: transforms/preprocess.py
    transform: str = NORMALISED
    training_data: str = ""
    progan_only: bool | None = None  # whether all fakes that it saw are ProGAN's; None where nobody knows
    resynthesised: bool = False  # whether some of them are photographs passed through a generator
    recipe: str = ""
    command: str = ""  # that trained it
    seed: int | None = None
    initialisation: str = ""
    threshold_logit: float | None = None  # fitted on validation images and frozen
    temperature: float | None = None  # likewise; detectors/calibration.py
    verdict: Verdict | None = None
    fitted_on: dict[str, Any] | None = None  # the images of threshold, temperature and verdict
    source: Source | None = None
    packing: Packing | None = None
    licence: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(f"temperature={self.temperature}, expected a number > 0")
        if self.verdict and not self.verdict.real_below_logit <= self.verdict.fake_above_logit:
            raise ValueError(f"verdict={self.verdict}, expected real_below_logit <= fake_above_logit")

    def as_plain(self) -> dict[str, Any]:
        """JSON values, in the order of the fields."""
        return msgspec.to_builtins(self)

    def save(self, folder: str | Path) -> Path:
        """Write ``NAME.json``, whole or not at all."""
        path = Path(folder) / f"{self.name}.json"
        write_whole(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        return path

    def changed(self, **fields: Any) -> WeightsRecord:
        """The record with some fields replaced. Raises UnknownNameError for a field, WeightsError for a value."""
        for name in fields:
            lookup("field of a weights record", dict.fromkeys(self.__struct_fields__), name)
        try:
            return msgspec.convert({**self.as_plain(), **fields}, WeightsRecord, strict=False)
        except msgspec.ValidationError as error:
            raise WeightsError(f"The record of {self.name} got {fields}: {error}.") from error


def read_record(path: str | Path) -> WeightsRecord:
    """The record of a JSON file. Raises WeightsError that names the field which is wrong."""
    path = Path(path)
    advice = "Make it again with: cnndetect detectors pack, or mend it."
    record = files.read_record(path, WeightsRecord, what="a weights record", advice=advice, error=WeightsError)
    if record.name != path.stem:
        raise WeightsError(f"{path} is the record of {record.name!r}. Expected the name of the file; rename one of the two.")
    return record


def record_path(weights: str | Path) -> Path | None:
    """Where the record of a weights file lies; None for a fusion that is called like a record itself.

    >>> record_path("a/mine.safetensors").as_posix(), record_path("a/sum.fusion.json").as_posix(), record_path("a/sum.json")
    ('a/mine.json', 'a/sum.json', None)
    """
    path = Path(weights)
    if path.suffix.lower() != ".json":
        return path.with_suffix(".json")
    return path.with_name(path.stem.removesuffix(FUSION) + ".json") if path.stem.endswith(FUSION) else None


def record_beside(weights: str | Path, digest: str) -> WeightsRecord | None:
    """The record beside a weights file where it is of these very bytes, else None. digest: their SHA-256."""
    path = record_path(weights)
    if path is None or not path.is_file():
        return None
    record = read_record(path)
    return record if record.file == Path(weights).name and record.sha256 == digest else None


def registered(folder: str | Path | None = None) -> dict[str, WeightsRecord]:
    """Every record of the bundled weights by name. folder: default paths.weights_root(). Raises WeightsError."""
    root = weights_root(folder)
    paths = sorted(path for path in root.glob("*.json") if not path.stem.endswith((FUSION, RANGES)))
    return {path.stem: read_record(path) for path in paths}


def parsed(words: list[str]) -> dict[str, str]:
    """Fields given as NAME=VALUE. Raises ProtocolError.

    >>> parsed(["title=Mine", "progan_only=true"])
    {'title': 'Mine', 'progan_only': 'true'}
    """
    pairs = [word.partition("=") for word in words]
    if any(not sign for _, sign, _ in pairs):
        raise ProtocolError(f"Got {' '.join(words)}. Expected NAME=VALUE, such as title='My detector'.")
    return {name: value for name, _, value in pairs}
