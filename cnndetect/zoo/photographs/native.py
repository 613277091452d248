"""Crops of photographs at their native size, JPEG grid and all, and fakes with the same JPEG history.

A detector trained on reduced photographs alone has never seen a compressed real and may take every JPEG for a fake. These
crops show it some. So that compression still cannot tell real from fake, a fake that stands beside such a crop is compressed
with the very tables, subsampling and grid position of that photograph's file.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from cnndetect.data.photos import SIZE_PX
from cnndetect.errors import DataError
from cnndetect.images import open_image, open_stored, read_file

_GRID_PX = 8


def native_crop(path: Path, index: int, *, size_px: int = SIZE_PX) -> np.ndarray:
    """Crop number ``index`` of a photograph, neither reduced nor enlarged: uint8 [size, size, 3].

    Its place follows from the file's name and ``index`` alone. Raises DataError for a photograph smaller than the crop.
    """
    image = open_image(path)
    if min(image.size) < size_px:
        raise DataError(f"{path} has {image.size[0]}x{image.size[1]} px. Expected at least {size_px} px on the short side.")
    left, top = _place(path, index, (image.width - size_px, image.height - size_px))
    return np.asarray(image.crop((left, top, left + size_px, top + size_px)))


def compressed_like(pixels: np.ndarray, path: Path, index: int) -> np.ndarray:
    """``pixels`` uint8 [H, W, 3] after the compression that ``native_crop(path, index)`` has gone through.

    Tables, chroma subsampling and the crop's position on the 8-px grid are those of the photograph. A photograph that is no
    JPEG leaves the pixels as they are.
    """
    height, width = pixels.shape[:2]
    photo = open_stored(read_file(path))
    if not isinstance(photo, JpegImagePlugin.JpegImageFile):
        return pixels
    left, top = _place(path, index, (photo.width - width, photo.height - height))
    # Pixels before the crop move the grid; subsampled chroma has one of twice the size.
    left, top = left % (2 * _GRID_PX), top % (2 * _GRID_PX)
    padded = np.pad(pixels, ((top, 2 * _GRID_PX), (left, 2 * _GRID_PX), (0, 0)), mode="reflect")
    stream = io.BytesIO()
    sampling = max(JpegImagePlugin.get_sampling(photo), 0)
    Image.fromarray(padded).save(stream, "JPEG", qtables=photo.quantization, subsampling=sampling)
    return np.asarray(open_image(stream.getvalue()))[top : top + height, left : left + width]


def _place(path: Path, index: int, room: tuple[int, int]) -> tuple[int, int]:
    """Left and top of a crop, each from 0 to its room."""
    digest = hashlib.sha256(f"{path.stem}/{index}".encode()).digest()
    numbers = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")
    return numbers[0] % (max(room[0], 0) + 1), numbers[1] % (max(room[1], 0) + 1)
