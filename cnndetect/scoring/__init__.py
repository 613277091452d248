"""Scoring of images: ``stream`` for images in order, ``batches`` for a whole test set, ``scores`` for what is stored.

The names below are imported when first used, so that stored scores can be read without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnndetect.scoring.stream import BATCH_SIZE, PROTOCOL, Scored, load_detector, score, score_stream

__all__ = ["BATCH_SIZE", "PROTOCOL", "Scored", "load_detector", "score", "score_stream"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'cnndetect.scoring' has no attribute {name!r}. Public: {', '.join(__all__)}.")
    return getattr(import_module("cnndetect.scoring.stream"), name)
