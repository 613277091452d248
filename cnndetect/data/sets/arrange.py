"""Arrange test sets of other layouts as ROOT/GENERATOR/{0_real,1_fake}, without changing a file.

The scanner reads three layouts where they lie: 0_real with 1_fake, nature with ai, real with fake. The others are arranged
once: ``arrange_flat`` and ``arrange_csv`` link files, ``arrange_parquet`` and ``arrange_webdataset`` write the encoded images out
without decoding them. Reals that several generators share are listed, not copied, so that intervals draw them together.
"""

from __future__ import annotations

import csv
import json
import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnndetect.data.folders import FAKE, REAL, SHARED_REALS
from cnndetect.errors import DataError, LayoutError
from cnndetect.files import write_whole
from cnndetect.images import EXTENSIONS, list_images

_WORDS = {"0": 0, "real": 0, "nature": 0, "human": 0, "authentic": 0, "1": 1, "fake": 1, "ai": 1, "generated": 1, "synthetic": 1}
_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"RIFF": ".webp", b"GIF8": ".gif", b"BM": ".bmp", b"II": ".tif", b"MM": ".tif"}


def label_of(value: Any) -> int | None:
    """0 real, 1 fake, None for anything else (a third class such as "tampered").

    >>> label_of("Real"), label_of(1), label_of(True), label_of(2)
    (0, 1, 1, None)
    """
    text = str(int(value)) if isinstance(value, (bool, float)) and value == int(value) else str(value)
    return _WORDS.get(text.strip().lower())


def arrange_flat(fakes: str | Path, reals: str | Path, target: str | Path) -> Counter[str]:
    """FAKES/GENERATOR/IMAGES with one folder of reals -> TARGET/GENERATOR/{0_real.txt,1_fake}; the reals are shared.

    Returns images per generator. Raises LayoutError where a folder holds no image.
    """
    fakes, reals, target = Path(fakes), Path(reals), Path(target)
    real_images = list_images(reals)
    if not real_images:
        raise LayoutError(f"{reals} holds no image. Expected the folder of the reals.")
    generators = sorted(child for child in fakes.iterdir() if child.is_dir() and child.resolve() != reals.resolve())
    counts: Counter[str] = Counter({child.name: len(list_images(child)) for child in generators})
    empty = [name for name, count in counts.items() if not count]
    if empty or not counts:
        raise LayoutError(f"{fakes} holds no image in {', '.join(empty) or 'any sub-folder'}. Expected one folder of fakes per generator.")
    for child in generators:
        place = target / child.name
        place.mkdir(parents=True, exist_ok=True)
        lines = [os.path.relpath(image.resolve(), place.resolve()) for image in real_images]
        write_whole(place / SHARED_REALS, "\n".join(lines) + "\n")
        _link(place / FAKE, child)
    return counts


def arrange_csv(
    table: str | Path, target: str | Path, *, path: str = "path", label: str = "label", group: str | None = None
) -> Counter[str]:
    """A CSV with a path (relative to the file) and a label a row -> TARGET/[GROUP/]{0_real,1_fake} of links.

    path, label, group: names of the columns.  Rows of a third class are left out and counted as "left out".
    """
    table, target = Path(table), Path(target)
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        _need(table, [name for name in (path, label, group) if name], reader.fieldnames or [])
        rows = list(reader)
    counts: Counter[str] = Counter()
    for number, row in enumerate(rows):
        source = (table.parent / row[path]).resolve()
        if not source.is_file():
            raise DataError(f"{table}, line {number + 2}: {row[path]} does not exist. Expected paths relative to the table.")
        place = _place(target, row[group] if group else "", label_of(row[label]), counts)
        if place is not None:
            _link(place / f"{number:06d}-{source.name}", source)
    return _checked(counts, table, (row[label] for row in rows))


def arrange_parquet(
    files: Iterable[str | Path], target: str | Path, *, image: str = "image", label: str = "label", group: str | None = None,
    prefix: str = "",
) -> Counter[str]:  # fmt: skip
    """Parquet tables with an image and a label column -> TARGET/[GROUP/]{0_real,1_fake}, row by row.

    image: a column of encoded bytes, or of {bytes, path} as the Hub stores it.  label: words or numbers; where the table names its
    classes (the Hub's ClassLabel) the names decide, because 0 may be "fake".  prefix: of the files' names.  Needs pyarrow.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise DataError("Parquet files need pyarrow. Install it with: python -m pip install 'cnndetect[parquet]'") from error
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    number = 0
    for file in map(Path, files):
        with _readable(file, "a Parquet file"), parquet.ParquetFile(file) as table:
            columns = [name for name in (image, label, group) if name]
            _need(file, columns, table.schema_arrow.names)
            names = _class_names(table.schema_arrow.metadata, label)
            for batch in table.iter_batches(batch_size=64, columns=columns):
                for row in batch.to_pylist():
                    content = row[image]["bytes"] if isinstance(row[image], Mapping) else row[image]
                    value = names[row[label]] if names and isinstance(row[label], int) else row[label]
                    seen.add(str(value))
                    _write(target, row[group] if group else "", value, f"{prefix}{number:06d}", content, counts)
                    number += 1
    return _checked(counts, target, seen)


def arrange_webdataset(
    files: Iterable[str | Path], target: str | Path, *, label: str = "label", label_from: Callable[[str], Any] | None = None
) -> Counter[str]:
    """WebDataset tars (KEY.jpg with KEY.cls, or KEY.json that has ``label``) -> TARGET/{0_real,1_fake}.

    label_from: the label by the sample's key, for tars without one.  Members are read in order and never extracted by name.
    """
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    number = 0
    for file in map(Path, files):
        for key, parts in _samples(file):
            content = next((body for name, body in parts.items() if f".{name}" in EXTENSIONS), None)
            if content is None:
                continue
            value = label_from(key) if label_from else _label_in(parts, label, f"{file}: {key}")
            seen.add(str(value))
            _write(target, "", value, f"{number:06d}-{re.sub(r'[^A-Za-z0-9_-]+', '-', key)[-60:]}", content, counts)
            number += 1
    return _checked(counts, target, seen)


def _class_names(metadata: Mapping[bytes, bytes] | None, label: str) -> list[str] | None:
    """Names of the classes behind the numbers of a column, as the Hub's tables carry them."""
    record = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    feature = record.get("info", {}).get("features", {}).get(label, {})
    return feature.get("names") if isinstance(feature, dict) else None


def _samples(file: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Members that follow each other and share a name up to the first dot."""
    key = ""
    parts: dict[str, bytes] = {}
    with _readable(file, "a WebDataset tar"), tarfile.open(file, "r:*") as archive:
        for member in archive:
            body = archive.extractfile(member)
            if body is None:  # a folder, a link
                continue
            folder, _, name = member.name.rpartition("/")
            stem, _, extension = name.partition(".")
            if f"{folder}/{stem}" != key and parts:
                yield key, parts
                parts = {}
            key = f"{folder}/{stem}"
            parts[extension.lower()] = body.read()
    if parts:
        yield key, parts


@contextmanager
def _readable(file: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, tarfile.TarError, EOFError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"{file} cannot be read ({error}). Expected {what}; fetch it again.") from error


def _label_in(parts: Mapping[str, bytes], label: str, name: str) -> Any:
    if "cls" in parts:
        return parts["cls"].decode("utf-8", "replace").strip()
    record = json.loads(parts["json"]) if "json" in parts else {}
    if label not in record:
        raise DataError(f"{name} has no label. Expected KEY.cls, or KEY.json with {label!r}; found {', '.join(sorted(parts))}.")
    return record[label]


def _write(target: str | Path, group: Any, value: Any, name: str, content: bytes, counts: Counter[str]) -> None:
    place = _place(Path(target), group, label_of(value), counts)
    if place is None:
        return
    suffix = next((suffix for magic, suffix in _SUFFIXES.items() if content.startswith(magic)), ".png")
    file = place / f"{name}{suffix}"
    if not file.is_file() or file.stat().st_size != len(content):
        write_whole(file, content, flush=False)


def _place(target: Path, group: Any, label: int | None, counts: Counter[str]) -> Path | None:
    if label is None:
        counts["left out"] += 1
        return None
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(group)).strip(".")
    counts[f"{name}/{(REAL, FAKE)[label]}".lstrip("/")] += 1
    return target / name / (REAL, FAKE)[label]


def _link(place: Path, source: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    place.symlink_to(source.resolve())


def _need(file: Path, wanted: Iterable[str], present: Iterable[str]) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        raise DataError(f"{file} has no column {', '.join(missing)}. It has: {', '.join(present)}.")


def _checked(counts: Counter[str], what: str | Path, values: Iterable[Any]) -> Counter[str]:
    if not any(name != "left out" for name in counts):
        found = ", ".join(sorted({str(value) for value in values})[:8]) or "nothing"
        raise DataError(f"{what}: no row is real or fake by its label (found: {found}). Known: {', '.join(_WORDS)}.")
    return counts
