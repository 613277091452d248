"""The store of results: the layout of a results folder, and the only code that finds, reads and checks what lies in it.

Every writer has a sub-folder of its own (see paths.py). A folder of an older version, with results directly below it, is read
as well and keeps its layout. Beside the folder of a detector, or in its place, NAME.tar.xz may hold results in the same layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from cnndetect.bench.archives import SUFFIX, unpacked
from cnndetect.bench.built import BUILT, BUILT_ALIKE, lasting_cluster
from cnndetect.bench.results import Result, calibrated_ece, method_of, read_result, result_of
from cnndetect.bench.selection import Choice
from cnndetect.bench.suites import MINI, family_rank
from cnndetect.errors import DataError
from cnndetect.paths import ALARMS, AUDITS, OLD_RUNS, RESULTS, RUNS, SPEEDS, TRIALS
from cnndetect.progress import say, say_once
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores, read_scores
from cnndetect.transforms.degrade import split_equalisers

# First parts of paths below a results folder that hold something else than results.
OTHER_WRITERS = frozenset({ALARMS, AUDITS, RUNS, OLD_RUNS, SPEEDS, TRIALS})


class Kind(Protocol):
    """What a file name tells beside detector and test set; Options and Provenance both have it."""

    @property
    def protocol(self) -> str: ...
    @property
    def degradation(self) -> str: ...
    @property
    def limit(self) -> int | None: ...


@dataclass(frozen=True, order=True)
class Condition:
    """What a number is comparable within: suite as NAME@VERSION, protocol, degradation."""

    suite: str
    protocol: str
    degradation: str = "none"

    @property
    def title(self) -> str:
        """
        >>> Condition("mini@1", "nocrop").title, Condition("mini@1", "nocrop", "jpeg_75").title
        ('mini@1, nocrop', 'mini@1, nocrop, jpeg_75')
        """
        return ", ".join([self.suite, self.protocol] + [self.degradation] * (self.degradation != "none"))

    def command(self, suite: str) -> str:
        """What makes its results. suite: its name, or the folder that it is.

        >>> Condition("mini@1", "nocrop", "web").command("mini")
        'python -m cnndetect.bench --suite mini --protocol nocrop --degradation web'
        """
        equalisers, rest = split_equalisers(self.degradation)
        equalise = "".join(f" --equalise {name}" for name in equalisers.split("+") if name)
        degraded = equalise + ("" if rest == "none" else f" --degradation {rest}")
        return f"python -m cnndetect.bench --suite {suite} --protocol {self.protocol}{degraded}"


@dataclass(frozen=True)
class Run:
    """One detector on one test set under one condition."""

    result: Result
    path: Path  # of its result; its scores lie beside it

    @property
    def condition(self) -> Condition:
        return Condition(self.result.suite, self.result.protocol, self.result.degradation)

    @cached_property
    def scores(self) -> Scores:
        """The stored scores. Raises DataError where they are missing or were made by another run."""
        path = self.path.with_suffix(".npz")
        scores = read_scores(path)
        if scores.provenance != self.result.provenance:
            raise DataError(f"{path} and its .json were made by different runs. Run the bench again with --rerun.")
        if self.result.suite == BUILT:
            pairs = zip(scores.paths.tolist(), scores.clusters.tolist(), strict=True)
            scores = replace(scores, clusters=np.array([lasting_cluster(self.result.test_set, *pair) for pair in pairs]))
        return scores


# test set -> run, of one detector under one condition
Row = Mapping[str, Run]
# condition -> detector -> test set -> run
Runs = Mapping[Condition, Mapping[str, Row]]


def result_path(root: Path, detector: str, test_set: str, kind: Kind, place: str = "") -> Path:
    """Where a result lies: results/DETECTOR/[PLACE/]TEST_SET.PROTOCOL[.DEGRADATION].json; trials are kept apart."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", detector).strip(".") or "detector"
    if kind.limit is not None:
        folder = root / TRIALS / f"{name}.limit{kind.limit}"
    elif _is_old(root) and name not in OTHER_WRITERS:
        folder = root / name
    else:
        folder = root / RESULTS / name
    middle = kind.protocol if kind.degradation == "none" else f"{kind.protocol}.{kind.degradation}"
    return folder / place / f"{test_set}.{middle}.json"


def read_runs(
    folders: Iterable[str | Path],
    *,
    detectors: Sequence[str] = (),
    suite: str | None = None,
    protocol: str | None = None,
    degradation: str | None = None,
) -> Runs:
    """Every result below ``folders`` that fits; trials with a limit are left out.

    detectors: only these, default all.  suite: such as "mini" or "mini@2".  protocol, degradation: None for any.
    Raises DataError where results of one condition were not made from the same images, or those of one detector not by the
    same weights. A run that lies in several folders counts once.
    """
    runs: dict[Condition, dict[str, dict[str, Run]]] = {}
    for path in [path for folder in folders for path in result_files(Path(folder))]:
        result = read_result(path)
        wanted = (
            result.is_result
            and (not detectors or result.detector in detectors)
            and suite in (None, result.suite, result.suite.partition("@")[0])
            and protocol in (None, result.protocol)
            and degradation in (None, result.degradation)
        )
        if wanted:
            run = Run(result, path)
            row = runs.setdefault(run.condition, {}).setdefault(result.detector, {})
            first = row.setdefault(result.test_set, run)
            if not first.result.provenance.equals(result.provenance):
                raise DataError(f"{path} and {first.path} are different runs under one name. Remove one, or choose with --results.")
    for rows in runs.values():
        check_comparable(rows)
    return runs


def one_suite(runs: Runs, folder: str | Path, wanted: str) -> Runs:
    """The runs of a single suite: the only one, else the embedded one in its newest version, which is said on stderr.

    wanted: what was looked for, in words.  Raises DataError where there is none, and for several others.
    """
    if not runs:
        raise DataError(f"{folder} holds no results of {wanted}. Make some with: python -m cnndetect.bench --results {folder}")
    suites = sorted({condition.suite for condition in runs})
    if len(suites) == 1:
        return runs
    embedded = [suite for suite in suites if suite.partition("@")[0] == MINI]
    if not embedded:
        raise DataError(f"{folder} holds results of {', '.join(suites)}. Say which suite is meant with --suite.")
    chosen = max(embedded, key=lambda suite: int(suite.partition("@")[2]))
    say(f"{folder} holds results of {', '.join(suites)}; shown: {chosen}. Choose another with --suite.")
    return {condition: rows for condition, rows in runs.items() if condition.suite == chosen}


def families(rows: Mapping[str, Row]) -> list[str]:
    """Test sets that any detector has, in the paper's order, others by name."""
    names = {name for row in rows.values() for name in row}
    return sorted(names, key=family_rank)


def lacking(rows: Mapping[str, Row]) -> dict[str, tuple[str, ...]]:
    """Detector -> test sets that others have and it has not; complete detectors are left out."""
    names = families(rows)
    return {detector: missing for detector, row in rows.items() if (missing := tuple(name for name in names if name not in row))}


def check_comparable(rows: Mapping[str, Row]) -> None:
    """Raise DataError where detectors saw different images of a test set, or a name stands for several weights."""
    first_of_set: dict[str, Run] = {}
    for detector, row in rows.items():
        first_of_row = next(iter(row.values()))
        for name, run in row.items():
            if run.result.provenance.identity != first_of_row.result.provenance.identity:
                raise DataError(
                    f"The name {detector} stands for several weights ({first_of_row.path}, {run.path}). Run it again on the whole "
                    "suite, or remove what is out of date."
                )
            check_same_images(run, first_of_set.setdefault(name, run))


def check_same_images(run: Run, other: Run) -> None:
    """Raise DataError where two results of a test set were made from different images, but for what ``built_alike`` allows."""
    if run.result.provenance.fingerprint != other.result.provenance.fingerprint:
        if not built_alike(run, other):
            raise DataError(f"{run.path} and {other.path} were not made from the same images. Run the older one again.")
        say_once(f"{run.result.suite}: {BUILT_ALIKE}")


def built_alike(run: Run, other: Run) -> bool:
    """Whether both are of the suite that every user builds, in its present version, with the same names, labels and photographs.

    Its fakes are made where they are used, and a generator's sums depend in their last bits on the processor.
    """
    if {run.result.suite, other.result.suite} != {BUILT}:
        return False
    columns = [(one.paths.tolist(), one.labels.tolist(), one.clusters.tolist()) for one in (run.scores, other.scores)]
    return columns[0] == columns[1]


def keep(
    path: Path, scores: Scores, *, draws: int, seed: int, selection: tuple[Choice, ...] = (), temperature: float | None = None
) -> tuple[Result, Scores]:
    """Write scores and their figures."""
    scores.save(path.with_suffix(".npz"))
    result = result_of(scores, draws=draws, seed=seed, selection=selection, temperature=temperature)
    result.save(path)
    return result, scores


def finished(
    path: Path, provenance: Provenance, *, draws: int, seed: int, selection: tuple[Choice, ...] = (), temperature: float | None = None
) -> tuple[Result, Scores] | None:
    """Result and scores of the same provenance, or None; figures are made again where only the intervals differ."""
    place = _stored(path)
    scores = _scores_of(place, provenance)
    if scores is None:
        return None
    try:
        result = read_result(place)
    except DataError:
        result = None
    if result is None or (result.draws, result.intervals) != (draws, method_of(scores)) or result.provenance != scores.provenance:
        fresh = result_of(scores, draws=draws, seed=seed, selection=selection, temperature=temperature)
    elif (result.selection, result.ece_calibrated) != (selection, error := calibrated_ece(scores, temperature)):
        fresh = msgspec.structs.replace(result, selection=selection, ece_calibrated=error)
    else:
        return result, scores
    if place != path:  # an archive is never changed; its scores come to lie beside the fresh figures
        scores.save(path.with_suffix(".npz"))
    fresh.save(path)
    return fresh, scores


def adopted(
    twin: Path,
    title: str,
    path: Path,
    provenance: Provenance,
    *,
    draws: int,
    seed: int,
    selection: tuple[Choice, ...] = (),
    temperature: float | None = None,
) -> tuple[Result, Scores] | None:
    """The same images under another suite's title: its scores, kept here too; None where there are none."""
    scores = _scores_of(twin, msgspec.structs.replace(provenance, suite=title))
    if scores is None:
        return None
    moved = msgspec.structs.replace(provenance, backend=scores.provenance.backend)
    return keep(path, replace(scores, provenance=moved), draws=draws, seed=seed, selection=selection, temperature=temperature)


def _scores_of(path: Path, provenance: Provenance) -> Scores | None:
    try:
        scores = read_scores(path.with_suffix(".npz"))
    except DataError:
        return None
    return scores if scores.provenance.equals(provenance) else None


def result_files(root: Path) -> list[Path]:
    """The results below a folder, sorted, then those of its archives; what other writers keep there is left out."""
    loose = [path for path in sorted(root.rglob("*.json")) if path.relative_to(root).parts[0] not in OTHER_WRITERS]
    return loose + [path for archive in archives(root) for path in sorted(unpacked(archive).rglob("*.json"))]


def archives(root: Path) -> list[Path]:
    """The archives of a results folder: NAME.tar.xz where the folder NAME/ of a detector would lie."""
    return sorted((*root.glob(f"*{SUFFIX}"), *(root / RESULTS).glob(f"*{SUFFIX}")))


def _stored(path: Path) -> Path:
    """Where a result is found: at its path, else in the archive of its detector, else nowhere and its path again."""
    for folder in (path.parent, path.parent.parent):  # a result may lie in a sub-folder of its suite
        archive = folder.with_name(folder.name + SUFFIX)
        if not path.exists() and archive.is_file():
            return unpacked(archive) / path.relative_to(folder)
    return path


def _is_old(root: Path) -> bool:
    """Whether results of an older version lie directly below the folder."""
    ours = OTHER_WRITERS | {RESULTS}
    loose = any(path.relative_to(root).parts[0] not in ours for path in root.glob("*/**/*.npz"))
    return not (root / RESULTS).is_dir() and (loose or any(root.glob(f"*{SUFFIX}")))
