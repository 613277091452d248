"""Open the zip of a released archive, local or remote: a plain zip, or one stored uncompressed in a 7z of several volumes.

The 7z header is read as documented in 7zFormat.txt of the LZMA SDK (public domain): 6 bytes of signature, 2 of version,
the checksum of what follows, then offset, size and checksum of the end header. Packed bytes begin right behind, at 32;
in store mode they are the file itself.
"""

from __future__ import annotations

import bisect
import io
import itertools
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO

from cnndetect.data.official.range_file import SeekableFile
from cnndetect.errors import DataError

_SEVEN_ZIP, _HEADER_BYTES = b"7z\xbc\xaf\x27\x1c", 32
_LOCAL_FILE = b"PK\x03\x04"


class Joined(SeekableFile):
    """Several files as one, read-only and seekable: bytes ``start`` to ``stop`` of all of them in a row.

    The parts stay open; whoever opened them closes them.
    """

    def __init__(self, parts: Sequence[Any], *, start: int = 0, stop: int | None = None):
        self._parts, self._first = list(parts), start
        self._starts = [0, *itertools.accumulate(part.seek(0, io.SEEK_END) for part in self._parts)]
        end = self._starts.pop()
        if stop is not None and stop > end:
            raise DataError(f"The archive ends after {end} bytes, expected {stop}. A part is missing or cut.")
        super().__init__((end if stop is None else stop) - start)

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._size - self._position))
        if count == 0:
            return 0
        at = self._first + self._position
        index = bisect.bisect_right(self._starts, at) - 1
        self._parts[index].seek(at - self._starts[index])
        content = self._parts[index].read(count)
        if not content:
            raise DataError(f"The archive ends at byte {at}, expected {self._first + self._size}. A part is missing or cut.")
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


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
        raise DataError(f"The archive is not a zip file ({error}). It may be cut: compare its size with: cnndetect data info") from error


def _packed_end(header: bytes) -> int:
    (checksum,) = struct.unpack_from("<I", header, 8)
    (offset,) = struct.unpack_from("<Q", header, 12)
    if zlib.crc32(header[12:32]) != checksum:
        raise DataError("The header of the 7z archive is damaged. Fetch its first part again.")
    return _HEADER_BYTES + offset
