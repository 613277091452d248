"""How the package writes and reads whole files: atomic writers, JSON and CSV without NaN, validated records.

Everything that is stored goes through these few functions, so that a reader never sees half a file, JSON never holds NaN,
and a damaged record is refused with its path, the field at fault and what to do next.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cnndetect.errors import CnndetectError, DataError

Record = TypeVar("Record")

PACKAGES = ("cnndetect", "torch", "torchvision", "onnxruntime", "openvino", "numpy", "scipy", "pillow")


def write_whole(path: str | Path, content: bytes | str | Callable[[Path], object], *, flush: bool = True) -> None:
    """Write a file completely or not at all: to a temporary file beside it, flushed to disk, then renamed.

    content: bytes, text (UTF-8), or a function that writes to the temporary path it is given.  flush: False for thousands of
    small files that are cheap to make again.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        if flush:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """The value as JSON has it: records and dataclasses as dictionaries, tuples as lists, NaN and infinities as None.

    >>> plain({"ap": float("nan"), "sets": ("crn", "san")})
    {'ap': None, 'sets': ['crn', 'san']}
    """
    return _without_nan(msgspec.to_builtins(value, enc_hook=_as_builtin))


def json_text(value: Any, *, indent: int | None = 1) -> str:
    """Sorted JSON of ``plain(value)``; what commands print for machines."""
    return json.dumps(plain(value), indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False)


def write_json(path: str | Path, value: Any, *, indent: int | None = 1) -> None:
    """``json_text`` as a file that ends in a line break."""
    write_whole(path, json_text(value, indent=indent) + "\n")


def csv_text(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as CSV; NaN and None are empty cells, other floats keep nine digits.

    >>> csv_text(["a", "b"], [["x", 1 / 3], ["y", float("nan")]])
    'a,b\\nx,0.333333333\\ny,\\n'
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return buffer.getvalue()


def write_csv(path: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Equal dictionaries as a CSV file, a row each. Raises DataError where the folder cannot be written to."""
    head = list(rows[0]) if rows else ["empty"]
    try:
        write_whole(path, csv_text(head, [[row[name] for name in head] for row in rows]))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Expected a file in a folder that you may write to.") from error


def read_record(
    path: str | Path,
    kind: type[Record],
    *,
    what: str,
    advice: str,
    unpack: Callable[[Any], Any] | None = None,
    error: type[CnndetectError] = DataError,
) -> Record:
    """The record that a JSON file holds, validated field by field.

    kind: a msgspec.Struct (with ``forbid_unknown_fields``) or another type that msgspec converts to.  what: such as "a result".
    advice: what the user can do.  unpack: applied to the parsed JSON before it is validated.  Raises ``error``.
    """
    try:
        content = msgspec.json.decode(Path(path).read_bytes())
        return msgspec.convert(content if unpack is None else unpack(content), kind)
    except (OSError, msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError) as cause:
        reason = f"{cause.args[0]!r} is missing" if isinstance(cause, KeyError) else str(cause)
        raise error(f"{path} is not {what} ({reason}). {advice}") from cause


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file; remembered until its size or time changes."""
    status = os.stat(path)
    return _sha256(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python and of what computes figures."""
    numbers = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            numbers[name] = "not installed"
    return numbers


@lru_cache(maxsize=256)
def _sha256(path: str, size: int, time_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_builtin(value: Any) -> Any:
    return str(value) if isinstance(value, os.PathLike) else value.tolist()  # of NumPy


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return value
    number = float(value)  # type: ignore[arg-type]
    return value if isinstance(value, int) else "" if math.isnan(number) else f"{number:.9g}"
