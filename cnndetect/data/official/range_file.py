"""A file of a web server as a seekable file object, so that ``zipfile`` reads single members of a remote archive.

Reading on uses one open connection, whatever the number of reads; a seek opens another one. A connection that breaks is
opened again where it broke, and after several attempts the next mirror takes over.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from cnndetect.data.official.download import Reader
from cnndetect.errors import DownloadError

# Shorter distances forward are read and dropped: cheaper than a new connection.
SKIP_BYTES = 1 << 20


class SeekableFile(io.RawIOBase):
    """Read-only, with a position between 0 and ``size``; subclasses write ``readinto``."""

    def __init__(self, size: int):
        super().__init__()
        self._size, self._position = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence] + offset
        if position < 0:
            raise OSError(f"cannot seek to {position}")
        self._position = position
        return position

    def read(self, count: int | None = -1) -> bytes:
        """Exactly ``count`` bytes, fewer only at the end: zipfile does not ask twice."""
        left = max(0, self._size - self._position)
        content = bytearray(left if count is None or count < 0 else min(count, left))
        filled, view = 0, memoryview(content)
        while filled < len(content):
            filled += self.readinto(view[filled:])
        return bytes(content)

    def readinto(self, buffer: Any) -> int:
        raise NotImplementedError


class RangeFile(SeekableFile):
    """Read-only, seekable. Mirrors that hold a file of another size are passed over.

    urls: http, https or file, tried in order.  size: bytes of the file.  Nothing is opened before the first read.
    Reading raises DownloadError once all mirrors have failed.
    """

    def __init__(self, urls: Sequence[str], *, size: int):
        super().__init__(size)
        self._urls = list(urls)
        self._reader: Reader | None = None
        self._validator: str | None = None
        self._problems: list[str] = []

    def readinto(self, buffer: Any) -> int:
        """At least one byte before the end of the file, from whatever mirror gives it."""
        count = min(len(buffer), self._size - self._position)
        while count > 0:
            try:
                content = self._reach().read(count)
            except DownloadError as error:  # after several attempts
                self._problems.append(f"\n  {self._urls[0]}: {error}")
                self.doubt()
                if len(self._problems) >= len(self._urls):
                    raise DownloadError("No mirror could be read; the same command continues. Tried:" + "".join(self._problems)) from error
                continue
            buffer[: len(content)] = content
            self._position += len(content)
            self._problems.clear()
            return len(content)
        return 0

    def doubt(self) -> None:
        """Read on from the next mirror where there is one, else over a new connection: the bytes so far were wrong."""
        self._drop()
        self._urls.append(self._urls.pop(0))
        self._validator = None

    def close(self) -> None:
        self._drop()
        super().close()

    def _reach(self) -> Reader:
        """A connection at the position: the open one where it is near, else another one."""
        if self._reader is not None and 0 <= self._position - self._reader.position <= SKIP_BYTES:
            while self._reader.position < self._position:
                self._reader.read(self._position - self._reader.position)
            return self._reader
        self._drop()
        reader = Reader(self._urls[0], start=self._position, validator=self._validator, size=self._size)
        if reader.position != self._position:
            reader.close()
            changed = self._validator is not None and reader.validator != self._validator
            what = "the file has changed there meanwhile" if changed else "the server sends whole files only, no ranges (see --whole)"
            raise DownloadError(what)
        self._reader, self._validator = reader, reader.validator
        return reader

    def _drop(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
