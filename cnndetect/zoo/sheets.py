"""Contact sheets of test sets: reals above, fakes below."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cnndetect.data.folders import evenly, scan
from cnndetect.errors import DataError
from cnndetect.images import to_rgb_array

_GAP_PX = 4


def contact_sheet(test_set: str | Path, *, columns: int = 8, fake_rows: int = 2) -> Image.Image:
    """One row of reals and ``fake_rows`` of fakes, evenly spread over the set, at native size.

    A fake that was made of a photograph stands below it in the first row of fakes.
    Raises DataError where the set has fewer images than places.
    """
    samples = scan(test_set)
    reals = [sample for sample in samples if sample.label == 0]
    fakes = [sample for sample in samples if sample.label == 1]
    if len(reals) < columns or len(fakes) < columns * fake_rows:
        raise DataError(
            f"{test_set} has {len(reals)} reals and {len(fakes)} fakes. Expected at least {columns} and {columns * fake_rows}; "
            "give a smaller --columns."
        )
    chosen = evenly(fakes, columns * fake_rows)
    of_fake = {Path(sample.path).name: sample for sample in reals}
    above = [of_fake.get(Path(fake.path).name, real) for fake, real in zip(chosen[:columns], evenly(reals, columns), strict=True)]
    rows = [above, *(chosen[row * columns : (row + 1) * columns] for row in range(fake_rows))]
    return picture_grid([[to_rgb_array(sample.path) for sample in row] for row in rows])


def save_compact(picture: Image.Image, path: Path, *, quality: int) -> None:
    """Write a picture with the smallest file that a JPEG of this quality can have."""
    picture.save(path, quality=quality, optimize=True, progressive=True)


def picture_grid(rows: list[list[np.ndarray]]) -> Image.Image:
    """Pictures, uint8 [H, W, 3] each, in rows on white, every place as large as the largest of them."""
    height, width = np.max([image.shape[:2] for row in rows for image in row], axis=0)
    size = (len(rows[0]) * (width + _GAP_PX) + _GAP_PX, len(rows) * (height + _GAP_PX) + _GAP_PX)
    sheet = Image.new("RGB", (int(size[0]), int(size[1])), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            sheet.paste(Image.fromarray(image), (int(_GAP_PX + x * (width + _GAP_PX)), int(_GAP_PX + y * (height + _GAP_PX))))
    return sheet
