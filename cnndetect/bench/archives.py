"""Archives of results: the files of a folder as one NAME.tar.xz, read wherever the folder NAME/ would be.

Result files repeat themselves: every condition of a test set names the same images, weights and versions again. Compressed together,
the results of one detector take a sixth of their size, and nothing is rounded or left out.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cnndetect.errors import DataError
from cnndetect.files import write_whole

SUFFIX = ".tar.xz"

# How the temporary folders begin in which archives lie unpacked.
_PREFIX = "cnndetect-results-"


def pack(folder: Path, archive: Path, files: Sequence[Path] | None = None) -> None:
    """Write files of a folder (default: all .json and .npz) as an archive: the same bytes for the same contents.

    Raises DataError where there are none.
    """
    chosen = [path for path in folder.rglob("*") if path.suffix in (".json", ".npz")] if files is None else list(files)
    if not chosen:
        raise DataError(f"{folder} holds no results to pack. Make some with: cnndetect bench --results DIR")
    buffer = io.BytesIO()
    # Files of one kind one after the other, and scores without a compression of their own: so the archive finds what is repeated.
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        for path in sorted(chosen, key=lambda path: (path.suffix, path.relative_to(folder).as_posix())):
            content = _loose(path.read_bytes()) if path.suffix == ".npz" else path.read_bytes()
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    write_whole(archive, lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def unpacked(archive: Path) -> Path:
    """A folder with the files of an archive, called as the archive is. It lasts as long as the program. Raises DataError."""
    state = archive.stat()
    return Path(_unpacked(archive.resolve(), state.st_mtime_ns, state.st_size).name, archive.name.removesuffix(SUFFIX))


def shown(path: Path, root: Path) -> Path:
    """A result's path for a message: one that came out of an archive of ``root`` is named by the archive.

    >>> shown(Path("/tmp/cnndetect-results-x1/npr/public/carn.nocrop.json"), Path("results")).as_posix()
    'results/npr.tar.xz/public/carn.nocrop.json'
    """
    place = next((index for index, part in enumerate(path.parts) if part.startswith(_PREFIX)), None)
    if place is None or path.is_relative_to(root):
        return path
    name, *rest = path.parts[place + 1 :]
    return root.joinpath(name + SUFFIX, *rest)


@cache
def _unpacked(archive: Path, time: int, size: int) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
    try:
        with tarfile.open(archive, mode="r:xz") as packed:
            packed.extractall(Path(folder.name, archive.name.removesuffix(SUFFIX)), filter="data")
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        folder.cleanup()
        raise DataError(f"{archive} is no archive of results ({error}). Fetch it again, or make it with what packed it.") from error
    return folder


def _loose(content: bytes) -> bytes:
    """An .npz without compression and without dates."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as packed, zipfile.ZipFile(buffer, "w") as loose:
        for entry in packed.infolist():
            loose.writestr(zipfile.ZipInfo(entry.filename), packed.read(entry))
    return buffer.getvalue()
