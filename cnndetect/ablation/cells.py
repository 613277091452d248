"""The cells of an ablation grid: the training configuration of each, and how far its run has come.

The grid is that of Wang et al. 2020, section 4: five augmentations on all classes (Table 2, lower half), and growing numbers of
classes under one augmentation (Table 2, upper half), each with several seeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cnndetect.counting import counted
from cnndetect.data.folders import find_sets
from cnndetect.detectors.run_record import read_run
from cnndetect.errors import LayoutError, ProtocolError, WeightsError, lookup
from cnndetect.train.config import TrainConfig, as_plain, changed_fields, with_defaults
from cnndetect.train.options import config_from
from cnndetect.train.recipes import RECIPES
from cnndetect.train.run_state import BEST, LAST

AUGMENTATIONS = ("none", "blur", "jpeg", "blur-jpeg-0.5", "blur-jpeg-0.1")

# trunk -> the recipe that it follows; wang2020 has one recipe per augmentation.
TRUNKS = {"wang2020": "wang2020-{augmentation}", "resnet18": "resnet18-ce", "npr": "npr"}

ALL = "all"
CLASS_SEED = 0
FINISHED, INTERRUPTED, MISSING, CONFLICT = "finished", "interrupted", "missing", "another configuration"

_NAME = re.compile(rf"({'|'.join(TRUNKS)})-({'|'.join(map(re.escape, AUGMENTATIONS))})-c(\d+|{ALL})-s(\d+)")

# Flags of the trainer that the grid sets, cell by cell.
OWN = ("data", "out", "name", "seed", "recipe", "classes", "blur_probability", "jpeg_probability")


@dataclass(frozen=True)
class Condition:
    """What the seeds of one row of a table have in common."""

    trunk: str
    augmentation: str
    classes: str  # a number as text, or "all"


@dataclass(frozen=True)
class Cell:
    """One training run of the grid, and its configuration."""

    condition: Condition
    seed: int
    classes: tuple[str, ...]  # empty: all
    config: TrainConfig

    @property
    def name(self) -> str:
        """Folder of the run, and name of its detector."""
        return cell_name(self.condition, self.seed)


def cell_name(condition: Condition, seed: int) -> str:
    """
    >>> cell_name(Condition("npr", "blur-jpeg-0.1", "4"), 0)
    'npr-blur-jpeg-0.1-c4-s0'
    """
    return f"{condition.trunk}-{condition.augmentation}-c{condition.classes}-s{seed}"


def parse_name(name: str) -> tuple[Condition, int] | None:
    """Condition and seed of a cell's name, None for any other name.

    >>> parse_name("npr-blur-jpeg-0.1-c4-s0")
    (Condition(trunk='npr', augmentation='blur-jpeg-0.1', classes='4'), 0)
    >>> parse_name("progan2-npr") is None
    True
    """
    found = _NAME.fullmatch(name)
    return (Condition(*found.groups()[:3]), int(found[4])) if found else None


def find_classes(data: Path) -> tuple[str, ...]:
    """Class folders of DATA/train, sorted. Raises LayoutError where there are none."""
    names = sorted(folder.relative_to(data / "train").as_posix() for folder in find_sets(data / "train"))
    if not names or names == ["."]:
        raise LayoutError(f"{data}/train has no class folders. A grid expects DATA/{{train,val}}/class/{{0_real,1_fake}}/.")
    return tuple(names)


def nested_classes(names: Sequence[str], counts: Iterable[str], *, order: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Count -> classes, each set inside every larger one; "all" is the empty tuple, as for the trainer.

    order: the classes in the order in which they join; default: sorted, then shuffled by a fixed seed. A count that is all
    classes becomes "all". Raises ProtocolError for a count beyond the classes, UnknownNameError for an unknown class.

    >>> nested_classes(["cat", "dog", "horse"], ["1", "2", "3"], order=["dog", "cat", "horse"])
    {'1': ('dog',), '2': ('cat', 'dog'), 'all': ()}
    """
    for name in order:
        lookup("class", dict.fromkeys(names), name)
    ordered = list(order) or [str(name) for name in np.random.default_rng(CLASS_SEED).permutation(sorted(names))]
    if len(set(ordered)) != len(ordered):
        raise ProtocolError(f"The class order {', '.join(ordered)} names a class twice. Expected every class once.")
    found: dict[str, tuple[str, ...]] = {}
    for count in counts:
        if count == ALL or count == str(len(names)):
            found[ALL] = ()
            continue
        if not count.isdigit() or not 1 <= int(count) <= len(ordered):
            known = f"{len(ordered)} ({', '.join(ordered)})"
            raise ProtocolError(f"Got {count!r} classes. Expected {ALL}, or a whole number from 1 to {known}.")
        found[count] = tuple(sorted(ordered[: int(count)]))
    return found


def default_counts(names: Sequence[str]) -> list[str]:
    """Doublings below the number of classes, then all of them.

    >>> default_counts(["class"] * 8)
    ['2', '4', 'all']
    """
    return [str(2**k) for k in range(1, 5) if 2**k < len(names)] + [ALL]


def make_cells(
    trunk: str,
    *,
    data: Path,
    out: Path,
    augmentations: Sequence[str],
    seeds: Sequence[int],
    classes: dict[str, tuple[str, ...]],
    diversity_augmentation: str,
    mini: bool = False,
    flags: Mapping[str, Any] = MappingProxyType({}),
) -> list[Cell]:
    """Every cell once, seed by seed, so that an early stop leaves whole rows of few seeds.

    classes: what ``nested_classes`` gives.  flags: of the trainer by field, for every cell. Raises ProtocolError for one that is
    the grid's own, UnknownNameError for an unknown trunk, augmentation or recipe.
    """
    lookup("trunk", TRUNKS, trunk)
    taken = [name for name in flags if name in OWN]
    if taken:
        raise ProtocolError(f"--{taken[0].replace('_', '-')} is set by the grid, cell by cell. Leave it out.")
    for name in (*augmentations, diversity_augmentation):
        lookup("augmentation", dict.fromkeys(AUGMENTATIONS), name)
    conditions = [Condition(trunk, name, ALL) for name in augmentations] if ALL in classes else []
    conditions += [Condition(trunk, diversity_augmentation, count) for count in classes if set(classes) != {ALL}]
    cells = []
    for seed in dict.fromkeys(seeds):
        for condition in dict.fromkeys(conditions):
            chosen = classes[condition.classes]
            subset = {"classes": chosen} if chosen else {}
            own = {"data": data, "out": out, "name": cell_name(condition, seed), "seed": seed, **_recipe(condition, mini), **subset}
            cells.append(Cell(condition, seed, chosen, config_from({**flags, **own})))
    return cells


def state_of(cell: Cell, names: Sequence[str]) -> tuple[str, str]:
    """One of the four states, and why where that is not plain. names: all classes of the data."""
    config = cell.config
    try:
        record = read_run(config.folder)
    except WeightsError:
        return (INTERRUPTED, "") if (config.folder / LAST).is_file() else (MISSING, "")
    now = as_plain(config)
    if config.init not in ("imagenet", "random"):
        now["init"] = Path(config.init).name
    changed = changed_fields(with_defaults(record.config), now)
    if changed:
        return CONFLICT, f"differs in {', '.join(changed)}"
    if set(record.data["train"]["classes"]) != set(cell.classes or names):
        return CONFLICT, f"was trained on the classes {', '.join(sorted(record.data['train']['classes']))}"
    # A run that stopped at a limit goes on when the limit has changed.
    same_limits = all(record.config[limit] == now[limit] for limit in ("max_epochs", "max_seconds"))
    whole = record.stop_reason is not None and (config.folder / BEST).is_file()
    ended = whole and (same_limits or record.stop_reason not in ("max_epochs", "max_seconds"))
    return (FINISHED, "") if ended else (INTERRUPTED, f"{counted(record.epochs, 'epoch')} done")


def _recipe(condition: Condition, mini: bool) -> dict[str, Any]:
    """A recipe of the trainer; where it is not one of Wang et al., their augmentation takes the place of its own."""
    wang = f"wang2020-{condition.augmentation}"
    if condition.trunk == "wang2020":
        return {"recipe": f"mini-{condition.augmentation}" if mini else wang}
    augment = RECIPES[wang].augment
    probabilities = {"blur_probability": augment.blur_probability, "jpeg_probability": augment.jpeg_probability}
    return {"recipe": f"mini-{TRUNKS[condition.trunk]}" if mini else TRUNKS[condition.trunk], **probabilities}
