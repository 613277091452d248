"""The sheet of docs/public-suite.md: the photographs of the sample that ships, and what each generator made of them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from cnndetect.bench.suites import find_suites
from cnndetect.data.folders import scan
from cnndetect.images import to_rgb_array
from cnndetect.zoo.sheets import picture_grid, save_compact

SAMPLE = Path(__file__).resolve().parents[2] / "benchmarks" / "public-sample"  # benchmarks/public_sample.py writes it
LABEL = 96  # px


def make(target: Path) -> None:
    """Draw it."""
    samples = {one.name: scan(one.root) for one in find_suites(SAMPLE)[0].sets}
    photographs = [sample.path for sample in next(iter(samples.values())) if sample.label == 0]
    rows = {"photograph": photographs} | {name: [one.path for one in found if one.label == 1] for name, found in samples.items()}
    pictures = picture_grid([[to_rgb_array(path) for path in sorted(paths)] for paths in rows.values()])
    sheet = Image.new("RGB", (LABEL + pictures.width, pictures.height), "white")
    sheet.paste(pictures, (LABEL, 0))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=13)
    for down, title in enumerate(rows):
        pen.text((4, (down + 0.5) * sheet.height / len(rows)), title, fill="black", font=font, anchor="lm")
    save_compact(sheet, target, quality=72)
