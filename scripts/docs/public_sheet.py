"""The sheet of docs/public-suite.md: some photographs, and what each generator whose images may be passed on made of them.

Nothing is picked by eye: of the photographs that all generators have, evenly chosen ones. Faces are left out.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from cnndetect.bench.suites import PUBLIC, TestSet, find_suites, list_suites
from cnndetect.data.folders import evenly, scan
from cnndetect.images import to_rgb_array
from cnndetect.zoo.sheets import picture_grid

COLUMNS = 5
WITHOUT = ("dcgan-face", "mobilestylegan")  # faces, and a teacher whose licence is non-commercial
LABEL = 96  # px


def make(target: Path) -> None:
    """Draw it where the suite was built; leave it as it is elsewhere."""
    if PUBLIC not in list_suites():
        return
    sets = [one for one in find_suites(PUBLIC)[0].sets if one.name not in WITHOUT]
    fakes = {one.name: _images(one, 1) for one in sets}
    common = sorted(set.intersection(*(set(images) for images in fakes.values())))
    reals = _images(sets[0], 0)
    chosen = evenly([name for name in common if name in reals], COLUMNS, ends=True)
    rows = {"photograph": reals, **fakes}
    pictures = picture_grid([[to_rgb_array(images[name]) for name in chosen] for images in rows.values()])
    sheet = Image.new("RGB", (LABEL + pictures.width, pictures.height), "white")
    sheet.paste(pictures, (LABEL, 0))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=13)
    for down, title in enumerate(rows):
        pen.text((4, (down + 0.5) * sheet.height / len(rows)), title, fill="black", font=font, anchor="lm")
    sheet.save(target, quality=72, optimize=True, progressive=True)


def _images(test_set: TestSet, label: int) -> dict[str, Path]:
    """Stem -> file, of one class."""
    return {sample.path.stem: sample.path for sample in scan(test_set.root) if sample.label == label}
