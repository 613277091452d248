"""Refuse test suites where something is chosen: no training, no threshold and no selection of a detector may use them.

A folder is refused where it, a folder above it or one up to three levels below it holds a file TEST_ONLY; where it lies in, or holds, the
embedded suite, a released test set or a set of the catalogue; and where one of its images lies there, as a list of shared reals allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from cnndetect.data.folders import Sample
from cnndetect.data.official.catalog import DATASETS
from cnndetect.data.sets.rows import set_rows
from cnndetect.errors import ProtocolError
from cnndetect.paths import data_root, mini_root

MARK = "TEST_ONLY"

# Class folders of a training set lie two levels below it: SPLIT/CLASS.
_BELOW = (f"*/{MARK}", f"*/*/{MARK}", f"*/*/*/{MARK}")


def refuse_test_images(root: str | Path, *, purpose: str) -> None:
    """Raise ProtocolError where ``root`` belongs to a test suite, or holds one. purpose: what was about to happen, for the message."""
    path = Path(root).resolve()
    found = _suite_above(path)
    if found is None:
        marked = next(chain.from_iterable(path.glob(pattern) for pattern in _BELOW), None) if path.is_dir() else None
        found = marked.parent if marked else next((suite for suite in _suites() if suite.is_dir() and path in suite.parents), None)
    if found is not None:
        _refuse(root, found, purpose)


def refuse_test_samples(samples: Iterable[Sample], *, purpose: str) -> None:
    """Raise ProtocolError where an image lies in a test suite, wherever its set's folder is."""
    for folder in sorted({sample.path.parent for sample in samples}):
        found = _suite_above(folder.resolve())
        if found is not None:
            _refuse(folder, found, purpose)


def _suite_above(path: Path) -> Path | None:
    """The test suite that a resolved path lies in, or is."""
    above = [path, *path.parents]
    marked = next((folder for folder in above if (folder / MARK).is_file()), None)
    return marked or next((suite for suite in _suites() if suite in above), None)


def _suites() -> list[Path]:
    names = [*(name for name, dataset in DATASETS.items() if dataset.split == "test"), *set_rows()]
    return [root.resolve() for root in (mini_root(), *(data_root() / name for name in names))]


def _refuse(given: str | Path, suite: Path, purpose: str) -> None:
    raise ProtocolError(
        f"{given} belongs to the test suite {suite.name}: {purpose} on it would make its figures worthless. "
        "Use validation images, such as DATA/val of the training set."
    )
