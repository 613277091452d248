"""A folder in, labelled samples out: ROOT/[class/]{0_real,1_fake}/..., labels by folder name alone.

A set may have a text file ``0_real.txt`` instead of a folder ``0_real``: one path a line, relative to the file, so
that several sets share the same reals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnndetect.errors import LayoutError
from cnndetect.images import EXTENSIONS, list_images

REAL, FAKE = "0_real", "1_fake"
SHARED_REALS = "0_real.txt"

# In front of this mark, a file's name is the photograph's: lake__0.png and lake__1.png are crops of one.
PHOTO_MARK = "__"


@dataclass(frozen=True)
class Sample:
    """One image: where it lies, 0 real or 1 fake, its name inside the set, and the photograph it comes from."""

    path: Path
    label: int
    relative: str
    cluster: str


def scan(root: str | Path) -> tuple[Sample, ...]:
    """All samples below ``root``, sorted by name.

    Raises LayoutError where a class is missing or empty; labels never flip, because only the folder's name counts.
    """
    root = Path(root)
    sets = find_sets(root)
    if not sets:
        found = ", ".join(sorted(path.name for path in root.iterdir())[:8]) if root.is_dir() else "no such folder"
        raise LayoutError(
            f"{root} holds no test set (found: {found or 'nothing'}). "
            f"Expected {REAL}/ and {FAKE}/, at the top or one folder per class."
        )
    samples = [sample for folder in sets for sample in _scan_one(folder, root)]
    return tuple(sorted(samples, key=lambda sample: (sample.label, sample.relative)))


def find_sets(root: str | Path) -> list[Path]:
    """Folders at or below ``root`` that hold a class folder, sorted."""
    root = Path(root)
    if not root.is_dir():
        return []
    if any((root / name).exists() for name in (REAL, FAKE, SHARED_REALS)):
        return [root]
    return [found for child in sorted(root.iterdir()) if child.is_dir() for found in find_sets(child)]


def fingerprint(samples: Sequence[Sample]) -> str:
    """SHA-256 over the names, labels and contents of a set; the order does not matter."""
    lines = []
    for sample in samples:
        digest = hashlib.sha256()
        try:
            digest.update(sample.path.read_bytes())
            content = digest.hexdigest()
        except OSError:
            content = "unreadable"
        lines.append(f"{sample.relative}\t{sample.label}\t{content}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _scan_one(folder: Path, root: Path) -> list[Sample]:
    if (folder / REAL).is_dir() and (folder / SHARED_REALS).exists():
        raise LayoutError(f"{folder} has both {REAL}/ and {SHARED_REALS}. Expected one of them; remove the other.")
    reals = _shared(folder / SHARED_REALS) if (folder / SHARED_REALS).exists() else list_images(folder / REAL)
    fakes = list_images(folder / FAKE)
    for files, name in ((reals, REAL), (fakes, FAKE)):
        if not files:
            state = "is empty" if (folder / name).exists() else "is missing"
            raise LayoutError(
                f"{folder / name} {state}: it has no images ({', '.join(EXTENSIONS)}). A test set needs both {REAL}/ and {FAKE}/."
            )
    samples = []
    for files, label in ((reals, 0), (fakes, 1)):
        for path in files:
            relative = _relative(path, folder, root)
            samples.append(Sample(path, label, relative, _cluster(path, relative, folder)))
    return samples


def _shared(file: Path) -> list[Path]:
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(file.parent / line).resolve() for line in lines]


def _relative(path: Path, folder: Path, root: Path) -> str:
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    # A shared real lies outside the set; it is named as if it lay inside.
    return (folder.relative_to(root) / REAL / path.name).as_posix()


def _cluster(path: Path, relative: str, folder: Path) -> str:
    if PHOTO_MARK in path.stem:
        return path.stem.split(PHOTO_MARK)[0]
    return relative if path.is_relative_to(folder) else f"{path.parent.name}/{path.name}"
