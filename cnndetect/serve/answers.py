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
    """The detector that answered. band: None where it has no threshold."""

    name: str
    title: str | None
    weights_sha256: str | None
    protocol: str
    band: Band | None


class Piece(Struct, frozen=True):
    """The part of a picture that was looked at, in pixels of the upright picture."""

    left: int
    top: int
    width: int
    height: int


class Score(Struct, frozen=True):
    """One picture. fakeness: sigmoid of the logit; it ranks.  calibrated: by the frozen threshold and temperature, where there are any.

    piece: what was scored of a picture with more pixels than the server takes, None for a whole picture.
    verdict: None for a detector without a threshold.  meaning: what that says, in a sentence or two.
    """

    name: str
    width: int
    height: int
    piece: Piece | None
    logit: float
    fakeness: float
    calibrated: float | None
    verdict: Verdict | None
    meaning: str


class Failure(Struct, frozen=True):
    """One picture of a batch that has no score. error: a word for programs.  message: what was given, what was expected."""

    name: str
    error: str
    message: str


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
    """Where the logit comes from. layer: PNG with transparency as a data URI.  low, high: the map's extremes, in logits.

    method: "cam", the mean of the map is the logit; "occlusion", the fall of the logit where a square is covered.
    """

    layer: str
    method: Literal["cam", "occlusion"]
    low: float
    high: float
    words: str


class Profile(Struct, frozen=True):
    """Mean log magnitude over circles of equal frequency. frequency: cycles a pixel."""

    frequency: list[float]
    picture: list[float]
    photographs: list[float] | None


class Spectrum(Struct, frozen=True):
    """Spectra after a high-pass filter, PNG data URIs on one scale. photographs: their mean, None where no suite is installed."""

    side_px: int
    squares: int
    picture: str
    photographs: str | None
    photographs_count: int
    profile: Profile


class ExamineAnswer(Struct, frozen=True):
    """A score with what can be shown of it. preview: the scored piece, reduced for the screen.  notes: what could not be made, and why."""

    detector: Used
    image: Score
    preview: str
    heat: Heat | None
    spectrum: Spectrum | None
    notes: list[str]


class Redelivered(Struct, frozen=True):
    """The score after one kind of re-delivery. name: of the degradation.  change: of the logit."""

    name: str
    words: str
    logit: float
    fakeness: float
    change: float
    verdict: Verdict | None


class RedeliveryAnswer(Struct, frozen=True):
    """What re-delivery does to a score; the first row is the picture as it is. piece: as in Score."""

    detector: Used
    piece: Piece | None
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
    """A bundled picture. url: where its file is.  words: what it is."""

    url: str
    name: str
    words: str


class ExamplesAnswer(Struct, frozen=True):
    """Bundled pictures, none where no suite is installed."""

    examples: list[ExampleRow]


class HealthAnswer(Struct, frozen=True):
    """The server is up. busy: requests that have a place.  places: how many there are."""

    status: Literal["ok"]
    version: str
    detector: str
    busy: int
    places: int


class ErrorAnswer(Struct, frozen=True):
    """Why a request was refused. error: a word for programs.  message: a sentence for people."""

    error: str
    message: str
