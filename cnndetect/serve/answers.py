"""The answers of the server as records. The JSON and the OpenAPI document are both made from these classes."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Verdict = Literal["real", "unsure", "fake"]


class Band(Struct, frozen=True):
    """The thresholds of the verdict as fakeness: real below the one, fake above the other, unsure between them."""

    real_below: float
    fake_above: float


class Used(Struct, frozen=True):
    """The detector that answered."""

    name: str
    title: str | None
    weights_sha256: str | None
    protocol: str
    band: Band | None  # None where it has no threshold


class Piece(Struct, frozen=True):
    """The part of a picture that was looked at, in pixels of the upright picture."""

    left: int
    top: int
    width: int
    height: int


class Score(Struct, frozen=True):
    """One picture."""

    name: str
    width: int
    height: int
    piece: Piece | None  # what was scored of a picture with more pixels than the server takes, None for a whole picture
    logit: float
    fakeness: float  # sigmoid of the logit; it ranks
    calibrated: float | None  # by the frozen threshold and temperature, where there are any
    verdict: Verdict | None  # None for a detector without a threshold
    meaning: str  # what that says, in a sentence or two


class Failure(Struct, frozen=True):
    """One picture of a batch that has no score."""

    name: str
    error: str  # a word for programs
    message: str  # what was given, what was expected


class ScoreAnswer(Struct, frozen=True):
    """One picture and its score."""

    detector: Used
    image: Score


class BatchAnswer(Struct, frozen=True):
    """Every picture of a batch, in the order given: in ``images`` or, where it failed, in ``failed``."""

    detector: Used
    images: list[Score]
    failed: list[Failure]


class Heat(Struct, frozen=True):
    """Where the logit comes from."""

    layer: str  # PNG with transparency as a data URI
    # "cam", the mean of the map is the logit; "occlusion", the fall of the logit where a square is covered
    method: Literal["cam", "occlusion"]
    low: float  # low, high: the map's extremes, in logits
    high: float
    words: str


class Profile(Struct, frozen=True):
    """Mean log magnitude over circles of equal frequency."""

    frequency: list[float]  # cycles a pixel
    picture: list[float]
    photographs: list[float] | None


class Spectrum(Struct, frozen=True):
    """Spectra after a high-pass filter, PNG data URIs on one scale."""

    side_px: int
    squares: int
    picture: str
    photographs: str | None  # their mean, None where no suite is installed
    photographs_count: int
    profile: Profile


class ExamineAnswer(Struct, frozen=True):
    """A score with what can be shown of it."""

    detector: Used
    image: Score
    preview: str  # the scored piece, reduced for the screen
    heat: Heat | None
    spectrum: Spectrum | None
    notes: list[str]  # what could not be made, and why


class Redelivered(Struct, frozen=True):
    """The score after one kind of re-delivery."""

    name: str  # of the degradation
    words: str
    logit: float
    fakeness: float
    change: float  # of the logit
    verdict: Verdict | None


class RedeliveryAnswer(Struct, frozen=True):
    """What re-delivery does to a score; the first row is the picture as it is."""

    detector: Used
    piece: Piece | None  # as in Score
    rows: list[Redelivered]


class DetectorRow(Struct, frozen=True):
    """A detector that can be asked for by name."""

    name: str
    title: str | None
    default: bool


class DetectorsAnswer(Struct, frozen=True):
    """Every detector, the default first."""

    detectors: list[DetectorRow]


class ExampleRow(Struct, frozen=True):
    """A bundled picture."""

    url: str  # where its file is
    name: str
    words: str  # what it is


class ExamplesAnswer(Struct, frozen=True):
    """Bundled pictures, none where no suite is installed."""

    examples: list[ExampleRow]


class HealthAnswer(Struct, frozen=True):
    """The server is up."""

    status: Literal["ok"]
    version: str
    detector: str
    busy: int  # requests that have a place
    places: int  # how many there are


class ErrorAnswer(Struct, frozen=True):
    """Why a request was refused."""

    error: str  # a word for programs
    message: str  # a sentence for people
