"""Photographs that the zoo trains on: read one split of a folder as 128 px arrays.

Every image of the project, real or fake, goes through this one door: a source of at least twice the size is
reduced to 128 px (Lanczos), so no JPEG grid is left and the file's history cannot tell real from fake.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from cnndetect.errors import DataError, lookup
from cnndetect.images import list_images, open_image

SIZE_PX = 128
REDUCTION = 2

# By file number modulo 10, fixed before anything was trained: 80 % train, 10 % validation, 10 % test.
SPLITS: dict[str, tuple[int, ...]] = {
    "train": (2, 3, 4, 5, 6, 7, 8, 9),
    "validation": (0,),
    "test": (1,),
    "all": tuple(range(10)),
}

# Photographs of ../shared/photos that nearly repeat one of another split go to that one's split: category -> number -> split.
# Found by the correlation of all pairs, high-passed at 32 px, and seen by eye.
MOVED: dict[str, dict[int, str]] = {
    "monkey": {number: "train" for number in (380, 40, 141, 61, 591, 51, 441, 171)} | {121: "validation"},
}


def split_files(folder: str | Path, split: str) -> list[Path]:
    """Files of one split, by the number in the file's name.

    folder: photographs named by number, such as 00012.jpg.  split: a key of SPLITS.
    Raises DataError for a name without a number and for a split without files.
    """
    lookup("split", SPLITS, split)
    files = [path for path in list_images(folder) if split in ("all", split_of(path))]
    if not files:
        raise DataError(f"{folder} has no photographs of split {split!r}. Expected numbered files such as 00012.jpg.")
    return files


def split_of(path: Path) -> str:
    """Split of a photograph: by its number, unless it nearly repeats a photograph of another split.

    >>> split_of(Path("cat/00012.jpg")), split_of(Path("monkey/00040.jpg"))
    ('train', 'train')
    """
    number = _number(path)
    by_number = next(name for name, digits in SPLITS.items() if number % 10 in digits)
    return MOVED.get(path.parent.name, {}).get(number, by_number)


def load_photos(files: list[Path], *, size_px: int = SIZE_PX) -> np.ndarray:
    """Centre squares of the files, reduced to ``size_px``: uint8 [N, size, size, 3]."""
    return np.stack([reduce(centre_square(open_image(path)), size_px=size_px) for path in files])


def centre_square(image: Image.Image) -> Image.Image:
    """The largest centred square."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def reduce(square: Image.Image, *, size_px: int = SIZE_PX, least: float = REDUCTION) -> np.ndarray:
    """Lanczos reduction of a square of at least ``least`` times the size: uint8 [size, size, 3].

    >>> reduce(Image.new("RGB", (256, 256))).shape
    (128, 128, 3)
    """
    if min(square.size) < least * size_px:
        raise DataError(
            f"A photograph of {square.size[0]}x{square.size[1]} px is too small. Expected at least "
            f"{least * size_px:.0f} px on the short side, so that reduction to {size_px} px removes its JPEG grid."
        )
    return np.asarray(square.resize((size_px, size_px), Image.Resampling.LANCZOS))


def _number(path: Path) -> int:
    found = re.findall(r"\d+", path.stem)
    if not found:
        raise DataError(f"{path} has no number in its name. The split goes by file number; expected a name such as 00012.jpg.")
    return int(found[-1])
