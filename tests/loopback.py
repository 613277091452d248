"""Servers on loopback that behave like real ones, and archives in the layout of the released ones."""

from __future__ import annotations

import io
import random
import re
import socket
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image


@dataclass
class Site:
    """What a server holds and how it misbehaves. cuts: bytes after which the next answers break off, one each."""

    files: dict[str, bytes]
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)  # statuses of the next answers
    etag: str | None = '"first"'
    length: bool = True
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)  # path, Range, If-Range
    sent: int = 0
    url: str = ""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            # Small buffers: what counts as sent has been read, or nearly.
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
            super().setup()

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            _answer(self, site)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    name, wanted, condition = handler.path.strip("/"), handler.headers.get("Range"), handler.headers.get("If-Range")
    site.requests.append((name, wanted, condition))
    if site.failures or name not in site.files:
        handler.send_error(site.failures.pop(0) if site.failures else 404)
        return
    content, start = site.files[name], 0
    # If-Range: a part only of the same file (RFC 9110, 13.1.5).
    if wanted and site.ranges and (condition is None or condition == site.etag):
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        if start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        handler.send_response(200)
    if site.length:
        handler.send_header("Content-Length", str(len(content) - start))
    if site.etag:
        handler.send_header("ETag", site.etag)
    handler.end_headers()
    stop = start + site.cuts.pop(0) if site.cuts else len(content)
    try:
        for at in range(start, min(stop, len(content)), 4096):
            piece = content[at : min(at + 4096, stop)]
            site.sent += len(piece)  # before the client can have it: a test reads this as soon as it has the last piece
            handler.wfile.write(piece)
    except OSError:
        pass  # the client has had enough
    handler.close_connection = True


def png(seed: int, size: int = 12) -> bytes:
    """A small image that does not compress away."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def make_zip(members: dict[str, bytes], *, padding: int = 0) -> bytes:
    """Deflated members, each with a forced zip64 record, as in archives above 4 GiB. padding: bytes in between."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                file.write(content)
            if padding:
                archive.writestr(zipfile.ZipInfo("padding/" + name.replace("/", "-")), random.Random(name).randbytes(padding))
    return _with_zip64_end(buffer.getvalue())


def _with_zip64_end(content: bytes) -> bytes:
    """The same archive with the zip64 end records of large ones (APPNOTE 4.3.14, 4.3.15) and nothing in the old one."""
    count, size, offset = struct.unpack("<HII", content[-12:-2])
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(content) - 22, 1)
    return content[:-22] + end64 + locator + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)


def in_seven_zip(content: bytes, tail: bytes = b"\x01" * 98) -> bytes:
    """A 7z in store mode: header, the file itself, the end header."""
    follows = struct.pack("<QQI", len(content), len(tail), zlib.crc32(tail))
    return b"7z\xbc\xaf\x27\x1c" + b"\x00\x04" + struct.pack("<I", zlib.crc32(follows)) + follows + content + tail
