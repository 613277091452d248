"""Read labelled images from folders: ROOT/[class/]{0_real,1_fake}/... The name of the folder alone gives the label.

A set may have a text file ``0_real.txt`` instead of a folder ``0_real``: one path a line, relative to the file, so
that several sets share the same reals.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from cnndetect.errors import LayoutError
from cnndetect.images import EXTENSIONS, list_images, packs

Item = TypeVar("Item")

REAL, FAKE = "0_real", "1_fake"
SHARED_REALS = "0_real.txt"

# Names of the two class folders: ours (as released by Wang et al.), GenImage's, Community Forensics'.
CLASS_FOLDERS = ((REAL, FAKE), ("nature", "ai"), ("real", "fake"))

LAYOUTS_KNOWN = (
    f"Expected {REAL}/ and {FAKE}/, at the top or one folder per class; nature/ and ai/, or real/ and fake/, serve too. Flat folders, "
    "CSV, Parquet and WebDataset are brought into this layout by cnndetect.data.sets.arrange."
)

# In front of this mark, a file's name is the photograph's: lake__0.png and lake__1.png are crops of one.
PHOTO_MARK = "__"


# Stands for the content of a file that cannot be read.
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Sample:
    """One image: where it lies, 0 real or 1 fake, its name inside the set, and the photograph it comes from."""

    path: Path
    label: int
    relative: str
    cluster: str  # the photograph's name where the file's name tells it, else ``relative``: an image of its own


def scan(root: str | Path) -> tuple[Sample, ...]:
    """All samples below ``root``, sorted by name.

    Raises LayoutError where a class is missing or empty; labels never flip, because only the folder's name counts.
    """
    root = Path(root)
    sets = find_sets(root)
    if not sets:
        raise LayoutError(f"{root} holds no test set (found: {found_in(root)}). {LAYOUTS_KNOWN}")
    samples = [sample for folder in sets for sample in _scan_one(folder, root)]
    return tuple(sorted(samples, key=lambda sample: (sample.label, sample.relative)))


def find_sets(root: str | Path) -> list[Path]:
    """Folders at or below ``root`` that hold a class folder, sorted."""
    root = Path(root)
    return _sets_below(root, (root.resolve(), *root.resolve().parents)) if packs.is_dir(root) else []


def contents(samples: Sequence[Sample]) -> tuple[str, ...]:
    """SHA-256 of every file, in order; UNREADABLE for a file that cannot be read."""
    return tuple(_content(sample.path) for sample in samples)


def fingerprint(samples: Sequence[Sample], *, known_contents: Sequence[str] | None = None) -> str:
    """SHA-256 over the names, labels and contents of a set; the order does not matter.

    known_contents: what ``contents`` gave for the same samples, so that no file is read twice.
    """
    found = contents(samples) if known_contents is None else known_contents
    lines = [f"{sample.relative}\t{sample.label}\t{content}" for sample, content in zip(samples, found, strict=True)]
    # A file name may hold bytes that are no UTF-8.
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def clusters(samples: Sequence[Sample], known_contents: Sequence[str]) -> list[str]:
    """What the bootstrap draws together, in this set and over all sets: crops of one photograph, or equal files.

    A file's name alone would not do: 0_real/0001.png is another image in every test set, while CRN and IMLE hold copies
    of the same reals.
    """
    own = [sample.cluster == sample.relative for sample in samples]
    readable = [content != UNREADABLE for content in known_contents]
    columns = zip(samples, known_contents, own, readable, strict=True)
    return [content[:16] if alone and known else sample.cluster for sample, content, alone, known in columns]


def _sets_below(root: Path, above: tuple[Path, ...]) -> list[Path]:
    if holds_classes(root):
        return [root]
    try:
        children = [child for child in packs.child_folders(root) if not child.name.startswith(".")]
    except OSError as error:
        raise LayoutError(f"{root} cannot be read: {error.strerror}. Check its permissions.") from error
    # A link back up would never end.
    below = [child for child in children if child.resolve() not in above]
    return [found for child in below for found in _sets_below(child, (*above, child.resolve()))]


def holds_classes(folder: Path) -> bool:
    """Whether the folder is a test set or a class of one, whole or not."""
    own = any(packs.exists(folder / name) for name in (REAL, FAKE, SHARED_REALS))
    return own or any(_both(folder, names) for names in CLASS_FOLDERS[1:])


def _both(folder: Path, names: tuple[str, str]) -> bool:
    return all(packs.is_dir(folder / name) for name in names)


def _scan_one(folder: Path, root: Path) -> list[Sample]:
    own = any(packs.exists(folder / name) for name in (REAL, FAKE, SHARED_REALS))
    other = None if own else next(names for names in CLASS_FOLDERS[1:] if _both(folder, names))
    real_name, fake_name = other or (REAL, FAKE)
    if packs.is_dir(folder / REAL) and packs.exists(folder / SHARED_REALS):
        raise LayoutError(f"{folder} has both {REAL}/ and {SHARED_REALS}. Expected one of them; remove the other.")
    shared = packs.exists(folder / SHARED_REALS)
    reals = _shared(folder / SHARED_REALS) if shared else _images(folder / real_name)
    fakes = _images(folder / fake_name)
    for files, name in ((reals, SHARED_REALS if shared else real_name), (fakes, fake_name)):
        if not files:
            state = "is empty" if packs.exists(folder / name) else "is missing"
            raise LayoutError(
                f"{folder / name} {state} (found in {folder.name}/: {found_in(folder)}). A test set needs both {real_name}/ and "
                f"{fake_name}/, each with images ({', '.join(EXTENSIONS[:4])}, ...)."
            )
    # A shared real is named as if it lay inside the set.
    named = [(path, 0, folder / REAL / path.name if shared else path) for path in reals]
    named += [(path, 1, path) for path in fakes]
    return [_sample(path, label, name.relative_to(root).as_posix()) for path, label, name in named]


def _images(folder: Path) -> list[Path]:
    return list_images(folder) if packs.is_dir(folder) else []


def _shared(file: Path) -> list[Path]:
    try:
        lines = [line.strip() for line in packs.read(file).decode("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(f"{file} cannot be read ({error}). Expected UTF-8 text, one path a line.") from error
    paths = [(file.parent / line).resolve() for line in lines if line]
    doubled = [name for name, count in Counter(path.name for path in paths).items() if count > 1]
    if doubled:
        raise LayoutError(
            f"{file} names {doubled[0]!r} more than once ({len(doubled)} such names). Inside a set a real is known by its "
            "file name; expected every name once."
        )
    return paths


def found_in(folder: Path) -> str:
    """The first names of a folder, for messages."""
    if not folder.is_dir():
        return "no such folder"
    names = sorted(path.name for path in folder.iterdir())
    return (", ".join(names[:8]) + (", ..." if len(names) > 8 else "")) or "nothing"


def _content(path: Path) -> str:
    try:
        if (packed := packs.find(path)) is not None:
            return packed.content_sha256()
        if not path.is_file():  # a pipe would block for ever
            return UNREADABLE
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE


def _sample(path: Path, label: int, relative: str) -> Sample:
    cluster = path.stem.split(PHOTO_MARK)[0] if PHOTO_MARK in path.stem else relative
    return Sample(path, label, relative, cluster)


def spread(samples: tuple[Sample, ...], max_images: int | None, *, seed: int = 0) -> tuple[Sample, ...]:
    """At most ``max_images`` samples: equal shares of every class and label, drawn by ``seed``; None keeps all.

    Inside a class and label every kind of view (``kind_of``) keeps its share, and names that are equal in both classes are drawn together,
    so that pairs stay pairs. Where a class has fewer than its share, the others fill up, so that the total is kept.

    >>> made = tuple(Sample(Path("x"), label, f"{(REAL, FAKE)[label]}/{i}-half.png", "x") for label in (0, 1) for i in range(50))
    >>> chosen = [sample.relative for sample in spread(made, 20)]
    >>> len(chosen), {name[7:] for name in chosen[:10]} == {name[7:] for name in chosen[10:]}
    (20, True)
    """
    if max_images is None or len(samples) <= max_images:
        return samples
    groups: dict[tuple[str, int], list[int]] = {}
    for place, sample in enumerate(samples):
        groups.setdefault((class_of(sample), sample.label), []).append(place)
    kept: list[int] = []
    for done, key in enumerate(sorted(groups, key=lambda key: (len(groups[key]), key))):
        count = min((max_images - len(kept)) // (len(groups) - done), len(groups[key]))
        kept += _draw([(samples[place], place) for place in groups[key]], count, seed)
    return tuple(samples[place] for place in sorted(kept))


def kind_of(sample: Sample) -> str:
    """The view of a photograph that a training image shows, by the end of its name: "half", "native", "mirrored"; "" where it says none.

    >>> kind_of(Sample(Path("x"), 0, "0_real/cat_00012-native3.png", "x")), kind_of(Sample(Path("x"), 0, "0_real/00012.png", "x"))
    ('native', '')
    """
    found = re.search(r"-([a-z]+)\d*$", PurePosixPath(sample.relative).stem)
    return found[1] if found else ""


def _draw(samples: Sequence[tuple[Sample, int]], count: int, seed: int) -> list[int]:
    """Places of ``count`` samples, every kind in its share, the first of each by a hash of seed and name."""
    kinds: dict[str, list[tuple[str, int]]] = {}
    for sample, place in samples:
        name = PurePosixPath(sample.relative).name
        digest = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).hexdigest()
        kinds.setdefault(kind_of(sample), []).append((digest, place))
    chosen: list[int] = []
    left = len(samples)
    for _, named in sorted(kinds.items(), key=lambda item: (len(item[1]), item[0])):
        share = round((count - len(chosen)) * len(named) / left)
        chosen += [place for _, place in sorted(named)[:share]]
        left -= len(named)
    return chosen


def evenly(items: Sequence[Item], count: int, *, ends: bool = False) -> list[Item]:
    """At most ``count`` of the items, evenly spread over their order. ends: the first and the last among them, as a ranking needs.

    >>> evenly("abcdef", 3), evenly("abcdef", 3, ends=True), evenly("abcdef", 1, ends=True)
    (['a', 'c', 'e'], ['a', 'c', 'f'], ['f'])
    """
    count = min(count, len(items))
    if ends:
        return [items[round(place)] for place in np.linspace(0, len(items) - 1, count)] if count > 1 else list(items[-count:])
    return [items[index * len(items) // count] for index in range(count)]


def class_of(sample: Sample) -> str:
    """Class folder of a sample, '' in a flat layout.

    >>> class_of(Sample(path=Path("x"), label=0, relative="cat/0_real/x.png", cluster="x"))
    'cat'
    """
    parts = PurePosixPath(sample.relative).parts
    names = {name for pair in CLASS_FOLDERS for name in pair}
    own = [place for place, part in enumerate(parts[:-1]) if part in (REAL, FAKE)]
    # "real" may be a folder inside 0_real, and 0_real comes first.
    return "/".join(parts[: own[0] if own else next(place for place, part in enumerate(parts) if part in names)])
