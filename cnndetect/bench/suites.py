"""Suites by name or by path: which test sets there are, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cnndetect.data.folders import FAKE, REAL, SHARED_REALS, find_sets
from cnndetect.errors import LayoutError
from cnndetect.paths import mini_root

# The paper's order; other test sets follow by name.
FAMILY_ORDER = ("progan", "stylegan", "biggan", "cyclegan", "stargan", "gaugan", "crn", "imle", "sitd", "san", "deepfake")

MINI, MINI_VERSION = "mini", 1


@dataclass(frozen=True)
class TestSet:
    """One generator's images. root: a folder in the official layout, with or without classes."""

    name: str
    root: Path

    __test__ = False  # not a test for pytest


@dataclass(frozen=True)
class Suite:
    """Test sets that are reported together. A number is only comparable within one name and version."""

    name: str
    version: int
    sets: tuple[TestSet, ...]

    def __post_init__(self) -> None:
        names = [test_set.name for test_set in self.sets]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            folders = ", ".join(str(test_set.root) for test_set in self.sets if test_set.name in doubled)
            raise LayoutError(f"The suite {self.name} has several test sets called {doubled} ({folders}). Rename their folders.")

    @property
    def title(self) -> str:
        return f"{self.name}@{self.version}"


def list_suites() -> list[str]:
    """Names of the suites that are installed."""
    return [MINI] if _test_sets(mini_root()) else []


def find_suites(name: str | Path) -> list[Suite]:
    """The suites behind a name ("mini", "all") or a path. Raises LayoutError where there is none.

    A path is a suite of its own: one test set where it holds 0_real and 1_fake, else one per sub-folder.
    """
    if str(name) in ("all", MINI):
        # The embedded suite is the only one with a name today; "all" is every suite that is present.
        return [Suite(MINI, MINI_VERSION, _found(mini_root()))]
    path = Path(name)
    if not path.exists():
        raise LayoutError(
            f"There is no suite {str(name)!r} and no such folder. Expected all, {MINI}, or a folder with {REAL}/ and {FAKE}/."
        )
    return [Suite(_plain(path.resolve().name), 0, _found(path))]


def _found(root: Path) -> tuple[TestSet, ...]:
    sets = _test_sets(root)
    if not sets:
        raise LayoutError(f"{root} holds no test set. Expected {REAL}/ and {FAKE}/, in it or in its sub-folders.")
    return sets


def _test_sets(root: Path) -> tuple[TestSet, ...]:
    if not root.is_dir():
        return ()
    if any((root / name).exists() for name in (REAL, FAKE, SHARED_REALS)):
        return (TestSet(_plain(root.resolve().name), root),)
    names = [child for child in root.iterdir() if child.is_dir() and not child.name.startswith(".") and find_sets(child)]
    place = {name: index for index, name in enumerate(FAMILY_ORDER)}
    return tuple(TestSet(_plain(child.name), child) for child in sorted(names, key=lambda c: (place.get(c.name, 99), c.name)))


def _plain(name: str) -> str:
    # Names become file names of results.
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name) or "set"
