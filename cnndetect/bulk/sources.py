"""What bulk scoring reads: image files, WebDataset tars and Parquet files with image bytes, local or at an address of fsspec.

The inputs become units. A unit is what one task scores: a list of image files, one tar, or one Parquet file.
"""

from __future__ import annotations

import glob
import hashlib
import os
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import fsspec
import msgspec
import numpy as np

from cnndetect.counting import counted
from cnndetect.errors import DataError, ImageError, LayoutError
from cnndetect.images import EXTENSIONS, list_images, packs, to_rgb_array
from cnndetect.scoring.loader import Load
from cnndetect.transforms.preprocess import Protocol, cut

TARS = (".tar", ".tar.gz", ".tgz")
PARQUETS = (".parquet", ".pq")

# Columns that hold image bytes in the usual exports, in the order in which they are looked for.
COLUMNS = ("image", "img", "bytes", "jpg", "png", "webp", "content")

_ROWS_AT_ONCE = 16  # of a Parquet file, so that few encoded images are in memory


class Unit(msgspec.Struct, frozen=True):
    """Images that one task scores."""

    kind: Literal["files", "tar", "parquet"]
    addresses: tuple[str, ...]
    """The image files; the one address of a tar or of a Parquet file."""
    size: int = 0
    """Bytes of the tar or Parquet file; 0 for image files."""

    @property
    def source(self) -> str:
        """Names the unit in the files that hold its scores."""
        return f"{self.kind}-{_digest(*self.addresses)[:20]}"

    @property
    def state(self) -> str:
        """Tells a tar or a Parquet file from another one at the same address."""
        return _digest(str(self.size))[:6]


def is_address(text: str) -> bool:
    """Whether this is an address of fsspec, such as s3://bucket/folder, and not a local path.

    >>> is_address("s3://bucket/folder"), is_address("photos/a.png")
    (True, False)
    """
    return "://" in text


def find_units(inputs: Sequence[str | os.PathLike[str]], *, images_per_part: int) -> list[Unit]:
    """The units of all inputs, in the order of the inputs; what is named twice counts once.

    inputs: files, folders, patterns such as "photos/*.jpg", and addresses of any of them.
    Raises LayoutError for an input that holds nothing to score.
    """
    found: dict[str, None] = {}
    for given in (os.fspath(one) for one in inputs):
        names = _listed_there(given) if is_address(given) else _listed_here(given)
        if not names:
            expected = f"images ({', '.join(EXTENSIONS[:3])}, ...), tars ({', '.join(TARS)}) or Parquet files ({', '.join(PARQUETS)})"
            raise LayoutError(f"{given} holds nothing to score. Expected {expected}.")
        found |= dict.fromkeys(names)
    shards = [name for name in found if _kind(name) != "files"]
    return file_units([name for name in found if _kind(name) == "files"], images_per_part) + [_shard(name) for name in shards]


def file_units(files: Sequence[str], images_per_part: int) -> list[Unit]:
    """Image files as units of so many."""
    return [Unit("files", tuple(files[start : start + images_per_part])) for start in range(0, len(files), images_per_part)]


def images_of(unit: Unit, protocol: Protocol, *, start: int = 0, column: str | None = None) -> Iterator[tuple[str, Load]]:
    """(name, function that returns uint8 [H, W, 3] or raises ImageError) of every image of a unit, from number ``start`` on.

    column: of a Parquet file, the one that holds the images; None for the usual names.
    A tar or Parquet file that breaks off ends with one entry of its own name, which fails with the reason.
    """
    if unit.kind == "files":
        for address in unit.addresses[start:]:
            yield address, partial(_load, address, protocol)
        return
    address, number = unit.addresses[0], start
    try:
        for name, content in _members(address, start) if unit.kind == "tar" else _rows(address, start, column):
            yield name, partial(_decoded, name, content, protocol)
            number += 1
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001  every file system and decoder raises errors of its own
        yield address, partial(_broken, f"{address} breaks off after {counted(number, 'image')}: {type(error).__name__}: {error}")


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()


def _kind(name: str) -> Literal["files", "tar", "parquet"]:
    lower = name.lower()
    return "tar" if lower.endswith(TARS) else "parquet" if lower.endswith(PARQUETS) else "files"


def _shard(name: str) -> Unit:
    kind = _kind(name)
    if is_address(name):
        system, path = fsspec.core.url_to_fs(name)
        return Unit(kind, (name,), int(system.info(path).get("size") or 0))
    return Unit(kind, (name,), os.path.getsize(name))


def _wanted(name: str) -> bool:
    return name.lower().endswith((*EXTENSIONS, *TARS, *PARQUETS))


def _listed_here(given: str) -> list[str]:
    path = Path(given)
    if packs.is_dir(path):
        shards = [str(found) for found in sorted(path.rglob("*")) if _kind(found.name) != "files" and found.is_file()]
        return [str(found) for found in list_images(path)] + [name for name in shards if "/." not in name[len(given) :]]
    if glob.has_magic(given) and not os.path.lexists(given):
        return [name for name in sorted(glob.glob(given, recursive=True)) if _wanted(name) and os.path.isfile(name)]
    if not packs.exists(path):
        raise LayoutError(f"{given} does not exist. Expected a file, a folder, a pattern, or an address such as s3://bucket/folder.")
    return [given]


def _listed_there(given: str) -> list[str]:
    try:
        system, path = fsspec.core.url_to_fs(given)
        if glob.has_magic(path):
            names = system.glob(path)
        else:
            names = [path] if system.isfile(path) else system.find(path)
    except (ImportError, ValueError, OSError) as error:
        raise LayoutError(f"{given} cannot be listed: {error}. Expected an address that fsspec can read.") from error
    below = [name for name in sorted(names) if "/." not in name[len(path) :] and (_wanted(name) or name == path)]
    return [system.unstrip_protocol(name) for name in below]


def _load(address: str, protocol: Protocol) -> np.ndarray:
    if not is_address(address):
        return cut(to_rgb_array(Path(address)), protocol)
    try:
        system, path = fsspec.core.url_to_fs(address)
        content = system.cat_file(path)
    except Exception as error:  # every file system raises errors of its own
        raise ImageError(f"{address} cannot be read: {type(error).__name__}: {error}.") from error
    return _decoded(address, content, protocol)


def _decoded(name: str, content: bytes | None, protocol: Protocol) -> np.ndarray:
    if not content:
        raise ImageError(f"{name} is empty (0 bytes). Expected an image file.")
    try:
        return cut(to_rgb_array(content), protocol)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error


def _broken(reason: str) -> np.ndarray:
    raise ImageError(reason)


def _open(address: str) -> Any:
    return fsspec.open(address, "rb").open() if is_address(address) else open(address, "rb")


class _Header(tarfile.TarInfo):
    """A header of a tar whose end is marked: tarfile itself takes torn and damaged tars for shorter ones."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Any:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise EOFError(f"no end mark ({error})") from error


def _members(address: str, start: int) -> Iterator[tuple[str, bytes]]:
    """Images of a tar in its order, read once from front to back. Their names open with fsspec."""
    with _open(address) as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=_Header) as archive:
        number = -1
        for member in archive:
            hidden = os.path.basename(member.name).startswith(".")
            if not member.isfile() or hidden or not member.name.lower().endswith(EXTENSIONS):
                continue
            number += 1
            content = archive.extractfile(member) if number >= start else None
            if content is not None:
                yield f"tar://{member.name}::{address}", content.read()


def _rows(address: str, start: int, column: str | None) -> Iterator[tuple[str, bytes | None]]:
    """Images of a Parquet file, a few rows at a time. Their names are ADDRESS#ROW."""
    import pyarrow.parquet

    with _open(address) as file:
        table = pyarrow.parquet.ParquetFile(file)
        name, inner = _image_column(table.schema_arrow, address, column)
        row = 0
        for group in range(table.metadata.num_row_groups):
            if row + table.metadata.row_group(group).num_rows <= start:
                row += table.metadata.row_group(group).num_rows
                continue
            for batch in table.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[name]):
                for value in batch.column(0):
                    content = value.as_py()
                    if row >= start:
                        yield f"{address}#{row}", content.get("bytes") if inner and content is not None else content
                    row += 1


def _image_column(schema: Any, address: str, column: str | None) -> tuple[str, bool]:
    """The column of image bytes, and whether they lie in its field ``bytes``. Raises DataError."""
    from pyarrow import types

    def holds(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    def inner(kind: Any) -> bool:
        return types.is_struct(kind) and kind.get_field_index("bytes") >= 0 and holds(kind.field("bytes").type)

    usable = {field.name: inner(field.type) for field in schema if holds(field.type) or inner(field.type)}
    wanted = [column] if column is not None else [*COLUMNS, *usable]
    name = next((name for name in wanted if name in usable), None)
    if name is None:
        found = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise DataError(
            f"{address} has no column {column or 'of image bytes'} (found: {found}). Expected encoded images as binary, or as a struct "
            "with the field bytes; name the column with --column."
        )
    return name, usable[name]
