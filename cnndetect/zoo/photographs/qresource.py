"""Read the members of Qt binary resource files (.rcc).

Source: Qt's documented resource format, https://doc.qt.io/qt-6/resources.html (rcc --binary): a header, a tree of
nodes, UTF-16 names, and data blobs behind a 4-byte length, optionally zlib-compressed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from cnndetect.errors import DataError

_COMPRESSED, _FOLDER = 1, 2


def read_members(path: str | Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name inside the file, content) of every member, in tree order."""
    content = Path(path).read_bytes()
    if content[:4] != b"qres":
        raise DataError(f"{path} is not a Qt resource file. Expected a file that starts with 'qres', such as *.rcc.")
    version, tree, data, names = struct.unpack(">IIII", content[4:20])
    size = 14 if version < 2 else 22

    def name_of(offset: int) -> str:
        (length,) = struct.unpack(">H", content[names + offset : names + offset + 2])
        start = names + offset + 6
        return content[start : start + 2 * length].decode("utf-16-be")

    def walk(index: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        start = tree + index * size
        name_offset, flags, first, second = struct.unpack(">IHII", content[start : start + 14])
        name = f"{prefix}/{name_of(name_offset)}" if index else prefix
        if flags & _FOLDER:
            for child in range(second, second + first):
                yield from walk(child, name)
            return
        blob = data + second
        (length,) = struct.unpack(">I", content[blob : blob + 4])
        body = content[blob + 4 : blob + 4 + length]
        yield name.lstrip("/"), zlib.decompress(body[4:]) if flags & _COMPRESSED else body

    yield from walk(0, "")
