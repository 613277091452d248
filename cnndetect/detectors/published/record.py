"""The record of a published detector: architecture, weights files and checksums, preprocessing, and how it was compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cnndetect.detectors.adapter import OUTPUTS, Prepare
from cnndetect.errors import ProtocolError
from cnndetect.transforms.inputs import Input

State = dict[str, Tensor]


@dataclass(frozen=True)
class WeightFile:
    """A weights file that the authors published. A checksum is None where none is known."""

    name: str
    place: str  # where the authors put it, in words
    urls: tuple[str, ...] = ()  # addresses a program can read, none where only a browser reaches the place
    size: int | None = None  # bytes
    sha256: str | None = None
    blob: str | None = None  # its SHA-1 as a git object
    md5: str | None = None
    member: str | None = None  # the file inside, where the place gives an archive

    @property
    def proof(self) -> str:
        """The strongest checksum that is known, in words."""
        for kind in ("sha256", "md5", "blob"):
            if getattr(self, kind):
                return f"{kind} {getattr(self, kind)}"
        return "no checksum known"


@dataclass(frozen=True)
class Published:
    """A detector that somebody published, as its authors test it."""

    name: str
    title: str
    paper: str
    code: str
    licence: str
    trained_on: str
    architecture: str
    files: tuple[WeightFile, ...]
    build: Callable[[], nn.Module] = field(repr=False)  # a fresh network; a backbone such as CLIP comes with its weights
    prepare: Prepare = field(repr=False)  # an Input, or a function of the adapter
    # largest difference of a logit from the authors' code on the same images, relative above 1; or why it was not compared
    compared: float | str
    output: str = "logit"  # a name of adapter.OUTPUTS
    words: str = ""  # what ``prepare`` does, for tables
    prefixes: tuple[tuple[str, str], ...] = ()  # of keys, (in the file, in the network), the first that fits counts
    # from the state of the file to that of the network, for the layout of another framework; prefixes are not used then
    convert: Callable[[State], State] | None = field(default=None, repr=False)
    part: str = ""  # the attribute of the network that the file fills, "" for all of it
    extra: str | None = None  # what must be installed besides, None where nothing
    package: str | None = None  # the Python package that is the detector; its files lie in it, and ``build`` calls it
    ships: tuple[str, ...] = ()  # files below paths.weights_root() that this project adds; they are part of the detector's identity
    backbone: str | None = None
    progan_only: bool = False  # whether it saw ProGAN images alone
    millions: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            raise ProtocolError(f"{self.name} has output={self.output!r}. Expected one of {', '.join(OUTPUTS)}.")
        if not self.words:
            if not isinstance(self.prepare, Input):
                raise ProtocolError(f"{self.name} prepares images by a function of its own and does not say how. Give words.")
            object.__setattr__(self, "words", self.prepare.words())

    def renamed(self, key: str) -> str:
        """What the network calls a tensor of the file."""
        for theirs, ours in self.prefixes:
            if key.startswith(theirs):
                return ours + key.removeprefix(theirs)
        return key

    def named_by_authors(self, key: str) -> str:
        """What the file calls a tensor of the network."""
        for theirs, ours in self.prefixes:
            if key.startswith(ours):
                return theirs + key.removeprefix(ours)
        return key

    @property
    def orientation(self) -> str:
        """Which end of the output is fake."""
        return {
            "logit": "one logit, high is fake",
            "logit-of-real": "one logit, low is fake",
            "probability": "one probability of fake",
            "probability-of-real": "one probability of real",
            "real-fake": "two classes, the second is fake",
            "fake-real": "two classes, the first is fake",
        }[self.output]

    def as_plain(self) -> dict[str, Any]:
        """Everything but the functions, for JSON."""
        plain = (
            "name", "title", "paper", "code", "licence", "trained_on", "architecture", "compared", "orientation", "words",
            "extra", "package", "backbone", "progan_only", "millions", "note",
        )  # fmt: skip
        files = [{key: value for key, value in vars(file).items() if value} for file in self.files]
        known = {key: getattr(self, key) for key in plain if getattr(self, key) not in (None, "")}
        return {**known, "files": files}


@dataclass(frozen=True)
class Present:
    """A detector's files on this machine, checked."""

    record: Published
    paths: tuple[Path, ...]
    sha256: str
