"""A file of a web server in, a file object that seeks out: ``zipfile`` reads single members of an archive far away.

Reading on is one open connection, whatever the number of reads; a seek opens another one. A connection that breaks is
opened again where it broke, and after several vain attempts the next mirror takes over.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Any

from cnndetect.data.official import download
from cnndetect.data.official.download import CHUNK_BYTES
from cnndetect.data.official.remote import Stream, TransientError, open_stream
from cnndetect.errors import DownloadError

# Shorter distances forward are read and dropped: cheaper than a new connection.
SKIP_BYTES = 1 << 20


class RangeFile(io.RawIOBase):
    """Read-only, seekable. Mirrors that hold a file of another size are passed over.

    urls: http, https or file, tried in order.  size: bytes of the file.  Nothing is opened before the first read.
    Reading raises DownloadError once all mirrors have failed.
    """

    def __init__(self, urls: Sequence[str], *, size: int):
        super().__init__()
        self._urls, self._size, self._position, self._at = list(urls), size, 0, 0
        self._stream: Stream | None = None
        self._validator: str | None = None
        self._problems: list[str] = []

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(f"cannot seek to {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), max(0, self._size - self._position))
        content = self._some(count) if count else b""
        buffer[: len(content)] = content
        return len(content)

    def read(self, count: int | None = -1) -> bytes:
        left = max(0, self._size - self._position)
        count = left if count is None or count < 0 else min(count, left)
        parts = []
        while count:
            parts.append(self._some(min(count, CHUNK_BYTES)))
            count -= len(parts[-1])
        return b"".join(parts)

    def doubt(self) -> None:
        """The bytes so far were wrong: read on from the next mirror where there is one, else over a new connection."""
        self._rotate()

    def close(self) -> None:
        self._drop()
        super().close()

    def _rotate(self) -> None:
        self._drop()
        self._urls.append(self._urls.pop(0))
        self._validator = None

    def _give_up(self, problem: str) -> None:
        """Go on with the next mirror. Raises DownloadError where all have failed since the last byte."""
        self._problems.append(f"\n  {self._urls[0]}: {problem}")
        self._rotate()
        if len(self._problems) >= len(self._urls):
            raise DownloadError("No mirror could be read; the same command continues. Tried:" + "".join(self._problems))

    def _some(self, count: int) -> bytes:
        """At least one byte and at most ``count``, from whatever mirror gives it."""
        failures = 0
        while True:
            try:
                self._reach()
                content = self._advance(count)
                if content:
                    self._position += len(content)
                    self._problems.clear()
                    return content
                problem = TransientError(f"the connection ended at byte {self._position} of {self._size}")
            except TransientError as error:
                problem = error
            except DownloadError as error:
                self._give_up(str(error))
                failures = 0
                continue
            self._drop()
            failures += 1
            if failures < download.ATTEMPTS:
                time.sleep(download.PAUSE_SECONDS * 2 ** (failures - 1))
            else:
                self._give_up(str(problem))
                failures = 0

    def _reach(self) -> None:
        """Bring the connection to the position: read on where it is near, else open another one."""
        if self._stream is not None and 0 <= self._position - self._at <= SKIP_BYTES:
            while self._at < self._position and self._advance(self._position - self._at):
                pass
            if self._at == self._position:
                return
        self._drop()
        self._open(self._position)

    def _advance(self, count: int) -> bytes:
        assert self._stream is not None
        content = self._stream.read(count)
        self._at += len(content)
        return content

    def _open(self, position: int) -> Stream:
        stream = open_stream(self._urls[0], start=position, validator=self._validator)
        try:
            if stream.total not in (None, self._size):
                raise DownloadError(f"the file has {stream.total} bytes there, expected {self._size}")
            if stream.start != position:
                changed = self._validator is not None and stream.validator != self._validator
                what = "the file has changed there meanwhile" if changed else "the server sends whole files only, no ranges (see --whole)"
                raise DownloadError(what)
        except DownloadError:
            stream.close()
            raise
        self._stream, self._validator, self._at = stream, stream.validator, position
        return stream

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
