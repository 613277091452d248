"""PNG figures in, the same files at most 1000 px wide and with 128 colours out: ``python benchmarks/shrink_figures.py docs/figures/*.png``.

For documents alone: the report's own figures stay as they are made. Files that would not shrink stay too.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

WIDEST_PX = 1000
COLOURS = 128


def shrink(path: Path) -> None:
    """Rewrite one PNG where that makes it smaller."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        picture = image.convert("RGB")
        picture.thumbnail((WIDEST_PX, 10 * WIDEST_PX), Image.Resampling.LANCZOS)
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    if len(buffer.getvalue()) < path.stat().st_size:
        path.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    for name in sys.argv[1:]:
        shrink(Path(name))
