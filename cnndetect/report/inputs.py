"""The inputs of all sections, computed once: the suite, the stored runs, and the standings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cnndetect.bench.standings import Standings, by_training, standings
from cnndetect.bench.store import Condition, Run, Runs, families, read_runs
from cnndetect.bench.suites import Suite, TestSet, find_suites
from cnndetect.detectors.records import registered
from cnndetect.errors import DataError, LayoutError, UnknownNameError, lookup
from cnndetect.metrics.intervals import DRAWS, Interval, SetScores
from cnndetect.paths import reference_results_root, results_root

MOST_IMAGES = 5000
NAMED = 4


@dataclass(frozen=True)
class Ranking:
    """One leaderboard. Detectors of two of them are never ranked against each other."""

    about: str
    """What its detectors were trained on, as in "trained on ProGAN alone"."""
    standings: Standings

    @property
    def title(self) -> str:
        return self.about[:1].upper() + self.about[1:]


@dataclass(frozen=True)
class Inputs:
    """Stored results of one suite under one condition."""

    given: str
    """The suite as it was asked for, a name or a folder."""
    suite: Suite | None
    """Where its images lie, None where only results are here."""
    base: Condition
    """The condition that the page is about."""
    runs: Runs
    folders: tuple[Path, ...]
    """Where results were read."""
    draws: int
    seed: int
    """Of the intervals that are drawn."""
    most_images: int | None = MOST_IMAGES
    """Sections that open images leave larger suites out; None for no limit."""
    chosen: tuple[str, ...] = ()
    """Detectors that were asked for by name."""

    @property
    def shown(self) -> tuple[str, ...]:
        """Detectors that sections about one detector are made for: those that were asked for, else the first table's best."""
        return tuple(name for name in self.detectors if name in self.chosen) or self.detectors[:1]

    @property
    def rows(self) -> Mapping[str, Mapping[str, Run]]:
        """detector -> family -> run, under the base condition."""
        return self.runs[self.base]

    @cached_property
    def rankings(self) -> tuple[Ranking, ...]:
        """The leaderboard of detectors trained on ProGAN alone first, where there are any, then that of all others."""
        about = ("trained on ProGAN alone", "trained on more than ProGAN, or on what nobody said")
        pairs = zip(about, by_training(self.rows), strict=True)
        return tuple(Ranking(words, standings(rows, draws=self.draws, seed=self.seed)) for words, rows in pairs if rows)

    @property
    def standings(self) -> Standings:
        """Of the first leaderboard, the one that the headline is about."""
        return self.rankings[0].standings

    @property
    def detectors(self) -> tuple[str, ...]:
        """Every detector, table by table, best first: the order of rows and of hues on the whole page."""
        return tuple(name for ranking in self.rankings for name in ranking.standings.detectors)

    @property
    def resynthesised(self) -> tuple[str, ...]:
        """Bundled detectors that learned from photographs passed through a generator, not only from samples of it."""
        records = {name: record.sha256 for name, record in registered().items() if record.resynthesised}
        weights = {name: next(iter(row.values())).result.provenance.weights_sha256 for name, row in self.rows.items() if row}
        return tuple(name for name in self.detectors if name in records and weights.get(name) == records[name])

    @property
    def families(self) -> list[str]:
        return families(self.rows)

    def scores(self, family: str) -> dict[str, SetScores]:
        """detector -> scores of a family, failed images at their worst."""
        return {d: self.rows[d][family].scores.at_worst() for d in self.detectors if family in self.rows[d]}

    @property
    def has_pictures(self) -> bool:
        """Whether the page may open the suite's images."""
        return self.no_images("") is None

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
            return f"{count:,} images would take long. Raise `--limit` ({self.most_images}), or run: {shown}"
        return None

    def sets(self, detector: str | None = None) -> list[TestSet]:
        """Test sets with images, and with scores of the detector where one is named."""
        assert self.suite is not None
        return [s for s in self.suite.sets if s.name in self.families and (detector is None or s.name in self.rows[detector])]

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
    except (LayoutError, UnknownNameError):
        titles = sorted({c.suite for c in runs if str(name) in (c.suite, c.suite.partition("@")[0])})
        if not titles:
            raise
        return None, titles[-1]
    return suite, suite.title
