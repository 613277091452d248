"""Rows of an ablation grid: the average over the seeds of a condition, its spread over seeds, and its interval over photographs.

A run is kept as a summary, one small JSON file, so that its page can be made again where the run itself is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cnndetect.ablation.cells import ALL, AUGMENTATIONS, Condition, cell_name, parse_name
from cnndetect.ablation.run import CELL
from cnndetect.bench.paired import Contestant, contestants
from cnndetect.detectors.run_record import read_run
from cnndetect.errors import DataError, WeightsError
from cnndetect.files import read_record, write_whole
from cnndetect.metrics.bounds import fraction_bounds
from cnndetect.metrics.intervals import DRAWS, Interval, Jackknife
from cnndetect.train.run_state import LOG

# Of every epoch in a summary.
LOGGED = ("lr", "val_accuracy", "val_ap", "seconds")


class CellNote(msgspec.Struct, frozen=True):
    """What cell.json holds of interest here: the command that trains the cell."""

    command: str


class Summary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run."""

    name: str
    command: str
    recipe: str
    arch: str
    initialisation: str
    class_names: list[str]
    images: int  # of the training split, real and fake
    validation_images: int
    epochs: int
    best_epoch: int | None
    val_accuracy: float
    val_ap: float
    seconds: float
    stop_reason: str
    device: str
    weights_sha256: str | None
    data_fingerprint: str
    log: dict[str, list[float]]  # column -> one value per epoch; images counts those seen

    def save(self, path: Path) -> None:
        """Write whole or not at all, a line per field."""
        lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in msgspec.structs.asdict(self).items()]
        write_whole(path, "{\n" + ",\n".join(lines) + "\n}\n")


@dataclass(frozen=True)
class Spread:
    """A figure over seeds."""

    mean: Interval  # with its 95 % interval over photographs
    sd: float  # sd, low, high: over seeds; sd is NaN for one
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """The seeds of one condition."""

    condition: Condition
    seeds: tuple[int, ...]
    aps: tuple[Jackknife, ...]  # of every seed, all on the same photographs

    @property
    def values(self) -> np.ndarray:
        """AP by seed and test set: [seeds, sets]."""
        return np.stack([one.values for one in self.aps])

    def changes(self, columns: Sequence[int]) -> np.ndarray:
        """What the mean over these test sets and all seeds loses without each photograph: [K]."""
        return np.mean([one.only(*columns).mean_changes for one in self.aps], axis=0)

    def enough(self, columns: Sequence[int]) -> bool:
        """Whether these test sets rest on enough photographs for an interval."""
        return self.aps[0].only(*columns).enough

    def mean_ap(self, columns: Sequence[int]) -> Spread:
        """Mean AP over these test sets, averaged over seeds."""
        by_seed = self.values[:, columns].mean(axis=1)
        mean = float(by_seed.mean())
        bounds = fraction_bounds(mean, self.changes(columns)) if self.enough(columns) else (float("nan"), float("nan"))
        sd = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else float("nan")
        return Spread(Interval(mean, *bounds), sd, float(by_seed.min()), float(by_seed.max()))


@dataclass(frozen=True)
class Grid:
    """Rows by condition."""

    suite: str
    protocol: str
    test_sets: tuple[str, ...]
    rows: dict[Condition, Row]
    summaries: dict[str, Summary]
    left_out: dict[str, str]  # cell -> why it is in no row

    @property
    def trunks(self) -> list[str]:
        return sorted({condition.trunk for condition in self.rows})

    def augmentations(self, trunk: str) -> list[Row]:
        """Rows of all classes, in the paper's order."""
        found = [Condition(trunk, name, ALL) for name in AUGMENTATIONS]
        return [self.rows[condition] for condition in found if condition in self.rows]

    def diversity(self, trunk: str) -> list[Row]:
        """Rows of growing class counts, all classes last; empty where there is one count alone."""
        counted = [c for c in self.rows if c.trunk == trunk and c.classes != ALL]
        if not counted:
            return []
        name = counted[0].augmentation
        ordered = sorted((c for c in counted if c.augmentation == name), key=lambda c: int(c.classes))
        return [self.rows[c] for c in [*ordered, Condition(trunk, name, ALL)] if c in self.rows]

    def of(self, row: Row) -> list[Summary]:
        """Summaries of a row, by seed."""
        return [self.summaries[cell_name(row.condition, seed)] for seed in row.seeds]


def summarize(folder: Path) -> Summary:
    """A run's summary from its record and log. Raises DataError where the run has not ended or lacks a file."""
    try:
        record = read_run(folder)
        cell = read_record(folder / CELL, CellNote, what="the note of a cell", advice="Train it again.")
        rows = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
        data, batch = record.data, record.config["batch_size"]
        per_epoch = _images_per_epoch(data["train"], record.config["balance"], batch)
        log = {key: [_short(row[key]) for row in rows] for key in LOGGED}
        seen = [row["epoch"] * per_epoch + min(row["steps"] * batch, per_epoch) for row in rows]
        if record.stop_reason is None or not rows:
            raise DataError(f"{folder} has not ended yet. Continue it with cnndetect ablation run.")
        return Summary(
            name=folder.name, command=cell.command, recipe=record.recipe, arch=record.arch,
            initialisation=record.initialisation, class_names=sorted(data["train"]["classes"]),
            images=data["train"]["real"] + data["train"]["fake"], validation_images=data["val"]["real"] + data["val"]["fake"],
            epochs=record.epochs, best_epoch=record.best_epoch, val_accuracy=_short(record.best["val_accuracy"]),
            val_ap=_short(record.best["val_ap"]), seconds=record.seconds, stop_reason=record.stop_reason,
            device=record.device, weights_sha256=record.weights_sha256, data_fingerprint=data["train"]["fingerprint"],
            log={"images": seen, **log},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, WeightsError) as error:
        raise DataError(f"{folder} is no whole run of a grid ({error}). Make it with cnndetect ablation run.") from error


def read_summary(path: Path) -> Summary:
    """A summary that ``Summary.save`` wrote. Raises DataError."""
    return read_record(path, Summary, what="a summary of a run", advice="Give --runs again.")


def collect(runs: Path, summaries: Path) -> dict[str, str]:
    """Write the summary of every ended cell below ``runs``; returns the cells that gave none, with the reason."""
    without = {}
    for folder in sorted(path.parent for path in runs.glob(f"*/{CELL}")):
        if parse_name(folder.name) is None:
            continue
        try:
            summarize(folder).save(summaries / f"{folder.name}.json")
        except DataError as error:
            without[folder.name] = str(error)
    return without


def read_grid(
    summaries: Path, results: Path, *, suite: str | None = None, protocol: str = "nocrop", draws: int = DRAWS, seed: int = 0
) -> Grid:
    """Every cell that has both a summary and results on the whole suite.

    Raises DataError where nothing is left, where results are of other weights than the summary's, or of different images.
    """
    known = {path.stem: read_summary(path) for path in sorted(summaries.glob("*.json"))}
    title, found, incomplete = contestants(results, suite=suite, protocol=protocol, draws=draws, seed=seed, only=parse_name)
    left_out = {name: f"no results on {', '.join(sets)}" for name, sets in incomplete.items()}
    scored = {one.detector: one for one in found}
    left_out |= {name: "no summary of its run" for name in scored if name not in known}
    left_out |= {name: "not benched" for name in known if name not in scored and name not in incomplete}
    kept = {name: scored[name] for name in sorted(known) if name in scored}
    if not kept:
        raise DataError(f"No cell has both a summary in {summaries} and results in {results}: {left_out or 'both are empty'}.")
    for name, one in kept.items():
        if one.weights_sha256 != known[name].weights_sha256:
            raise DataError(f"The results of {name} in {results} are of other weights than its run. Bench it again.")
    return Grid(title, protocol, found[0].test_sets, _rows(kept), {name: known[name] for name in kept}, left_out)


def _rows(kept: Mapping[str, Contestant]) -> dict[Condition, Row]:
    groups: dict[Condition, dict[int, Contestant]] = {}
    for name, one in kept.items():
        parsed = parse_name(name)
        assert parsed is not None
        groups.setdefault(parsed[0], {})[parsed[1]] = one
    rows = {}
    for condition, by_seed in groups.items():
        rows[condition] = Row(condition, tuple(sorted(by_seed)), tuple(by_seed[number].aps for number in sorted(by_seed)))
    return rows


def _images_per_epoch(counts: Mapping[str, Any], balance: str, batch_size: int) -> int:
    both = (counts["real"], counts["fake"])
    images = sum(both) if balance == "none" else 2 * (max(both) if balance == "over" else min(both))
    # A last batch of a single image is left out (train/data.py).
    return images - 1 if images > batch_size and images % batch_size == 1 else images


def _short(value: float) -> float:
    return float(f"{value:.6g}")
