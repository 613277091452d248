"""Pack a suite: each folder of images becomes one file of lossless WebP, real and fake alike, and every pixel is compared."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

import numpy as np

from cnndetect.errors import DataError
from cnndetect.images import EXTENSIONS, open_image, packs, read_file
from cnndetect.progress import bar


def pack_suite(root: str | Path, dest: str | Path, *, effort: int = 4, progress: bool = True) -> dict[str, tuple[int, int]]:
    """Write DEST/NAME.pack.zip for every folder NAME of ``root``, and copy the files beside them.

    effort: of the WebP encoder, 0 to 6; the pixels are the same.  Returns name -> (bytes before, bytes after).
    Raises DataError where ``root`` has no folder, ImageError for what is no image or is not RGB in 8 bit.
    """
    root, dest = Path(root), Path(dest)
    folders = sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
    if not folders:
        raise DataError(f"{root} has no folder to pack. Expected a suite: one folder per generator.")
    dest.mkdir(parents=True, exist_ok=True)
    sizes = {
        folder.name: pack_folder(folder, dest / f"{folder.name}{packs.SUFFIX}", effort=effort, progress=progress) for folder in folders
    }
    for file in root.iterdir():
        if file.is_file() and dest.resolve() != root.resolve():
            shutil.copyfile(file, dest / file.name)
    return sizes


def pack_folder(folder: Path, target: Path, *, effort: int = 4, progress: bool = True) -> tuple[int, int]:
    """Pack one folder; its files (lists of shared reals too) keep their names. Returns bytes before and after."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    entries = {}
    for file in bar(files, desc=f"packing {folder.name}", unit="file", shown=progress, leave=True):
        name, content = file.relative_to(folder).as_posix(), file.read_bytes()
        source = hashlib.sha256(content).hexdigest()
        if file.suffix.lower() in EXTENSIONS:
            member = f"{name.removesuffix(file.suffix)}.webp"
            entries[name] = (member, lossless_webp(read_file(file), effort=effort), source)
        else:
            entries[name] = (name, content, source)
    members = [member for member, _, _ in entries.values()]
    if len(set(members)) < len(members):
        raise DataError(f"{folder} has images that differ by their extension alone. Rename them.")
    packs.write(target, entries)
    return sum(file.stat().st_size for file in files), target.stat().st_size


def lossless_webp(content: bytes, *, effort: int = 4) -> bytes:
    """The encoded image as lossless WebP, compared pixel by pixel with the original; its metadata are left out.

    Raises DataError where a pixel would differ.
    """
    image = open_image(content)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, quality=100, method=effort)
    if not np.array_equal(np.asarray(open_image(buffer.getvalue())), np.asarray(image)):
        raise DataError("The image would change in lossless WebP. It was not packed.")
    return buffer.getvalue()
