"""Scoring of images: ``stream`` for images in order, ``batches`` for a whole test set, ``scores`` for what is stored.

The names below are imported when first used, so that stored scores can be read without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnndetect.lazy import exports

if TYPE_CHECKING:
    from cnndetect.scoring.stream import BATCH_SIZE, PROTOCOL, Scored, load_detector, score, score_stream

__all__ = ["BATCH_SIZE", "PROTOCOL", "Scored", "load_detector", "score", "score_stream"]

__getattr__, __dir__ = exports(
    __name__,
    {
        "BATCH_SIZE": "cnndetect.scoring.stream",
        "PROTOCOL": "cnndetect.scoring.stream",
        "Scored": "cnndetect.scoring.stream",
        "load_detector": "cnndetect.scoring.stream",
        "score": "cnndetect.scoring.stream",
        "score_stream": "cnndetect.scoring.stream",
    },
)
