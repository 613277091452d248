"""Addresses of one file in, the whole file under its name out, or an error: never a part of it, never a wrong one.

What has arrived lies in NAME.part beside the target, with NAME.part.json telling where it came from, so that a second
call continues where the first was cut. Only a file of the right size and checksum gets its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from cnndetect.data.official.remote import Stream, TransientError, open_stream
from cnndetect.errors import DownloadError

CHUNK_BYTES = 1 << 18

# Attempts at one address that bring nothing; each one that brings something starts the count again.
ATTEMPTS = 5
PAUSE_SECONDS = 1.0


class _NoRoomError(DownloadError):
    """Another mirror would not help."""


class _ChecksumError(DownloadError):
    """The whole file arrived, and it is another one."""


@dataclass(frozen=True)
class _Target:
    path: Path
    size: int | None
    digests: dict[str, str]  # algorithm -> hex digest
    progress: bool

    @property
    def part(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    @property
    def origin(self) -> Path:
        return self.path.with_name(self.path.name + ".part.json")


def download(
    urls: Sequence[str],
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    progress: bool = True,
) -> Path:
    """Fetch one file from the first address that has it, and return ``path``.

    urls: http, https or file, tried in order.  size: bytes.  sha256, md5: hex digests; give one wherever it is known.
    progress: bytes, rate and time left on stderr. A file that is there already and fits is not fetched again; a part that
    is there is continued.  Raises DownloadError where there is no room, or where no address has given the right file.

    >>> import tempfile; folder = Path(tempfile.mkdtemp()); _ = (folder / "a").write_bytes(b"four")
    >>> download([(folder / "a").as_uri()], folder / "b", size=4, progress=False).read_bytes()
    b'four'
    """
    digests = {name: digest.lower() for name, digest in (("sha256", sha256), ("md5", md5)) if digest}
    target = _Target(Path(path), size, digests, progress)
    if target.path.is_file() and _misfit(target.path, target) is None:
        return target.path
    target.path.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for url in urls:
        try:
            return _fetch(url, target)
        except _NoRoomError:
            raise
        except DownloadError as error:
            problems.append(f"\n  {url}: {error}")
    kept = " What has arrived is kept: the same command continues." if target.part.exists() else ""
    tried = "".join(problems) or "\n  no address was given"
    raise DownloadError(f"{target.path.name} could not be fetched.{kept} Tried:{tried}")


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


def _fetch(url: str, target: _Target) -> Path:
    begun_elsewhere = target.part.exists() and _origin(target).get("url") != url
    try:
        _complete(url, target)
        return _accept(target)
    except _ChecksumError:
        if not begun_elsewhere:
            raise
    # The bytes of two addresses did not fit together; this one alone may be right.
    _complete(url, target)
    return _accept(target)


def _complete(url: str, target: _Target) -> None:
    """Append to the part until the server's end of the file."""
    failures, longest = 0, _length(target.part)
    if target.digests and longest == target.size:
        return
    while True:
        try:
            if _append(url, target):
                return
            problem = TransientError(f"the connection ended after {_length(target.part)} bytes")
        except TransientError as error:
            problem = error
        # A server that begins anew each time must not keep us for ever.
        failures = 1 if _length(target.part) > longest else failures + 1
        longest = max(longest, _length(target.part))
        if failures >= ATTEMPTS:
            raise problem
        time.sleep(PAUSE_SECONDS * 2 ** (failures - 1))


def _append(url: str, target: _Target) -> bool:
    """One connection: whether the file is complete afterwards."""
    origin, begun = _origin(target), _length(target.part)
    same = origin.get("url") == url
    # Bytes that nothing will check may only be continued where the server vouches that it is the same file.
    vouched = bool(target.digests) or (same and origin.get("validator") is not None)
    start = begun if vouched and (target.size is None or begun <= target.size) else 0
    with open_stream(url, start=start, validator=origin.get("validator") if same else None) as stream:
        if target.size is not None and stream.total not in (None, target.size):
            raise DownloadError(f"the file has {stream.total} bytes there, expected {target.size}")
        total = target.size if target.size is not None else stream.total
        if total is not None:
            check_room(target.path.parent, total - stream.start, what=target.path.name)
        record = {"url": url, "validator": stream.validator}
        if record != origin:
            target.origin.write_text(json.dumps(record), encoding="utf-8")
        received = stream.start + _write(stream, target, total)
    if total is not None and received > total:
        target.part.unlink()
        raise DownloadError(f"more than the expected {total} bytes came")
    # Without a length, only an orderly end says that this was all.
    return total is None or received == total


def _write(stream: Stream, target: _Target, total: int | None) -> int:
    count = 0
    bar = tqdm(
        total=total,
        initial=stream.start,
        desc=target.path.name,
        unit="B",
        unit_scale=True,
        file=sys.stderr,
        disable=None if target.progress else True,
    )
    try:
        with bar, target.part.open("r+b" if target.part.exists() else "wb") as file:
            file.truncate(stream.start)
            file.seek(stream.start)
            while chunk := stream.read(CHUNK_BYTES):
                file.write(chunk)
                count += len(chunk)
                bar.update(len(chunk))
                if total is not None and stream.start + count > total:
                    break
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _NoRoomError(f"{target.part} cannot be written: {error.strerror or error}. What has arrived is kept.") from error
    return count


def _accept(target: _Target) -> Path:
    problem = _misfit(target.part, target)
    target.origin.unlink(missing_ok=True)
    if problem:
        target.part.unlink()
        raise _ChecksumError(f"{problem}; removed")
    os.replace(target.part, target.path)
    return target.path


def _misfit(path: Path, target: _Target) -> str | None:
    """What is wrong with a whole file, None where it fits all that is known."""
    length = _length(path)
    if target.size is not None and length != target.size:
        return f"the file has {length} bytes, expected {target.size}"
    for name, expected in target.digests.items():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, name).hexdigest()
        if found != expected:
            return f"{name} is {found}, expected {expected}"
    return None


def _origin(target: _Target) -> dict[str, str | None]:
    try:
        content = json.loads(target.origin.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
