"""Folders that may measure and never choose: no training, no threshold and no choice of a detector on a test suite.

A folder is a test suite where it, or a folder above it, holds a file TEST_ONLY; where it lies in the embedded suite; or
where it belongs to a data set that was released for testing.
"""

from __future__ import annotations

from pathlib import Path

from cnndetect.data.official.catalog import DATASETS
from cnndetect.errors import ProtocolError
from cnndetect.paths import data_root, mini_root

MARK = "TEST_ONLY"


def refuse_test_images(root: str | Path, *, purpose: str) -> None:
    """Raise ProtocolError where ``root`` belongs to a test suite. purpose: what was about to happen, for the message."""
    path = Path(root).resolve()
    suites = [mini_root(), *(data_root() / name for name, dataset in DATASETS.items() if dataset.split == "test")]
    above = [path, *path.parents]
    marked = next((folder for folder in above if (folder / MARK).is_file()), None)
    found = marked or next((suite for suite in suites if suite.resolve() in above), None)
    if found is not None:
        raise ProtocolError(
            f"{root} belongs to the test suite {found.name}: {purpose} on it would make its figures worthless. "
            "Use validation images, such as DATA/val of the training set."
        )
