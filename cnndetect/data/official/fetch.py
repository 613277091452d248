"""Fetch the images of an official data set: by range from a mirror, from the whole archive, or from a copy that the user has.

By range only the members that are wanted cross the network; nothing needs room for the archive itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cnndetect.data.official.archive import open_zip
from cnndetect.data.official.catalog import REVISIONS, STORE, Dataset, File, Group, find_groups
from cnndetect.data.official.download import check_room, download
from cnndetect.data.official.range_file import RangeFile
from cnndetect.data.official.unpack import list_members, unpack
from cnndetect.errors import DataError
from cnndetect.paths import data_root

# Also the variable by which huggingface_hub lets users choose a mirror of the whole store.
STORE_VARIABLE, STORE_DEFAULT = "HF_ENDPOINT", "https://huggingface.co"


@dataclass(frozen=True)
class Fetched:
    """What a fetch did."""

    dataset: str
    groups: tuple[str, ...]
    folder: str
    written: int  # files
    kept: int  # files that were here already
    bytes: int  # of the written ones
    failed: tuple[str, ...]  # a line for each file that is not there


def addresses(file: File, mirrors: Sequence[str] = ()) -> list[str]:
    """Where a file of the store lies: the user's mirrors first. A mirror is a folder's address, or the file's own.

    >>> addresses(File("a.zip", 1, None), ["http://near/data/"])[0]
    'http://near/data/a.zip'
    """
    near = [mirror if mirror.endswith(f"/{file.name}") else f"{mirror.rstrip('/')}/{quote(file.name)}" for mirror in mirrors]
    store = os.environ.get(STORE_VARIABLE, STORE_DEFAULT).rstrip("/")
    return [*near, *(f"{store}/{STORE}/{revision}/{quote(file.name)}" for revision in REVISIONS)]


def folder_of(dataset: Dataset, dest: str | Path | None = None) -> Path:
    """Where the groups of a data set lie: ``dest``, else its folder below the data root."""
    return Path(dest) if dest is not None else data_root() / dataset.name


def fetch(
    dataset: Dataset,
    *,
    only: Sequence[str] | None = None,
    dest: str | Path | None = None,
    mirrors: Sequence[str] = (),
    from_archive: str | Path | None = None,
    whole: bool = False,
    progress: bool = True,
) -> Fetched:
    """Bring the groups of a data set to ``dest``/GROUP; what is there already and whole is not fetched again.

    only: groups, None for all.  mirrors: addresses tried before the catalogue's.  from_archive: the archive on this
    machine (of several parts: the first).  whole: fetch and check the whole archive first, for mirrors without ranges.
    Raises DownloadError, DataError for an archive that is another one, UnknownNameError.
    """
    groups, folder = find_groups(dataset, only), folder_of(dataset, dest)
    if from_archive is not None:
        return _from_files(dataset, groups, folder, _parts_beside(dataset, Path(from_archive)), progress)
    if whole:
        check_room(folder, sum(part.bytes for part in dataset.parts if not (folder / part.name).exists()), what="The archive")
        files = [
            download(addresses(part, mirrors), folder / part.name, size=part.bytes, sha256=part.sha256, progress=progress)
            for part in dataset.parts
        ]
        return _from_files(dataset, groups, folder, files, progress)
    remote = [RangeFile(addresses(part, mirrors), size=part.bytes) for part in dataset.parts]

    def doubt() -> None:
        for part in remote:
            part.doubt()

    return _unpacked(dataset, groups, folder, remote, progress, doubt)


def _from_files(dataset: Dataset, groups: Sequence[Group], folder: Path, files: Sequence[Path], progress: bool) -> Fetched:
    return _unpacked(dataset, groups, folder, [file.open("rb") for file in files], progress, None)


def _unpacked(
    dataset: Dataset, groups: Sequence[Group], folder: Path, parts: Sequence, progress: bool, doubt: Callable[[], None] | None
) -> Fetched:
    with ExitStack() as stack:
        for part in parts:
            stack.callback(part.close)
        archive = stack.enter_context(open_zip(parts))
        members = list_members(archive, groups)
        absent = [group.name for group in groups if not any(m.relative.startswith(f"{group.name}/") for m in members)]
        if absent:
            raise DataError(f"The archive does not hold {', '.join(absent)}. Expected {dataset.layout}, as in {dataset.parts[0].name}.")
        done = unpack(archive, members, folder, progress=progress, doubt=doubt)
    names = tuple(group.name for group in groups)
    return Fetched(dataset.name, names, str(folder), done.written, done.kept, done.bytes, done.failed)


def _parts_beside(dataset: Dataset, first: Path) -> list[Path]:
    """The archive's files on this machine: FIRST, and its followers by number where it is FILE.001."""
    files = [first]
    if re.search(r"\.0*1$", first.name):
        digits = len(first.suffix) - 1
        files = [first.with_suffix(f".{number:0{digits}d}") for number in range(1, max(2, len(dataset.parts) + 1))]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise DataError(f"{', '.join(missing)}: no such file. Expected the archive {dataset.parts[0].name}, all of its parts side by side.")
    return files
