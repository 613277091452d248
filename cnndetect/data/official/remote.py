"""A URL and a position in, a stream of bytes from there out: http, https and file, with the rules of resuming.

HTTP ranges follow RFC 9110, sections 13.1.5 (If-Range) and 14: a server may answer 206 with the rest, 200 with the whole
file (it ignores ranges, or the file has changed since), or 416 where nothing is left. Proxies come from the environment
(https_proxy), as everywhere in Python.
"""

from __future__ import annotations

import http.client
import io
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cnndetect.errors import DownloadError

TIMEOUT_SECONDS = 30.0

# What a broken connection raises while opening or reading.
BROKEN = (OSError, http.client.HTTPException)


class TransientError(DownloadError):
    """A failure that may pass: the connection, a server that is busy."""


@dataclass
class Stream:
    """Bytes of a remote file from ``start`` on.

    total: size of the whole file in bytes, None where the server does not say.  validator: what If-Range takes, None where
    there is none.  url: the address after redirects.
    """

    body: IO[bytes] | Any
    start: int
    total: int | None
    validator: str | None
    url: str

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes; empty at the end, also where the connection ended early without a sign."""
        try:
            return self.body.read(count)
        except BROKEN as error:
            raise TransientError(f"the connection broke: {error or type(error).__name__}") from error

    def close(self) -> None:
        self.body.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_stream(url: str, *, start: int = 0, validator: str | None = None) -> Stream:
    """Open ``url`` at byte ``start``. Look at the Stream's own ``start``: it is 0 where the server sent the whole file.

    validator: of an earlier answer; where the file has changed since, the server sends the whole new one.
    Raises TransientError where trying again may help, DownloadError otherwise.
    """
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme == "file":
        return _open_file(url, start)
    if scheme not in ("http", "https"):
        raise DownloadError(f"{url} is no address to fetch from. Expected http://, https:// or file://.")
    # Without this header a server may compress, and positions would mean nothing.
    headers = {"User-Agent": "cnndetect", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        return _refused(url, start, error)
    except BROKEN as error:
        raise TransientError(f"no connection: {getattr(error, 'reason', None) or error or type(error).__name__}") from error
    try:
        return _answered(answer, start)
    except BaseException:
        answer.close()
        raise


def _answered(answer: http.client.HTTPResponse, start: int) -> Stream:
    length = answer.headers.get("Content-Length")
    validator = _validator(answer.headers)
    if answer.status != 206:
        return Stream(answer, 0, int(length) if length else None, validator, answer.url)
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
    if not found or int(found[1]) != start:
        raise DownloadError(f"the server answered with the range {answer.headers.get('Content-Range')!r}, asked for from {start}")
    return Stream(answer, start, None if found[3] == "*" else int(found[3]), validator, answer.url)


def _refused(url: str, start: int, error: urllib.error.HTTPError) -> Stream:
    error.close()
    size = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", "").strip())
    if error.code == 416 and size and int(size[1]) == start:
        return Stream(io.BytesIO(), start, start, _validator(error.headers), url)
    if error.code == 416 and start:
        # The file there is shorter than what is here: it is another one now.
        return open_stream(url)
    busy = error.code in (408, 425, 429) or error.code >= 500
    raise (TransientError if busy else DownloadError)(f"the server answered {error.code} {error.reason}")


def _validator(headers: Any) -> str | None:
    tag = headers.get("ETag")
    # A weak tag says nothing about single bytes and may not stand in If-Range.
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _open_file(url: str, start: int) -> Stream:
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
    try:
        body = path.open("rb")
        status = path.stat()
    except OSError as error:
        raise DownloadError(f"cannot be read: {error.strerror or error}") from error
    start = start if start <= status.st_size else 0
    body.seek(start)
    return Stream(body, start, status.st_size, f'"{status.st_mtime_ns}"', url)
