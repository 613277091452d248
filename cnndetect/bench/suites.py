"""Suites by name or by path: which test sets there are, and where."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cnndetect.data.folders import FAKE, LAYOUTS_KNOWN, REAL, find_sets, found_in, holds_classes
from cnndetect.data.official.catalog import DATASETS, MINI, MINI_VERSION, SUITES, Group, SuiteFacts, find_groups, named_groups
from cnndetect.data.sets.hub import SCHEME, hub_suite
from cnndetect.data.sets.rows import find_row, how_to_get, set_rows
from cnndetect.errors import LayoutError, UnknownNameError
from cnndetect.images import packs
from cnndetect.paths import GET_MINI, data_root, mini_root

# The paper's order; other test sets follow by name.
FAMILY_ORDER = ("progan", "stylegan", "biggan", "cyclegan", "stargan", "gaugan", "crn", "imle", "sitd", "san", "deepfake")

# Generators that others trained, built by the user into the data folder: cnndetect zoo public.
PUBLIC, PUBLIC_VERSION = "public", 2


@dataclass(frozen=True)
class TestSet:
    """One generator's images."""

    name: str
    root: Path  # a folder in the official layout, with or without classes
    place: str = ""  # sub-folder of its results, "" where the name alone tells them apart
    official: str | None = None  # its name in the catalogue of released data, None for all others

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


def family_rank(name: str) -> tuple[int, str]:
    """Sorts test sets: the paper's families in its order, then the others by name.

    >>> sorted(["mine", "san", "progan"], key=family_rank)
    ['progan', 'san', 'mine']
    """
    return (FAMILY_ORDER.index(name) if name in FAMILY_ORDER else len(FAMILY_ORDER), name)


def list_suites() -> list[str]:
    """Names of the suites that are installed, whole."""
    embedded = [MINI] if _test_sets(mini_root()) else []
    built = [PUBLIC] if _public_is_built() else []
    return embedded + built + [name for name, facts in SUITES.items() if not _absent(facts)] + _present_rows()


def find_suites(name: str | Path) -> list[Suite]:
    """The suites behind a name ("mini", "forensynths-13", "all") or a path. Raises UnknownNameError or LayoutError where there is none.

    "all": every suite that is present. A path is a suite of its own: one test set where it holds 0_real and 1_fake, else
    one per sub-folder.
    """
    if str(name) == "all":
        # The embedded suite comes with the package: where it is missing, that is an error.
        released = [_official(facts) for facts in SUITES.values() if not _absent(facts)]
        built = [_public()] if _public_is_built() else []
        return [_mini(), *built, *released, *(_of_row(name) for name in _present_rows())]
    if str(name) == MINI:
        return [_mini()]
    if str(name) == PUBLIC and not packs.exists(Path(name)):
        return [_public()]
    if str(name) in SUITES:
        return [_official(SUITES[str(name)])]
    if str(name).startswith(SCHEME):
        root = hub_suite(str(name))
        return [Suite(_plain(root.name), 0, _found(root))]
    path = Path(name)
    if str(name) in set_rows() and not packs.exists(path):
        return [_of_row(str(name))]
    if not packs.exists(path):
        near = difflib.get_close_matches(str(name), ["all", MINI, PUBLIC, *SUITES, *set_rows()], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        # A bare word is a name, and anything with a slash a path: the two end the program with different codes.
        raise (LayoutError if os.path.basename(str(name)) != str(name) else UnknownNameError)(
            f"There is no suite {str(name)!r} and no such folder.{hint} Known: all, {MINI}, {', '.join(SUITES)}; {PUBLIC}, once it is "
            f"built; the {len(set_rows())} test sets that `cnndetect data ls` lists; or a folder with {REAL}/ and {FAKE}/."
        )
    return [Suite(_plain(path.resolve().name), 0, _found(path))]


def suites_note() -> str:
    """One line: which suites are here, and how to get the others."""
    present = list_suites()
    absent = [name for name in SUITES if name not in present]
    datasets = sorted({SUITES[name].dataset for name in absent})
    get = "; ".join(f"python -m cnndetect.data get {dataset}" for dataset in datasets)
    mini = "" if MINI in present else f" Not here: {MINI}; get it with: {GET_MINI}."
    others = f" Not here: {', '.join(absent)}; get them with: {get}." if absent else ""
    return f"suites: {', '.join(present) or 'none'}.{mini}{others} Any folder with {REAL}/ and {FAKE}/ is a suite too: --suite PATH"


def twins(suite: Suite, test_set: TestSet) -> list[tuple[str, str]]:
    """Title and place of results of other suites with the very same images: their scores serve here too."""
    others = [facts for facts in SUITES.values() if facts.name != suite.name and test_set.official in facts.groups]
    return [(f"{facts.name}@{facts.version}", facts.name) for facts in others]


def _mini() -> Suite:
    root = mini_root()
    if not root.exists():
        raise LayoutError(f"The suite {MINI} is not installed (looked in {root}). Get it with: {GET_MINI}")
    return Suite(MINI, MINI_VERSION, _found(root))


def _public_is_built() -> bool:
    return bool(_test_sets(data_root() / PUBLIC))


def _public() -> Suite:
    if not _public_is_built():
        root = data_root() / PUBLIC
        raise LayoutError(f"The suite {PUBLIC} is not in {root} (see CNNDETECT_DATA). Build it with: cnndetect zoo public --photos DIR")
    return _in_data_folder(PUBLIC, PUBLIC_VERSION)


def _official(facts: SuiteFacts) -> Suite:
    absent = _absent(facts)
    root = data_root() / facts.dataset
    if absent:
        names = [group.name for group in absent]
        only = "" if len(names) == len(facts.groups) else f" --only {','.join(names)}"
        raise LayoutError(
            f"The suite {facts.name} needs {', '.join(names)} in {root} (see CNNDETECT_DATA). "
            f"Get what is missing with: python -m cnndetect.data get {facts.dataset}{only}"
        )
    groups = find_groups(DATASETS[facts.dataset], facts.groups)
    return Suite(facts.name, facts.version, tuple(TestSet(group.title, root / group.name, facts.name, group.name) for group in groups))


def _present_rows() -> list[str]:
    return [name for name in set_rows() if (data_root() / name).is_dir()]


def _of_row(name: str) -> Suite:
    """A set of the catalogue that the user has put into the data folder. Version 1: its images are those of its authors."""
    root = data_root() / name
    if not root.is_dir():
        raise LayoutError(f"The test set {name} is not in {root} (see CNNDETECT_DATA).\n{how_to_get(find_row(name), root)}")
    return _in_data_folder(name, 1)


def _in_data_folder(name: str, version: int) -> Suite:
    """The folder ``name`` of the data folder as a suite, whose results have a sub-folder of their own."""
    return Suite(name, version, tuple(TestSet(one.name, one.root, name) for one in _found(data_root() / name)))


def _absent(facts: SuiteFacts) -> list[Group]:
    """Groups that have a class folder missing; images are counted by ``python -m cnndetect.data verify``."""
    root = data_root() / facts.dataset
    return [
        group
        for group in named_groups(facts.name)
        if not all((root / group.name / part / label).is_dir() for part in group.classes for label in (REAL, FAKE))
    ]


def _found(root: Path) -> tuple[TestSet, ...]:
    sets = _test_sets(root)
    if not sets:
        raise LayoutError(f"{root} holds no test set (found: {found_in(root)}). {LAYOUTS_KNOWN}")
    return sets


def _test_sets(root: Path) -> tuple[TestSet, ...]:
    if not packs.is_dir(root):
        return ()
    if holds_classes(root):
        return (TestSet(_plain(root.resolve().name), root),)
    names = [child for child in packs.child_folders(root) if not child.name.startswith(".") and find_sets(child)]
    return tuple(TestSet(_plain(child.name), child) for child in sorted(names, key=lambda child: family_rank(child.name)))


def _plain(name: str) -> str:
    # Names become file names of results.
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name) or "set"
