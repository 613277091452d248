"""Which files of a folder are images, in which order; a packed folder is listed as the folder it stands for."""

from __future__ import annotations

import os
from pathlib import Path

from cnndetect.errors import LayoutError
from cnndetect.images import packs

EXTENSIONS = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".tif", ".tiff", ".bmp", ".dib",
    ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif",
)  # fmt: skip


def list_images(root: str | os.PathLike[str]) -> list[Path]:
    """Every image of a folder and its sub-folders, sorted by name, folder by folder.

    An image is what has an extension of EXTENSIONS in any case; hidden names (``.x``) are left out. A link to a folder is
    followed. A broken link is listed, so that opening it reports it.  Raises LayoutError when a folder cannot be read.
    """
    top = Path(root)
    if not top.is_dir() and packs.is_dir(top):
        found = [path for path in packs.files_below(top) if path.suffix.lower() in EXTENSIONS]
        return sorted(found, key=lambda path: path.relative_to(top).parts)
    if not top.is_dir():
        what = "a file" if top.is_file() else "missing"
        raise LayoutError(f"{top} is {what}. Expected a folder of images ({', '.join(EXTENSIONS[:4])}, ...).")
    real = top.resolve()
    found = _walk(top, (real, *real.parents))  # a link to a folder around this one would bring in what lies beside it
    # Path's own order changed between versions of Python; the order of the parts did not.
    return sorted(found, key=lambda path: path.relative_to(top).parts)


def _walk(folder: Path, above: tuple[Path, ...]) -> list[Path]:
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise LayoutError(f"{folder} cannot be read: {error.strerror}. Check its permissions.") from error
    found = []
    for entry in entries:
        if not entry.is_dir():
            found += [entry] if entry.suffix.lower() in EXTENSIONS else []
        elif (real := entry.resolve()) not in above:  # a link back up would never end
            found += _walk(entry, (*above, real))
    return found
