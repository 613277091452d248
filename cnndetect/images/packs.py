"""A folder of images as one file: NAME.pack.zip stands for the folder NAME beside it, and its paths stay the same.

The file is a zip of lossless WebP images, as they are, with a deflated index: for every name of the folder its member, the SHA-256 of the
member, and the SHA-256 of the file that was packed. So the fingerprint of a packed set is that of its folder for as long as the
packed bytes are the ones that were checked pixel by pixel when they were written. A folder that exists is never looked for in a pack.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from cnndetect.errors import DataError
from cnndetect.files import write_whole

SUFFIX, INDEX, FORMAT = ".pack.zip", "index.json", "cnndetect-pack/1"

_LOCAL_HEADER_BYTES = 30


class _Entry(msgspec.Struct, frozen=True):
    """A file of a pack: the member that holds it, the SHA-256 of these bytes and of the source's."""

    member: str
    sha256: str
    source_sha256: str


class _Index(msgspec.Struct, frozen=True):
    format: str
    files: dict[str, _Entry]


@dataclass(frozen=True)
class Packed:
    """One file of a pack."""

    file: Path
    offset: int
    size: int
    sha256: str  # of these bytes
    source_sha256: str  # of the file that they were made from, with the same pixels

    def read(self) -> bytes:
        with self.file.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def content_sha256(self) -> str:
        """SHA-256 of the file that was packed; of the bytes themselves where they are no longer those of the index."""
        found = hashlib.sha256(self.read()).hexdigest()
        return self.source_sha256 if found == self.sha256 else found


def find(path: str | Path) -> Packed | None:
    """The packed file behind a path of the folder that was packed; None for a path that exists, and for one in no pack."""
    place = _place(Path(path))
    return place[0].get(place[1]) if place else None


def exists(path: Path) -> bool:
    """Whether there is such a file or folder, packed or not."""
    return os.path.exists(path) or is_dir(path) or find(path) is not None


def is_dir(path: Path) -> bool:
    """Whether this is a folder, packed or not."""
    if os.path.isdir(path):
        return True
    place = _place(path)
    return place is not None and (not place[1] or any(name.startswith(f"{place[1]}/") for name in place[0]))


def child_folders(path: Path) -> list[Path]:
    """The folders right below a folder, packed or not, sorted. Raises OSError."""
    if not os.path.isdir(path):
        return sorted({path / name.partition("/")[0] for name in _below(path) if "/" in name})
    found = {child for child in path.iterdir() if child.is_dir()}
    return sorted(found | {child.with_name(child.name.removesuffix(SUFFIX)) for child in path.glob(f"*{SUFFIX}")})


def files_below(path: Path) -> list[Path]:
    """Every file of a packed folder, at any depth; none for a folder that is not packed."""
    return [] if os.path.isdir(path) else [path / name for name in _below(path)]


def read(path: Path) -> bytes:
    """The bytes of a file, packed or not. Raises OSError."""
    packed = find(path)
    return path.read_bytes() if packed is None else packed.read()


def write(target: str | Path, entries: dict[str, tuple[str, bytes, str]]) -> Path:
    """Write a pack: name in the folder -> (name of the member, its bytes, SHA-256 of the source). The same input, the same bytes."""
    index = {
        name: {"member": member, "sha256": hashlib.sha256(content).hexdigest(), "source_sha256": source}
        for name, (member, content, source) in sorted(entries.items())
    }

    def write_to(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for _, (member, content, _) in sorted(entries.items()):
                archive.writestr(zipfile.ZipInfo(member), content)
            listed = json.dumps({"format": FORMAT, "files": index}, indent=0, ensure_ascii=False)
            archive.writestr(zipfile.ZipInfo(INDEX), listed, compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)

    write_whole(target, write_to)
    return Path(target)


def _place(path: Path) -> tuple[dict[str, Packed], str] | None:
    """The pack that stands for a folder at or above ``path``, and the name inside."""
    if os.path.exists(path):
        return None
    for folder in (path, *path.parents):
        if not folder.name:
            return None
        file = folder.with_name(folder.name + SUFFIX)
        if os.path.isfile(file) and not os.path.exists(folder):
            status = file.stat()
            inside = path.relative_to(folder).as_posix()
            return _opened(file, status.st_mtime_ns, status.st_size), "" if inside == "." else inside
        if os.path.exists(folder):
            return None
    return None


def _below(path: Path) -> list[str]:
    place = _place(path)
    if place is None:
        return []
    prefix = f"{place[1]}/" if place[1] else ""
    return [name.removeprefix(prefix) for name in place[0] if name.startswith(prefix)]


@lru_cache(maxsize=64)
def _opened(file: Path, _modified: int, _size: int) -> dict[str, Packed]:
    """The index of a pack; offsets are kept, so that reading needs no open archive and works in any thread or process."""
    try:
        with zipfile.ZipFile(file) as archive, file.open("rb") as raw:
            record = msgspec.json.decode(archive.read(INDEX), type=_Index)
            if record.format != FORMAT:
                raise DataError(f"{file} is a pack of format {record.format!r}. Expected {FORMAT}; update cnndetect.")
            found = {}
            for name, row in record.files.items():
                info = archive.getinfo(row.member)
                raw.seek(info.header_offset)
                name_length, extra_length = struct.unpack("<HH", raw.read(_LOCAL_HEADER_BYTES)[26:30])
                start = info.header_offset + _LOCAL_HEADER_BYTES + name_length + extra_length
                if info.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{row.member} is compressed")
                found[name] = Packed(file, start, info.file_size, row.sha256, row.source_sha256)
            return found
    except (OSError, KeyError, ValueError, TypeError, struct.error, zipfile.BadZipFile) as error:
        raise DataError(f"{file} is not a pack of images ({error}). Expected what `cnndetect data pack` writes; fetch it again.") from error
