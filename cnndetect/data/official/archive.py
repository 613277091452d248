"""Parts of an archive in, near or far, and the zip inside out: a plain zip, or one stored uncompressed in a 7z of volumes.

The 7z header is read as documented in 7zFormat.txt of the LZMA SDK (public domain): 6 bytes of signature, 2 of version,
the checksum of what follows, then offset, size and checksum of the end header. Packed bytes begin right behind, at 32;
in store mode they are the file itself.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO

from cnndetect.errors import DataError

_SEVEN_ZIP, _HEADER_BYTES = b"7z\xbc\xaf\x27\x1c", 32
_LOCAL_FILE = b"PK\x03\x04"


class Joined(io.RawIOBase):
    """Several files as one, read-only and seekable: bytes ``start`` to ``stop`` of all of them in a row.

    The parts stay open; whoever opened them closes them.
    """

    def __init__(self, parts: Sequence[Any], *, start: int = 0, stop: int | None = None):
        super().__init__()
        self._parts, self._starts, position = list(parts), [], 0
        for part in self._parts:
            self._starts.append(position)
            position += part.seek(0, io.SEEK_END)
        self._first, self._stop, self._position = start, position if stop is None else stop, start
        if self._stop > position:
            raise DataError(f"The archive ends after {position} bytes, expected {self._stop}. A part is missing or cut.")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position - self._first

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._first, io.SEEK_CUR: self._position, io.SEEK_END: self._stop}[whence]
        if base + offset < self._first:
            raise OSError(f"cannot seek to {base + offset - self._first}")
        self._position = base + offset
        return self.tell()

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def read(self, count: int | None = -1) -> bytes:
        left = max(0, self._stop - self._position)
        count = left if count is None or count < 0 else min(count, left)
        found = []
        while count:
            index = max(i for i, start in enumerate(self._starts) if start <= self._position)
            part = self._parts[index]
            part.seek(self._position - self._starts[index])
            found.append(part.read(count))
            if not found[-1]:
                raise DataError(f"The archive ends at byte {self._position}, expected {self._stop}. A part is missing or cut.")
            self._position += len(found[-1])
            count -= len(found[-1])
        return b"".join(found)


def open_zip(parts: Sequence[BinaryIO | io.RawIOBase]) -> zipfile.ZipFile:
    """The zip of one file, of several in a row, or inside a 7z in store mode. Raises DataError for anything else."""
    whole = Joined(parts)
    header = whole.read(_HEADER_BYTES)
    if header.startswith(_SEVEN_ZIP):
        whole = Joined(parts, start=_HEADER_BYTES, stop=_packed_end(header))
        if whole.read(len(_LOCAL_FILE)) != _LOCAL_FILE:
            raise DataError("The 7z archive does not hold a zip in store mode. Unpack it with: 7z x FIRST_PART")
    try:
        return zipfile.ZipFile(whole)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, struct.error) as error:
        raise DataError(f"The archive is no zip ({error}). It may be cut: compare its size with: python -m cnndetect.data info") from error


def _packed_end(header: bytes) -> int:
    (checksum,) = struct.unpack_from("<I", header, 8)
    (offset,) = struct.unpack_from("<Q", header, 12)
    if zlib.crc32(header[12:32]) != checksum:
        raise DataError("The header of the 7z archive is damaged. Fetch its first part again.")
    return _HEADER_BYTES + offset
