"""Folders of results in, runs by condition, detector and test set out; scores are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cnndetect.bench.results import Result, read_result
from cnndetect.bench.suites import family_rank
from cnndetect.errors import DataError
from cnndetect.scoring.scores import Scores, read_scores


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
        degraded = "" if self.degradation == "none" else f" --degradation {self.degradation}"
        return f"python -m cnndetect.bench --suite {suite} --protocol {self.protocol}{degraded}"


@dataclass(frozen=True)
class Run:
    """One detector on one test set under one condition. path: of its result; its scores lie beside it."""

    result: Result
    path: Path

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
        return scores


# condition -> detector -> test set -> run
Runs = Mapping[Condition, Mapping[str, Mapping[str, Run]]]


def read_runs(folders: Iterable[str | Path], *, detectors: Sequence[str] = ()) -> Runs:
    """Every result below ``folders``; trials with a limit are left out. detectors: only these, default all.

    Raises DataError where results of one condition were not made from the same images, or those of one detector not by the
    same weights. A run that lies in several folders counts once.
    """
    found: dict[Condition, dict[str, dict[str, Run]]] = {}
    for path in [path for folder in folders for path in sorted(Path(folder).rglob("*.json"))]:
        if "not-a-result" in path.parts:
            continue
        run = Run(read_result(path), path)
        if run.result.is_result and (not detectors or run.result.detector in detectors):
            row = found.setdefault(run.condition, {}).setdefault(run.result.detector, {})
            first = row.setdefault(run.result.test_set, run)
            if first.result.provenance != run.result.provenance:
                raise DataError(f"{path} and {first.path} are different runs under one name. Remove one, or choose with --results.")
    for rows in found.values():
        _check(rows)
    return found


def families(rows: Mapping[str, Mapping[str, Run]]) -> list[str]:
    """Test sets that any detector has, in the paper's order, others by name."""
    names = {name for row in rows.values() for name in row}
    return sorted(names, key=family_rank)


def _check(rows: Mapping[str, Mapping[str, Run]]) -> None:
    first_of_set: dict[str, Run] = {}
    for detector, row in rows.items():
        weights = {run.result.provenance["identity"] for run in row.values()}
        if len(weights) > 1:
            places = ", ".join(str(run.path) for run in list(row.values())[:3])
            raise DataError(f"The name {detector} stands for several weights ({places}). Run it again on the whole suite.")
        for name, run in row.items():
            other = first_of_set.setdefault(name, run)
            if run.result.provenance["fingerprint"] != other.result.provenance["fingerprint"]:
                raise DataError(f"{run.path} and {other.path} were not made from the same images. Run the older one again.")
