"""Damaged and hostile image files, all from one seed: the content of each depends on the seed and its index alone."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

# Few sizes, so that files that survive are scored in batches.
SIZES = ((24, 20), (32, 32))

# (mode, format) pairs that PIL writes; the odd ones are the point.
MODES = (
    ("RGB", "PNG"), ("RGB", "JPEG"), ("RGB", "WEBP"), ("RGB", "BMP"), ("RGB", "TIFF"), ("RGB", "PPM"), ("RGB", "GIF"),
    ("L", "PNG"), ("L", "JPEG"), ("1", "PNG"), ("1", "TIFF"), ("P", "PNG"), ("P", "GIF"), ("LA", "PNG"), ("RGBA", "PNG"),
    ("RGBA", "WEBP"), ("I;16", "PNG"), ("I;16", "TIFF"), ("I", "TIFF"), ("F", "TIFF"), ("CMYK", "JPEG"), ("CMYK", "TIFF"),
    ("LAB", "TIFF"), ("YCbCr", "JPEG"), ("RGB", "JPEG2000"),
)  # fmt: skip

NAMES = (
    b"plain", b"two\nlines", b"carriage\rreturn", b"tab\there", b"bad\xff\xfeutf8", b"-dash", b" space ", b"quote\"'", b"=1+1",
    b"{}*?[a]", b"\x1b[31mred", "ünïcode-写真-🦊".encode(), "\u202eright".encode(), b"semi;colon&and", b"%s%d", b"n" * 200,
)  # fmt: skip

Damage = Callable[[bytes, np.random.Generator], bytes]


def picture(rng: np.random.Generator) -> bytes:
    """A whole small image of a drawn mode and format."""
    mode, kind = MODES[int(rng.integers(len(MODES)))]
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if mode in ("I;16", "I", "F"):
        values = noise[:, :, 0].astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])
        image = Image.fromarray(values / np.float32(255) if mode == "F" else values * 257 if mode == "I;16" else values)
    else:
        image = Image.fromarray(noise) if mode == "RGB" else Image.fromarray(noise).convert(mode)
    if profile := image.info.get("icc_profile"):  # converting to LAB attaches one; bytes 24 to 35 are the time at which it was made
        image.info["icc_profile"] = profile[:24] + bytes(12) + profile[36:]
    memory = io.BytesIO()
    image.save(memory, format=kind)
    return memory.getvalue()


def truncated(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(0, len(content)))]


def bits_flipped(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(0, len(changed) * 8, int(rng.integers(1, 24))):
        changed[place // 8] ^= 1 << (place % 8)
    return bytes(changed)


def header_flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of the header replaced: sizes, offsets and types that lie."""
    changed = bytearray(content)
    for place in rng.integers(0, min(64, len(changed)), 4):
        changed[place] = int(rng.choice([0, 1, 127, 128, 255]))
    return bytes(changed)


def spliced(content: bytes, rng: np.random.Generator) -> bytes:
    """The start of one file and the end of another."""
    other = picture(rng)
    return content[: int(rng.integers(1, len(content)))] + other[int(rng.integers(0, len(other))) :]


def garbage(content: bytes, rng: np.random.Generator) -> bytes:
    """Random bytes behind a signature that promises an image."""
    signatures = (
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"BM",
        b"II*\x00",
        b"MM\x00*",
        b"RIFF\x10\x00\x00\x00WEBPVP8 ",
        b"P6\n",
        b"",
    )
    return signatures[int(rng.integers(len(signatures)))] + rng.bytes(int(rng.integers(0, 300)))


def huge_header(content: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes that claim billions of pixels."""
    side = int(rng.choice([40_000, 65_535, 2_000_000_000]))
    small = min(side, 65_535)
    kinds = (
        lambda: png(side, side, b""),
        lambda: png(side, 1, b""),
        lambda: b"GIF89a" + struct.pack("<HHBBB", small, small, 0, 0, 0) + b",\0\0\0\0" + struct.pack("<HHB", small, small, 0) + b"\x02\0;",
        lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1000, 0, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0),
        lambda: b"P6\n%d %d\n255\n" % (side, side) + bytes(100),
        lambda: b"P5\n%d 1\n65535\n" % (side * 10) + bytes(100),
    )
    return kinds[int(rng.integers(len(kinds)))]()


def bomb(content: bytes, rng: np.random.Generator) -> bytes:
    """Small files that unpack to much: pixels beyond the limit, compressed text, a colour profile, frames without end."""
    kinds = (
        lambda: png(20_000, 20_000, zlib.compress(bytes(1_000_000), 9)),
        lambda: png(24, 20, zlib.compress(bytes(50_000_000), 1)),  # far more rows than the header has
        lambda: png(24, 20, zlib.compress(bytes(20 * 73)), (b"zTXt", b"t\0\0" + zlib.compress(bytes(70_000_000), 1))),
        lambda: png(24, 20, zlib.compress(bytes(20 * 73)), (b"iCCP", b"p\0\0" + zlib.compress(bytes(70_000_000), 1))),
        lambda: png(24, 20, zlib.compress(bytes(20 * 73)), *[(b"tEXt", b"k\0" + bytes(50))] * 2000),
    )
    return kinds[int(rng.integers(len(kinds)))]()


def png(width: int, height: int, data: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG with any header and any data, its checksums right."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, 8, 2, 0, 0, 0))
    chunks = b"".join(chunk(kind, body) for kind, body in extra)
    return b"\x89PNG\r\n\x1a\n" + header + chunks + chunk(b"IDAT", data) + chunk(b"IEND", b"")


# kind -> (share of all, damage)
KINDS: dict[str, tuple[float, Damage]] = {
    "whole, odd modes": (0.2, lambda content, rng: content),
    "truncated": (0.2, truncated),
    "bits flipped": (0.2, bits_flipped),
    "header bytes replaced": (0.15, header_flipped),
    "spliced": (0.1, spliced),
    "random bytes behind a signature": (0.1, garbage),
    "huge headers": (0.04, huge_header),
    "bombs": (0.005, bomb),
    "empty": (0.005, lambda content, rng: b""),
}


def make(seed: int, index: int) -> tuple[str, bytes]:
    """Kind and content of one file."""
    rng = np.random.default_rng((seed, index))
    shares = np.array([share for share, _ in KINDS.values()])
    kind = list(KINDS)[int(rng.choice(len(KINDS), p=shares / shares.sum()))]
    return kind, KINDS[kind][1](picture(rng), rng)


def name_of(index: int) -> bytes:
    """A file name, unique by its number. Names with line breaks and invalid UTF-8 come round every few files."""
    suffix = (b".png", b".jpg", b".JPEG", b".webp", b".tif", b".gif", b".bmp", b".ppm")[index % 8]
    return b"%05d-" % index + NAMES[index % len(NAMES)] + suffix


def write_files(folder: Path, count: int, seed: int, *, start: int = 0) -> dict[str, int]:
    """Write ``count`` files, and return how many of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, int] = {}
    for index in range(start, start + count):
        kind, content = make(seed, index)
        kinds[kind] = kinds.get(kind, 0) + 1
        (folder / os.fsdecode(name_of(index))).write_bytes(content)
    return kinds


def write_large(folder: Path, megapixels: Sequence[int]) -> list[Path]:
    """Whole PNG files of so many megapixels, three to four in shape; the rows repeat a drawn one, so the files are small. Their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, paths = np.random.default_rng(len(folder.name)), []
    for size in megapixels:
        height = int((size * 750_000) ** 0.5)
        width = -(-size * 1_000_000 // height)
        row, packer = b"\0" + rng.bytes(3 * width), zlib.compressobj(1)
        same = b"\2" + bytes(3 * width)  # filter 2: as the row above
        data = b"".join([packer.compress(row), *(packer.compress(same) for _ in range(height - 1)), packer.flush()])
        paths.append(folder / f"{size}.png")
        paths[-1].write_bytes(png(width, height, data))
    return paths


def write_traps(folder: Path) -> int:
    """Things that are no files: links in a circle, broken links, a pipe, a folder called like an image. Returns how many are listed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "self.png").symlink_to("self.png")
    (folder / "a.png").symlink_to("b.png")
    (folder / "b.png").symlink_to("a.png")
    (folder / "broken\nlink.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "loop").symlink_to(".")
    (folder / "folder.png").mkdir()
    (folder / "folder.png" / "up").symlink_to("../..")
    return 5
