"""What every section is built from: the suite, the stored runs, and the standing of every detector, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cnndetect.bench.standings import Standings, standings
from cnndetect.bench.store import Condition, Run, Runs, families, read_runs
from cnndetect.bench.suites import Suite, find_suites
from cnndetect.errors import DataError, LayoutError, lookup
from cnndetect.metrics.intervals import DRAWS, Interval, SetScores
from cnndetect.paths import reference_results_root, results_root

MOST_IMAGES = 5000
NAMED = 4


@dataclass(frozen=True)
class Inputs:
    """given: the suite as it was asked for, a name or a folder.  suite: where its images lie, None where only results are here.

    base: the condition the page is about.

    folders: where results were read.  draws, seed: of the bootstrap.  most_images: sections that open images leave larger suites out.
    """

    given: str
    suite: Suite | None
    base: Condition
    runs: Runs
    folders: tuple[Path, ...]
    draws: int
    seed: int
    most_images: int | None = MOST_IMAGES
    chosen: tuple[str, ...] = ()  # detectors that were asked for by name

    @property
    def shown(self) -> tuple[str, ...]:
        """Detectors that sections about one detector are made for: those that were asked for, else the best."""
        return tuple(name for name in self.detectors if name in self.chosen) or self.detectors[:1]

    @property
    def rows(self) -> Mapping[str, Mapping[str, Run]]:
        """detector -> family -> run, under the base condition."""
        return self.runs[self.base]

    @cached_property
    def standings(self) -> Standings:
        return standings(self.rows, draws=self.draws, seed=self.seed)

    @property
    def detectors(self) -> tuple[str, ...]:
        """Every detector, best first: the order of rows and of hues on the whole page."""
        return self.standings.detectors

    @property
    def families(self) -> list[str]:
        return families(self.rows)

    def scores(self, family: str) -> dict[str, SetScores]:
        """detector -> scores of a family, failed images at their worst."""
        return {d: self.rows[d][family].scores.at_worst() for d in self.detectors if family in self.rows[d]}

    def no_images(self, command: str) -> str | None:
        """Why a section that opens images cannot be made here, and the command that can; None where it can.

        command: with {suite} in the place of the suite.
        """
        shown = f"`{command.format(suite=self.given)}`"
        if self.suite is None:
            return f"The images of {self.base.suite} are not here. Where they are, run: {shown}"
        first = next(iter(self.rows.values()))
        count = sum(run.result.n_real + run.result.n_fake for run in first.values())
        if self.most_images is not None and count > self.most_images:
            return f"{count:,} images would take long. Raise `--max-images` ({self.most_images}), or run: {shown}"
        return None

    def average_precision(self, detector: str, family: str) -> Interval | None:
        """The stored AP with its stored interval; None where there is no result."""
        run = self.rows[detector].get(family)
        return None if run is None else run.result.ap


def read_inputs(
    suite: str | Path,
    *,
    protocol: str,
    degradation: str = "none",
    results: Sequence[str | Path] = (),
    detectors: Sequence[str] = (),
    suites: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    most_images: int | None = MOST_IMAGES,
) -> Inputs:
    """Find the suite and its stored results.

    results: folders; default: those that ship with the package, and your own.  suites: titles such as "other@1" whose ranks
    are shown beside those of ``suite``. A suite whose images are gone is known by its results.
    Raises DataError where no result fits, saying what makes one, and UnknownNameError for a detector without results.
    """
    folders = tuple(Path(folder) for folder in results) or _default_folders()
    everything = read_runs(folders, detectors=detectors)
    here, title = _suite(suite, everything or read_runs(folders))
    base = Condition(title, protocol, degradation)
    places = ", ".join(map(str, folders))
    for name in detectors:
        if name not in everything.get(base, {}):
            stored = read_runs(folders, suite=title, protocol=protocol, degradation=degradation).get(base, {})
            if stored:
                lookup(f"detector in the results of {base.title} in {places}:", stored, name)
    if base not in everything:
        titles = [condition.title for condition in sorted(everything)]
        others = "; ".join(titles[:NAMED]) + f" and {len(titles) - NAMED} more" * (len(titles) > NAMED) or "none"
        raise DataError(f"No results of {base.title} in {places} (there: {others}). Make them with: {base.command(str(suite))}")
    # A results folder holds whatever was ever run: other suites are shown only where they were asked for.
    runs = {condition: rows for condition, rows in everything.items() if condition.suite in (title, *suites)}
    return Inputs(
        given=str(suite), suite=here, base=base, runs=runs, folders=folders, draws=draws, seed=seed, most_images=most_images,
        chosen=tuple(detectors),
    )  # fmt: skip


def _default_folders() -> tuple[Path, ...]:
    return tuple(folder for folder in (reference_results_root(), results_root()) if folder.is_dir())


def _suite(name: str | Path, runs: Runs) -> tuple[Suite | None, str]:
    try:
        suite = find_suites(name)[0]
    except LayoutError:
        titles = sorted({c.suite for c in runs if str(name) in (c.suite, c.suite.partition("@")[0])})
        if not titles:
            raise
        return None, titles[-1]
    return suite, suite.title
