"""Verify a folder of official data: missing, extra, duplicated and unreadable images of each class."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cnndetect.data.folders import FAKE, REAL
from cnndetect.data.official.catalog import DATASETS, Dataset, Group, find_dataset, find_groups, named_groups
from cnndetect.data.official.flaws import flaw_lines
from cnndetect.errors import ImageError, LayoutError, ProtocolError
from cnndetect.images import list_images, open_image
from cnndetect.progress import bar

NAMED = 5


@dataclass(frozen=True)
class ClassCheck:
    """One class folder against the catalogue."""

    folder: str  # GROUP/[CLASS/]0_real or 1_fake
    expected: int
    found: int
    duplicated: tuple[str, ...] = ()  # images with the content of another one of the same class or of its counterpart
    unreadable: tuple[str, ...] = ()  # a line each

    @property
    def missing(self) -> int:
        return max(0, self.expected - self.found)

    @property
    def extra(self) -> int:
        return max(0, self.found - self.expected)

    @property
    def is_right(self) -> bool:
        return self.expected == self.found and not self.duplicated and not self.unreadable


@dataclass(frozen=True)
class Check:
    """A folder of official data against the catalogue."""

    root: str
    dataset: str
    classes: tuple[ClassCheck, ...]
    unknown: tuple[str, ...]  # folders with images that the catalogue does not have
    flaws: tuple[str, ...]  # what is known to be wrong with the originals

    @property
    def is_right(self) -> bool:
        return not self.unknown and all(part.is_right for part in self.classes)


def verify(
    root: str | Path, name: str | None = None, *, only: Sequence[str] | None = None, contents: bool = True, progress: bool = False
) -> Check:
    """Compare ROOT/GROUP/[CLASS/]{0_real,1_fake} with the catalogue.

    name: of a suite or a data set, None to tell it from the folders.  only: groups to look at.
    contents: also decode every image and look for equal files; without, files are only counted.
    Raises LayoutError where there is no such folder, ProtocolError where the data set cannot be told.
    """
    root = Path(root)
    if not root.is_dir():
        raise LayoutError(f"{root} is not a folder. Expected the folder that holds the generators, such as progan/ and biggan/.")
    name = name or _told_by(root)
    dataset = find_dataset(name)
    groups = named_groups(name) if only is None else find_groups(dataset, only)
    pairs = [(f"{group.name}/{part}".rstrip("/"), counts) for group in groups for part, counts in group.classes.items()]
    listed = {folder: (_images(root / folder / REAL), _images(root / folder / FAKE)) for folder, _ in pairs}
    total = sum(len(files) for both in listed.values() for files in both)
    checks: list[ClassCheck] = []
    with bar(total=total, desc="verify", shown=progress and contents, leave=True) as shown:
        for folder, counts in pairs:
            real, fake = listed[folder]
            wrong, equal = _look([*real, *fake], shown.update) if contents else ({}, set())
            for label, expected, files in ((REAL, counts.real, real), (FAKE, counts.fake, fake)):
                checks.append(
                    ClassCheck(
                        f"{folder}/{label}",
                        expected,
                        len(files),
                        tuple(str(file.relative_to(root)) for file in files if file in equal),
                        tuple(f"{file.relative_to(root)}: {wrong[file]}" for file in files if file in wrong),
                    )
                )
    return Check(
        str(root),
        dataset.name,
        tuple(checks),
        tuple(_unknown(root, dataset, groups)),
        tuple(flaw_lines(dataset.name, [group.name for group in groups])),
    )


def _told_by(root: Path) -> str:
    present = {child.name for child in root.iterdir() if child.is_dir()}
    fitting = [dataset.name for dataset in DATASETS.values() if present & set(dataset.groups)]
    if len(fitting) == 1:
        return fitting[0]
    raise ProtocolError(f"{root} may be {' or '.join(fitting) or 'any data set'}. Say which with --suite; known: {', '.join(DATASETS)}.")


def _look(files: list[Path], advance: Callable[[], object]) -> tuple[dict[Path, str], set[Path]]:
    """What is wrong with which file, and which files repeat an earlier one, over the two folders of one class."""
    wrong: dict[Path, str] = {}
    digests: dict[Path, str] = {}
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1))) as pool:
        for file, (digest, problem) in zip(files, pool.map(_decode, files), strict=True):
            advance()
            if problem is not None:
                wrong[file] = problem
            if digest is not None:
                digests[file] = digest
    seen: Counter[str] = Counter()
    repeated = set()
    for file, digest in digests.items():
        if seen[digest]:
            repeated.add(file)
        seen[digest] += 1
    return wrong, repeated


def _decode(file: Path) -> tuple[str | None, str | None]:
    try:
        content = file.read_bytes()
    except OSError as error:
        return None, error.strerror or str(error)
    digest = hashlib.sha256(content).hexdigest()
    try:
        open_image(content)
    except ImageError as error:
        return digest, str(error)
    return digest, None


def _unknown(root: Path, dataset: Dataset, groups: Sequence[Group]) -> Iterator[str]:
    """Class folders that belong to no class of the groups; groups of the data set that were not asked for are no fault."""
    for folder in sorted(root.iterdir()):
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        group = dataset.groups.get(folder.name)
        if group is None:
            if any(path.is_dir() for label in (REAL, FAKE) for path in folder.rglob(label)):
                yield folder.name
        elif group in groups:
            for label in sorted({path.parent for name in (REAL, FAKE) for path in folder.rglob(name)}):
                inside = "" if label == folder else label.relative_to(folder).as_posix()
                if inside not in group.classes:
                    yield label.relative_to(root).as_posix()


def _images(folder: Path) -> list[Path]:
    return list_images(folder) if folder.is_dir() else []
