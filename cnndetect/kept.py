"""A cache between processes: spectra, heat maps, measures and audits of unchanged images, and how exact an engine is.

An entry is named by a digest of everything that it was made from: the images' contents, the detector, the options, and the
source of the code that made it. So nothing is ever out of date, and a folder of entries may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar
from zipfile import BadZipFile

import msgspec
import numpy as np

from cnndetect.data.folders import Sample, contents
from cnndetect.files import json_text, sha256_of, write_whole
from cnndetect.paths import kept_root

Record = TypeVar("Record")
Arrays = dict[str, np.ndarray]


def kept_arrays(kind: str, made_from: Sequence[str], code: Sequence[ModuleType], make: Callable[[], Arrays]) -> Arrays:
    """Named arrays, read where they are kept and made where they are not. made_from: names, digests, options."""
    path = _place(kind, made_from, code).with_suffix(".npz")
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        made = make()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **made)  # type: ignore[arg-type]
    _write(path, buffer.getvalue())
    return made


def kept_record(kind: str, made_from: Sequence[str], code: Sequence[ModuleType], make: Callable[[], Record], type_: type[Record]) -> Record:
    """The same for a record that JSON can hold."""
    path = _place(kind, made_from, code).with_suffix(".json")
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_, strict=False)
    except (OSError, msgspec.MsgspecError):
        made = make()
    _write(path, json_text(made))
    return made


def content_of(samples: Sequence[Sample]) -> str:
    """A digest of the samples' names, labels and contents, in their order."""
    lines = [f"{sample.relative}\t{sample.label}\t{content}" for sample, content in zip(samples, contents(samples), strict=True)]
    return _digest(lines)


def _place(kind: str, made_from: Sequence[str], code: Sequence[ModuleType]) -> Path:
    sources = [sha256_of(str(module.__file__)) for module in code]
    return kept_root() / kind / _digest([kind, *made_from, *sources])[:40]


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _write(path: Path, content: bytes | str) -> None:
    """A cache that cannot be written costs time, not the answer."""
    try:
        write_whole(path, content, flush=False)
    except OSError:
        pass
