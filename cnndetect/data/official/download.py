"""Download one file: resumed after a break, checked, and never under its name before it is whole and right.

Connections, redirects, proxies and the retries of a busy server are those of requests and urllib3. This module adds what they
lack: continuing in the middle of a file, mirrors, and the check of size and checksum. What has arrived lies in NAME.part beside
the target, with NAME.part.json telling where it came from, so that the next call continues where the last one was cut.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cnndetect.errors import DownloadError
from cnndetect.progress import bar

CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = 30.0

# Attempts at one address that bring nothing; each one that brings something starts the count again.
ATTEMPTS = 5
PAUSE_SECONDS = 1.0


class _NoRoomError(DownloadError):
    """The disk is full: another mirror would not help."""


class RestartError(DownloadError):
    """The file is not continued where the connection broke: what the Reader gives next is its beginning."""


class Reader:
    """A file at an http, https or file address, read forward over as many connections as that takes.

    Opens at byte ``start``; look at ``position`` then: it is 0 where the server sends the whole file, because it ignores ranges
    or because the file is another one than ``validator`` (of an earlier answer) tells (RFC 9110, sections 13.1.5 and 14).
    total: size of the file in bytes, as known or as the server tells it, or None.  Raises DownloadError after several attempts.
    """

    def __init__(self, url: str, *, start: int = 0, validator: str | None = None, size: int | None = None):
        self.url, self.total, self.validator = url, size, validator
        self._body: Any = None
        self.position = self._connect(start)

    def read(self, count: int) -> bytes:
        """At least one byte and at most about ``count``; empty at the end of the file."""
        from urllib3.exceptions import HTTPError

        for attempt in range(ATTEMPTS):
            broken = False
            try:
                if self._body is None and (begin := self._connect(self.position)) != self.position:
                    ended, self.position = self.position, begin
                    raise RestartError(f"the connection ended after {ended} bytes, and the server sends the whole file again")
                # Undecoded: positions count the bytes of the file itself.
                content = self._body.read(count, decode_content=False) if hasattr(self._body, "decode_content") else self._body.read(count)
            except (HTTPError, OSError):
                content, broken = b"", True
            # Without a known size, only an orderly end says that this was all.
            if content or (not broken and self.total in (None, self.position)):
                self.position += len(content)
                return content
            self.close()
            time.sleep(PAUSE_SECONDS * 2**attempt)
        raise DownloadError(f"the connection ended after {self.position} bytes, {ATTEMPTS} times")

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def _connect(self, start: int) -> int:
        """Open a connection at byte ``start``, or at the beginning; the byte where it begins."""
        self._body, begin, total, self.validator = _open(self.url, start, self.validator)
        if self.total is not None and total not in (None, self.total):
            self.close()
            raise DownloadError(f"the file has {total} bytes there, expected {self.total}")
        self.total = total if self.total is None else self.total
        return begin


def _open(url: str, start: int, validator: str | None) -> tuple[Any, int, int | None, str | None]:
    """Bytes from ``start`` or from the beginning: the open file, where it begins, the size of the whole, what If-Range takes."""
    scheme = urlsplit(url).scheme
    if scheme == "file":
        path = Path(url2pathname(urlsplit(url).path))
        try:
            body, status = path.open("rb"), path.stat()
        except OSError as error:
            raise DownloadError(f"cannot be read: {error.strerror or error}") from error
        return body, body.seek(start if start <= status.st_size else 0), status.st_size, f'"{status.st_mtime_ns}"'
    if scheme not in ("http", "https"):
        raise DownloadError(f"{url} is not an address that can be fetched. Expected http://, https:// or file://.")
    import requests

    # Without this header a server may compress, and positions would mean nothing.
    headers = {"User-Agent": "cnndetect", "Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={start}-"} if start else {}
    headers |= {"If-Range": validator} if start and validator else {}
    try:
        answer = _session().get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise DownloadError(f"no connection: {getattr(error.args[0], 'reason', error) if error.args else error}") from error
    # A weak tag says nothing about single bytes and may not stand in If-Range.
    tag = answer.headers.get("ETag")
    tag = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")
    said = answer.headers.get("Content-Range", "").strip()
    if answer.status_code == 200:
        length = answer.headers.get("Content-Length")
        return answer.raw, 0, int(length) if length else None, tag
    if answer.status_code == 206 and (found := re.fullmatch(rf"bytes {start}-\d+/(\d+|\*)", said)):
        return answer.raw, start, None if found[1] == "*" else int(found[1]), tag
    answer.close()
    if answer.status_code == 416 and said == f"bytes */{start}":
        return io.BytesIO(), start, start, tag
    if answer.status_code == 416 and start:
        return _open(url, 0, None)  # the file there is shorter than what is here: it is another one now
    raise DownloadError(f"the server answered {answer.status_code} {answer.reason} {said}".rstrip())


def _session() -> Any:
    """A session that asks a busy server again."""
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    again = Retry(ATTEMPTS, backoff_factor=PAUSE_SECONDS, status_forcelist=(408, 425, 429, 500, 502, 503, 504), raise_on_status=False)
    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=again))
    return session


def download(
    urls: Sequence[str], path: Path, *, size: int | None = None, sha256: str | None = None, md5: str | None = None, progress: bool = True
) -> Path:
    """Fetch one file from the first address that has it, and return ``path``.

    urls: http, https or file, tried in order.  size: bytes.  sha256, md5: hex digests; give one wherever it is known.
    progress: bytes, rate and time left on stderr. A file that is there already and fits is not fetched again; a part that
    is there is continued.  Raises DownloadError where there is no room, or where no address has given the right file.

    >>> import tempfile; folder = Path(tempfile.mkdtemp()); _ = (folder / "a").write_bytes(b"four")
    >>> download([(folder / "a").as_uri()], folder / "b", size=4, progress=False).read_bytes()
    b'four'
    """
    file = _Download(Path(path), size, {name: digest.lower() for name, digest in (("sha256", sha256), ("md5", md5)) if digest}, progress)
    if file.path.is_file() and file.misfit(file.path) is None:
        return file.path
    file.path.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for url in urls:
        try:
            begun_elsewhere = file.part.exists() and file.origin().get("url") != url
            problem = file.complete(url)
            if problem and begun_elsewhere:  # the bytes of two addresses did not fit together; this one alone may be right
                problem = file.complete(url)
            if problem is None:
                return file.path
        except _NoRoomError:
            raise
        except DownloadError as error:
            problem = str(error)
        problems.append(f"\n  {url}: {problem}")
    kept = " What has arrived is kept: the same command continues." if file.part.exists() else ""
    tried = "".join(problems) or "\n  no address was given"
    raise DownloadError(f"{file.path.name} could not be fetched.{kept} Tried:{tried}")


def check_room(folder: Path, needed: int, *, what: str) -> None:
    """Raise DownloadError where the disk of ``folder`` has less than ``needed`` bytes free. The folder need not exist."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise _NoRoomError(
            f"{what} needs {size_text(needed)} in {folder}, and {size_text(free)} are free there. Make room or choose another folder."
        )


def size_text(count: int) -> str:
    """Bytes in decimal units.

    >>> size_text(20_052_866_587), size_text(512)
    ('20.1 GB', '512 bytes')
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"


@dataclass(frozen=True)
class _Download:
    path: Path
    size: int | None
    digests: dict[str, str]  # algorithm -> hex digest
    progress: bool

    @property
    def part(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    @property
    def note(self) -> Path:
        """Where the part came from."""
        return self.path.with_name(self.path.name + ".part.json")

    def origin(self) -> dict[str, str | None]:
        try:
            content = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def complete(self, url: str) -> str | None:
        """Continue the part to the end of the file and give it its name; what is wrong with it where it is another file."""
        if not (self.digests and self.arrived() == self.size):
            self._append(url)
        problem = self.misfit(self.part)
        self.note.unlink(missing_ok=True)
        if problem is None:
            os.replace(self.part, self.path)
            return None
        self.part.unlink()
        return f"{problem}; removed"

    def _append(self, url: str) -> None:
        origin, begun = self.origin(), self.arrived()
        validator = origin.get("validator") if origin.get("url") == url else None
        # Bytes that nothing will check may only be continued where the server vouches that it is the same file.
        start = begun if (self.digests or validator) and (self.size is None or begun <= self.size) else 0
        with closing(Reader(url, start=start, validator=validator, size=self.size)) as source:
            total = source.total
            if total is not None:
                check_room(self.path.parent, total - source.position, what=self.path.name)
            self.note.write_text(json.dumps({"url": url, "validator": source.validator}), encoding="utf-8")
            shown = bar(
                total=total, initial=source.position, desc=self.path.name, unit="B", unit_scale=True, leave=True, shown=self.progress
            )
            try:
                with shown, self.part.open("r+b" if self.part.exists() else "wb") as file:
                    for chunk in self._chunks(source, file):
                        file.write(chunk)
                        shown.update(len(chunk))
            except OSError as error:
                raise _NoRoomError(f"{self.part} cannot be written: {error.strerror or error}. What has arrived is kept.") from error
        if total is not None and source.position > total:
            self.part.unlink()
            raise DownloadError(f"more than the expected {total} bytes came")

    def _chunks(self, source: Reader, file: BinaryIO) -> Iterator[bytes]:
        """What is to be written to the file next; where the source begins anew, the file does too."""
        file.seek(source.position)
        file.truncate()
        restarts = 0
        while source.total is None or source.position <= source.total:
            try:
                chunk = source.read(CHUNK_BYTES)
            except RestartError:
                restarts += 1
                if restarts == ATTEMPTS:
                    raise
                file.seek(0)
                file.truncate()
                continue
            if not chunk:
                return
            yield chunk

    def misfit(self, path: Path) -> str | None:
        """What is wrong with a whole file, None where it fits all that is known."""
        length = path.stat().st_size
        if self.size is not None and length != self.size:
            return f"the file has {length} bytes, expected {self.size}"
        for name, expected in self.digests.items():
            with path.open("rb") as file:
                found = hashlib.file_digest(file, name).hexdigest()
            if found != expected:
                return f"{name} is {found}, expected {expected}"
        return None
