"""Facts about one image file: its container, global pixel statistics, traces of earlier processing, and two hashes."""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from cnndetect.analysis.audit.history import NAMES, pixel_history
from cnndetect.analysis.audit.pixels import STATISTICS, difference_hash, global_statistics
from cnndetect.data.folders import Sample
from cnndetect.errors import ImageError
from cnndetect.images import open_image, open_stored, read_file

# What PIL keeps in ``info`` about how it decodes, not about what somebody wrote into the file.
_NOT_METADATA = {"jfif_version", "jfif_unit", "jfif_density", "progression", "loop", "background", "timestamp", "duration"}


@dataclass(frozen=True)
class FileFacts:
    """One image of a test set."""

    sample: Sample
    sha256: str = ""
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    bytes: int = 0  # length of the file
    encoder: str = ""  # marks that a program leaves, whatever the picture
    jpeg_quality: float = float("nan")  # 1 to 100 by the IJG scale, NaN for other formats
    jpeg_exact: bool = False  # whether the tables are IJG's to the digit
    metadata: tuple[str, ...] = ()  # names of what is stored beside the pixels
    statistics: np.ndarray = field(default_factory=lambda: np.full(len(STATISTICS), np.nan))  # [K], see audit_pixels.STATISTICS
    bits: np.ndarray | None = None  # [128] bool, the difference hash; None where the picture is flat
    error: str = ""  # why it cannot be read, else ""
    # [9], earlier compression and resizing, see history.NAMES
    history: np.ndarray = field(default_factory=lambda: np.full(len(NAMES), np.nan))


def examine(sample: Sample) -> FileFacts:
    """Facts of one file, which is read once. A file that cannot be read has its reason in ``error``."""
    try:
        content = read_file(sample.path)
        stored, upright = open_stored(content), np.asarray(open_image(content))
    except ImageError as error:
        return FileFacts(sample, error=str(error).replace(str(sample.path), sample.relative))
    quality, exact = jpeg_quality(stored)
    return FileFacts(
        sample,
        hashlib.sha256(content).hexdigest(),
        stored.format or "",
        stored.mode,
        stored.width,
        stored.height,
        len(content),
        encoder_of(stored, content),
        quality,
        exact,
        metadata_of(stored),
        global_statistics(upright),
        difference_hash(upright),
        history=pixel_history(upright),
    )


def jpeg_quality(image: Image.Image) -> tuple[float, bool]:
    """Quality on the IJG scale by the luminance table, and whether all tables are IJG's exactly. NaN for other formats.

    image: as ``cnndetect.images.open_stored`` gives it.  Tables of other makers get the nearest quality, by the mean
    absolute difference of the table's logarithms.
    """
    tables = getattr(image, "quantization", None)
    if image.format not in ("JPEG", "MPO") or not tables:
        return float("nan"), False
    for quality in range(1, 101):
        known = ijg_tables(quality)
        if all(tuple(table) in known for table in tables.values()):
            return float(quality), True
    first = np.log(np.maximum(tables[min(tables)], 1))
    distances = [np.abs(np.log(ijg_tables(quality)[0]) - first).mean() for quality in range(1, 101)]
    return float(1 + int(np.argmin(distances))), False


@lru_cache(maxsize=100)
def ijg_tables(quality: int) -> tuple[tuple[int, ...], ...]:
    """The two quantisation tables, luminance and chrominance, that libjpeg writes at this quality (ITU-T T.81, Annex K, scaled).

    >>> ijg_tables(50)[0][:4]
    (16, 11, 10, 16)
    """
    memory = io.BytesIO()
    Image.new("RGB", (8, 8)).save(memory, format="jpeg", quality=quality)
    tables = open_stored(memory.getvalue()).quantization  # type: ignore[attr-defined]
    return tuple(tuple(tables[key]) for key in sorted(tables))


def metadata_of(image: Image.Image) -> tuple[str, ...]:
    """Names of what is stored beside the pixels, sorted; for a known writing program also its name."""
    names = {str(key) for key in image.info if str(key) not in _NOT_METADATA}
    software = image.info.get("Software") or _exif_software(image)
    return tuple(sorted(names | ({f"software={software}"} if software else set())))


def encoder_of(image: Image.Image, content: bytes) -> str:
    """Marks that the writing program leaves whatever the picture; equal for two files of one program and setting.

    PNG: depth, colour type, chunks, zlib's level, filtered or not.  JPEG: tables, subsampling, progressive or not,
    segments.  Other formats: their first chunk.
    """
    if image.format == "PNG":
        return _png_marks(content)
    if image.format in ("JPEG", "MPO"):
        return _jpeg_marks(image, content)
    return content[12:16].decode("ascii", "replace").strip() if image.format == "WEBP" else ""


def _png_marks(content: bytes) -> str:
    position, kinds, data = 8, [], b""
    while position + 8 <= len(content):
        length, kind = int.from_bytes(content[position : position + 4], "big"), content[position + 4 : position + 8]
        if kind == b"IDAT":
            data += content[position + 8 : position + 8 + length]
        kinds.append(kind.decode("ascii", "replace"))
        position += length + 12
    depth, colour, interlaced = content[24], content[25], content[28]
    # The two bits that say how hard zlib tried: 0 fastest to 3 slowest.
    level = data[1] >> 6 if len(data) > 1 else -1
    rows = ", interlaced" if interlaced else f", {_row_filters(data, content, depth, colour)}"
    return f"depth {depth}, colour {colour}, {'+'.join(dict.fromkeys(kinds))}, zlib {level}{rows}"


def _row_filters(data: bytes, content: bytes, depth: int, colour: int) -> str:
    """Whether any row has a PNG filter. Which ones depends on the picture, with most programs."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    width = int.from_bytes(content[16:20], "big")
    stride = 1 + (width * depth * channels + 7) // 8
    try:
        return "filtered" if any(zlib.decompress(data)[::stride]) else "unfiltered"
    except zlib.error:
        return "unknown"


def _jpeg_marks(image: Image.Image, content: bytes) -> str:
    tables = hashlib.sha256(repr(sorted(image.quantization.items())).encode()).hexdigest()[:8]  # type: ignore[attr-defined]
    sampling = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(JpegImagePlugin.get_sampling(image), "other")
    return f"tables {tables}, {sampling}, {'progressive' if image.info.get('progressive') else 'sequential'}, {_segments(content)}"


def _segments(content: bytes) -> str:
    """Names of the segments before the first scan, in order of first appearance."""
    position, names = 2, []
    while position + 4 <= len(content) and content[position] == 0xFF and content[position + 1] != 0xDA:
        names.append(f"{content[position + 1]:02X}")
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return "+".join(dict.fromkeys(names))


def _exif_software(image: Image.Image) -> str:
    try:
        return str(image.getexif().get(305, "")).strip("\x00 ")
    except Exception:  # damaged metadata beside whole pixels
        return ""


def facts_of(samples: tuple[Sample, ...], known: dict[Path, FileFacts]) -> list[FileFacts]:
    """Facts of all samples in order; ``known`` saves files that several test sets share from being read again."""
    found = []
    for sample in samples:
        facts = known.get(sample.path) or examine(sample)
        known[sample.path] = facts
        found.append(facts if facts.sample is sample else FileFacts(**{**facts.__dict__, "sample": sample}))
    return found
