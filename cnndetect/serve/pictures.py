"""Uploaded files as arrays, and their scores in words. Everything here runs in the one worker thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from cnndetect.detectors.base import Detector
from cnndetect.errors import FormatError, ImageError, ProtocolError
from cnndetect.images import open_stored, to_rgb_array
from cnndetect.metrics.calibration import calibrate
from cnndetect.scoring import score_stream
from cnndetect.serve.answers import BatchAnswer, Failure, Piece, Redelivered, RedeliveryAnswer, Score, ScoreAnswer, Verdict
from cnndetect.serve.limits import Limits, Refusal
from cnndetect.serve.shelf import used
from cnndetect.serve.uploads import Upload
from cnndetect.transforms.degrade import degrade

# What a site, a messenger or an editor may do to a picture, by the names of transforms/degrade.py.
REDELIVERIES = {
    "none": "as it is",
    "jpeg_90": "JPEG, quality 90",
    "jpeg_75": "JPEG, quality 75",
    "jpeg_50": "JPEG, quality 50",
    "webp_80": "WebP, quality 80",
    "webp_50": "WebP, quality 50",
    "resize_0.75": "three quarters of the size",
    "resize_0.5": "half the size",
}

# Eight passes through the network: a piece of this many pixels keeps them to some seconds.
REDELIVERED_PIXELS = 512 * 512

MEANINGS: dict[str | None, str] = {
    "fake": "Above the detector's threshold: it finds traces like those of the generators that it was trained on. "
    "Some photographs score as high, so this alone proves nothing.",
    "real": "Below the detector's threshold: it finds no traces that it knows. This does not show that the picture is a photograph: "
    "resizing and compression remove traces, and other generators leave other ones.",
    "unsure": "Between the detector's two thresholds, where real and fake validation images both lie: it cannot tell.",
    None: "This detector has no threshold. Its score puts pictures in order; of one picture alone it says little.",
}


@dataclass(frozen=True)
class Picture:
    """A decoded upload."""

    name: str
    array: np.ndarray  # uint8 [H, W, 3], the piece that is looked at
    width: int  # of the whole upright picture
    height: int  # likewise
    piece: Piece | None  # None for all of it


def open_picture(upload: Upload, limits: Limits) -> Picture:
    """Decode one file. Raises Refusal: 415 for what is no image, 422 for one that is damaged or has too many pixels."""
    try:
        width, height = open_stored(upload.content).size
        if width * height > limits.decoded_pixels:
            given = f"{upload.name} has {width}x{height} = {width * height:,} pixels"
            advice = "Crop it, because resizing removes the traces."
            raise Refusal(422, "too_many_pixels", f"{given}. Expected at most {limits.decoded_pixels:,}. {advice}")
        array = to_rgb_array(upload.content)
    except (ImageError, MemoryError) as error:
        status, word = (415, "not_an_image") if isinstance(error, FormatError) else (422, "damaged_image")
        reason = str(error).replace(f"The image of {len(upload.content)} bytes", upload.name) or f"{upload.name} needs too much memory."
        raise Refusal(status, word, reason) from error
    height, width = array.shape[:2]
    cut, piece = middle(array, limits.scored_pixels)
    return Picture(upload.name, cut, width, height, piece)


def middle(array: np.ndarray, most_pixels: int) -> tuple[np.ndarray, Piece | None]:
    """The whole array where it is small enough, else its middle in about its own shape.

    >>> middle(np.zeros((40, 20, 3), np.uint8), 200)[1]
    Piece(left=5, top=10, width=10, height=20)
    """
    height, width = array.shape[:2]
    if height * width <= most_pixels:
        return array, None
    rows = max(1, int(height * (most_pixels / (height * width)) ** 0.5))
    columns = max(1, min(width, most_pixels // rows))
    rows = min(height, most_pixels // columns)
    top, left = (height - rows) // 2, (width - columns) // 2
    return array[top : top + rows, left : left + columns].copy(), Piece(left, top, columns, rows)


def score_one(upload: Upload, detector: Detector, limits: Limits) -> ScoreAnswer:
    """Raises Refusal where there is no score."""
    picture = open_picture(upload, limits)
    return ScoreAnswer(used(detector), scored(picture, logits_of([picture.array], detector)[0], detector))


def score_batch(uploads: Sequence[Upload], detector: Detector, limits: Limits) -> BatchAnswer:
    """Every file is scored or named as failed; one bad file does not stop the others."""
    pictures: dict[int, Picture] = {}
    failed: dict[int, Failure] = {}

    def arrays() -> Iterator[np.ndarray]:
        for place, upload in enumerate(uploads):
            try:
                picture = open_picture(upload, limits)
            except Refusal as refusal:
                failed[place] = Failure(upload.name, refusal.error, refusal.message)
                continue
            pictures[place] = Picture(picture.name, _NOTHING, picture.width, picture.height, picture.piece)
            yield picture.array

    outcomes = list(score_stream(arrays(), detector=detector))
    images = []
    for (place, picture), outcome in zip(pictures.items(), outcomes, strict=True):
        if outcome.error is not None:
            failed[place] = Failure(picture.name, "no_score", outcome.error)
        else:
            images.append(scored(picture, outcome.logit, detector))
    return BatchAnswer(used(detector), images, [failed[place] for place in sorted(failed)])


def redelivery(upload: Upload, detector: Detector, limits: Limits) -> RedeliveryAnswer:
    """The score of a picture, or of its middle, before and after compression and resizing."""
    picture = open_picture(upload, limits)
    array, piece = middle(picture.array, REDELIVERED_PIXELS)
    if piece and picture.piece:
        piece = Piece(picture.piece.left + piece.left, picture.piece.top + piece.top, piece.width, piece.height)
    logits = logits_of([degrade(array, name, seed=0) for name in REDELIVERIES], detector)
    rows = [
        Redelivered(name, words, logit, float(expit(logit)), logit - logits[0], verdict_of(detector, logit))
        for (name, words), logit in zip(REDELIVERIES.items(), logits, strict=True)
    ]
    return RedeliveryAnswer(used(detector), piece or picture.piece, rows)


def logits_of(arrays: Sequence[np.ndarray], detector: Detector) -> list[float]:
    """Logits in order. Raises Refusal 422 where one has none."""
    outcomes = list(score_stream(arrays, detector=detector))
    bad = next((one.error for one in outcomes if one.error is not None), None)
    if bad is not None:
        raise Refusal(422, "no_score", bad)
    return [one.logit for one in outcomes]


def scored(picture: Picture, logit: float, detector: Detector) -> Score:
    """The record of a logit."""
    threshold, temperature = detector.threshold_logit, detector.temperature
    calibrated = None
    if threshold is not None and temperature is not None:
        calibrated = float(expit(calibrate(logit, threshold=threshold, temperature=temperature)))
    verdict = verdict_of(detector, logit)
    return Score(
        picture.name, picture.width, picture.height, picture.piece, logit, float(expit(logit)), calibrated, verdict, MEANINGS[verdict]
    )


def verdict_of(detector: Detector, logit: float) -> Verdict | None:
    """None for a detector without thresholds."""
    if detector.band is None:
        return None
    word = detector.verdict(logit)
    if word not in ("real", "unsure", "fake"):
        raise ProtocolError(f"Detector {detector.name} gave the verdict {word!r}. Expected real, unsure or fake.")
    return word  # type: ignore[return-value]


_NOTHING = np.empty((0, 0, 3), dtype=np.uint8)
