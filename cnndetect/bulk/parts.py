"""Where bulk scoring writes: a folder of Parquet parts, local or at an address of fsspec, each written whole or not at all.

A part's name is SOURCE-STATE-NUMBER.parquet, with ``-end`` before the suffix where it is the last of its unit. So a listing tells what
is done, and two workers that score the same unit write the same files. ``_run.json`` says which detector and protocol they are of;
readers of Parquet folders pass over names that begin with an underscore.
"""

from __future__ import annotations

import io
import math
import os
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import fsspec
import msgspec
from fsspec.implementations.local import LocalFileSystem

from cnndetect.bulk.sources import Unit, file_units
from cnndetect.errors import DataError, ProtocolError

RUN = "_run.json"

_NAME = re.compile(r"(?P<source>(files|tar|parquet)-[0-9a-f]{20})-(?P<state>[0-9a-f]{6})-(?P<number>\d{6})(?P<end>-end)?\.parquet")


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every part of a folder was made with. Equal runs give equal scores."""

    detector: str
    identity: str | None
    """Digest of weights or source code; None where nothing proves that two runs used the same detector."""
    weights_sha256: str | None
    protocol: str
    images_per_part: int
    batch_size: int
    backend: str
    """As it was asked for. With "auto" each machine takes its fastest one that gives torch's logits (cnndetect/backends)."""
    precision: str


@dataclass(frozen=True)
class Row:
    """What became of one image."""

    path: str
    logit: float
    """NaN where it failed."""
    fakeness: float
    error: str | None


@dataclass(frozen=True)
class Part:
    """One file of scores."""

    name: str
    source: str
    state: str
    number: int
    is_end: bool


class Parts:
    """The parts of one folder."""

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.out = os.fspath(out)

    def __reduce__(self) -> tuple[Any, ...]:
        return Parts, (self.out,)  # a file system is not sent to other machines

    @cached_property
    def _place(self) -> tuple[Any, str]:
        system, root = fsspec.core.url_to_fs(self.out)
        return system, root.rstrip("/")

    def prepare(self, run: Run) -> None:
        """Make the folder, or make sure that it belongs to an equal run. Raises ProtocolError, DataError."""
        system, root = self._place
        try:
            system.makedirs(root, exist_ok=True)
            names = {os.path.basename(name.rstrip("/")) for name in system.ls(root, detail=False, refresh=True)}
        except OSError as error:
            raise DataError(f"{self.out} cannot be written: {error}. Expected a folder that you may write to.") from error
        names = {name for name in names if not name.startswith(".")}
        if RUN not in names:
            if names:
                raise ProtocolError(f"{self.out} holds {sorted(names)[0]} and no {RUN}. Expected a new or empty folder for the scores.")
            self._write(RUN, msgspec.json.encode(run))
            return
        try:
            earlier = msgspec.json.decode(system.cat_file(f"{root}/{RUN}"), type=Run)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.out}/{RUN} cannot be read: {error}. Give another folder.") from error
        if earlier != run:
            changed = [name for name in Run.__struct_fields__ if getattr(earlier, name) != getattr(run, name)]
            shown = "; ".join(f"{name} {getattr(earlier, name)!r}, now {getattr(run, name)!r}" for name in changed)
            raise ProtocolError(f"{self.out} holds scores of another run ({shown}). Give the same options, or another folder.")
        if run.identity is None and self.listed():
            raise ProtocolError(
                f"{self.out} holds scores, and nothing proves that {run.detector} is still the same detector. Give another folder, or a "
                "detector with weights or an identity."
            )

    def tidy(self) -> None:
        """Remove what killed workers left half written. To be called when every part is there."""
        system, root = self._place
        if isinstance(system, LocalFileSystem):
            for entry in os.scandir(root):
                if entry.name.startswith(".") and entry.name.endswith(".tmp") and _NAME.match(entry.name[1:]):
                    os.unlink(entry)

    def listed(self, source: str = "") -> list[Part]:
        """Parts that are written, those of one source or all of them, by name."""
        system, root = self._place
        names = sorted(os.path.basename(name) for name in system.glob(f"{root}/{source}*.parquet", refresh=True))
        found = [(name, match) for name in names if (match := _NAME.fullmatch(name))]
        return [Part(name, m["source"], m["state"], int(m["number"]), m["end"] is not None) for name, m in found]

    def left_of(self, units: Sequence[Unit]) -> list[Unit]:
        """What is still to be scored: units without their last part, and no file that an older list has scored.

        Raises DataError for a tar or a Parquet file that has changed since parts of it were written.
        """
        parts = self.listed()
        ended = {part.source for part in parts if part.is_end}
        states = {part.source: part.state for part in parts}
        for unit in units:
            if states.get(unit.source, unit.state) != unit.state:
                raise DataError(f"{unit.addresses[0]} has changed since it was scored into {self.out}. Give another folder.")
        left = [unit for unit in units if unit.source not in ended]
        planned = {unit.source for unit in units}
        older = [part for part in parts if part.source.startswith("files-") and part.source not in planned]
        if not older or all(unit.kind != "files" for unit in left):
            return left
        done = {path for part in older for path in self._paths(part)}
        files = [address for unit in left if unit.kind == "files" for address in unit.addresses if address not in done]
        longest = max(len(unit.addresses) for unit in units if unit.kind == "files")
        return file_units(files, longest) + [unit for unit in left if unit.kind != "files"]

    def write(self, unit: Unit, number: int, rows: Sequence[Row], run: Run, *, is_end: bool) -> None:
        """Write part ``number`` of a unit."""
        import pyarrow
        import pyarrow.parquet

        def numbers(values: Iterable[float]) -> Any:
            return pyarrow.array([None if math.isnan(value) else value for value in values], pyarrow.float64())

        def words(values: Iterable[str | None]) -> Any:
            # A file name may hold bytes that are no text.
            return pyarrow.array(
                [None if word is None else word.encode("utf-8", "backslashreplace").decode() for word in values], pyarrow.string()
            )

        columns = {
            "path": words(row.path for row in rows),
            "logit": numbers(row.logit for row in rows),
            "fakeness": numbers(row.fakeness for row in rows),
            "error": words(row.error for row in rows),
            "detector": words([run.detector] * len(rows)),
            "weights_sha256": words([run.weights_sha256] * len(rows)),
            "protocol": words([run.protocol] * len(rows)),
        }
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
        self._write(f"{unit.source}-{unit.state}-{number:06d}{'-end' if is_end else ''}.parquet", buffer.getvalue())

    def counts(self, parts: Iterable[Part]) -> tuple[int, int]:
        """Images and failures in these parts, read from their footers."""
        import pyarrow.parquet

        system, root = self._place
        images = failed = 0
        for part in parts:
            with system.open(f"{root}/{part.name}", "rb") as file:
                footer = pyarrow.parquet.read_metadata(file)
            images += footer.num_rows
            logit = footer.schema.names.index("logit")
            groups = (footer.row_group(group).column(logit).statistics for group in range(footer.num_row_groups))
            failed += sum(statistics.null_count for statistics in groups if statistics is not None)
        return images, failed

    def _paths(self, part: Part) -> list[str]:
        import pyarrow.parquet

        system, root = self._place
        with system.open(f"{root}/{part.name}", "rb") as file:
            return pyarrow.parquet.read_table(file, columns=["path"]).column("path").to_pylist()

    def _write(self, name: str, content: bytes) -> None:
        system, root = self._place
        if not isinstance(system, LocalFileSystem):  # an object appears whole
            system.pipe_file(f"{root}/{name}", content)
            return
        # Two workers may write the same part, when one of them was taken for dead.
        temporary = f"{root}/.{name}.{uuid.uuid4().hex}.tmp"
        system.pipe_file(temporary, content)
        os.replace(temporary, f"{root}/{name}")
