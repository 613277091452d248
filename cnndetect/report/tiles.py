"""Pictures for the page: small WebPs of images and of their heat maps. What is drawn anew is no input for a detector."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from cnndetect.analysis.explain import Explanation, overlay
from cnndetect.analysis.fakeness import Ranked
from cnndetect.images import to_rgb_array
from cnndetect.report.page import Tile

LONGEST_PX = 192
_QUALITY = 80
TONES = ("real", "fake")


def webp(array: np.ndarray, *, longest_px: int = LONGEST_PX) -> bytes:
    """A WebP of an image, at most ``longest_px`` on its longer side. array: uint8 [H, W, 3]."""
    picture = Image.fromarray(array)
    picture.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    memory = io.BytesIO()
    picture.save(memory, "WEBP", quality=_QUALITY, method=4)
    return memory.getvalue()


def plain_tile(one: Ranked, *, words: str = "") -> Tile:
    """An image with its logit."""
    shown = f"{words} {signed(one.logit)}".strip()
    return Tile(webp(to_rgb_array(one.path)), shown, f"{TONES[one.label]} image, logit {signed(one.logit)}", tone=TONES[one.label])


def mapped_tiles(rows: Sequence[tuple[str, Ranked, Explanation]]) -> list[Tile]:
    """Images beside their maps, all maps on one scale. rows: words, image, map."""
    most = max((float(np.abs(found.heat).max()) for _, _, found in rows), default=1.0) or 1.0
    tiles = []
    for words, one, found in rows:
        array = to_rgb_array(one.path)
        heat = webp(overlay(array, found, scale=most))
        alt = f"{TONES[one.label]} image, {words}, logit {signed(one.logit)}"
        tiles.append(Tile(webp(array), f"{words}, logit {signed(one.logit)}", alt, heat, TONES[one.label]))
    return tiles


def signed(logit: float) -> str:
    """A logit with one decimal and a true minus.

    >>> signed(-1.26), signed(-0.0)
    ('−1.3', '0.0')
    """
    return f"{round(logit, 1) + 0.0:.1f}".replace("-", "−")
