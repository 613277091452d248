"""Train and score an ablation grid cell by cell. Finished cells are skipped, and a cell that fails does not stop the others.

Every cell is trained in a process of its own, so that its memory is given back.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NoReturn

from tabulate import tabulate

from cnndetect.ablation.cells import ALL, CONFLICT, FINISHED, Cell, parse_name, state_of
from cnndetect.bench.run import Options, run_suite
from cnndetect.bench.suites import find_suites
from cnndetect.counting import counted
from cnndetect.detectors.registry import load
from cnndetect.detectors.run_record import RECORD, read_run
from cnndetect.errors import CnndetectError, DataError, ProtocolError
from cnndetect.train.checkpoint import save_json
from cnndetect.train.config import TrainConfig
from cnndetect.train.loop import train
from cnndetect.train.options import shown_words
from cnndetect.train.run_state import BEST

CELL = "cell.json"

# A configuration, trained: the exit status of its process.
Run = Callable[[TrainConfig], int]


def shown_command(cell: Cell) -> str:
    """The cell's training command without places of this machine."""
    return f"cnndetect train {shown_words(cell.config)}"


def named(cells: Sequence[Cell], pattern: str) -> list[Cell]:
    """Cells whose name fits a pattern such as '*-s0'. Raises ProtocolError where none does."""
    found = [cell for cell in cells if fnmatch(cell.name, pattern)]
    if not found:
        raise ProtocolError(f"No cell is called {pattern!r}. There are: {', '.join(cell.name for cell in cells)}.")
    return found


def train_cells(cells: Sequence[Cell], names: Sequence[str], run: Run | None = None) -> dict[str, str]:
    """Train what is missing, cell after cell; returns the cells that failed, with the reason. names: all classes."""
    failed = {}
    for place, cell in enumerate(cells):
        state, why = state_of(cell, names)
        print(f"[{place + 1}/{len(cells)}] {cell.name}: {state}", file=sys.stderr)
        if state == CONFLICT:
            failed[cell.name] = f"its folder holds another run ({why}); choose another --out, or remove it"
        elif state != FINISHED:
            try:
                _train(cell, run or in_process)
            except CnndetectError as error:
                failed[cell.name] = str(error)
        if cell.name in failed:
            print(f"FAILED {cell.name}: {failed[cell.name]}", file=sys.stderr)
    return failed


def _train(cell: Cell, run: Run) -> None:
    folder = cell.config.folder
    folder.mkdir(parents=True, exist_ok=True)
    about = {**vars(cell.condition), "seed": cell.seed, "class_names": list(cell.classes), "command": shown_command(cell)}
    save_json(folder / CELL, about)
    status = run(cell.config)
    if status:
        raise DataError(f"its training ended with status {status}; the message is above")
    load(folder / BEST, device="cpu")  # a cell whose weights do not load is not finished


def bench_cells(runs: Path, suite: str, options: Options, *, results: Path, only: str = "*", device: str | None = None) -> dict[str, str]:
    """Bench every finished cell below ``runs`` into RESULTS/CELL; name -> why it failed, "" where it did not."""
    folders = sorted(path.parent for path in runs.glob(f"*/{RECORD}") if parse_name(path.parent.name))
    ended = [folder for folder in folders if read_run(folder).stop_reason is not None]
    chosen = [folder for folder in ended if fnmatch(folder.name, only)]
    if not chosen:
        begun = f"{len(folders)} cells begun, {len(ended)} finished"
        raise ProtocolError(f"{runs} holds no finished cell that fits {only!r} ({begun}). Train the grid first.")
    suites, outcome = find_suites(suite), {}
    for place, folder in enumerate(chosen):
        print(f"[{place + 1}/{len(chosen)}] {folder.name}", file=sys.stderr)
        try:
            detector = load(folder / BEST, device=device)
            made = [run_suite(detector, one, options, results=results, progress=True) for one in suites]
            failed = sum(result.n_failed for benchmark in made for result in benchmark.results)
            outcome[folder.name] = f"{counted(failed, 'image')} failed" if failed else ""
        except CnndetectError as error:
            outcome[folder.name] = str(error)
    return outcome


def plan_rows(cells: Sequence[Cell], names: Sequence[str]) -> list[dict[str, Any]]:
    """Every cell with its state and its command, for machines. names: all classes of the data."""
    rows = []
    for cell in cells:
        state, why = state_of(cell, names)
        about = {**vars(cell.condition), "name": cell.name, "seed": cell.seed, "class_names": list(cell.classes or names)}
        rows.append({**about, "state": state, "why": why, "command": shown_command(cell)})
    return rows


def plan_text(cells: Sequence[Cell], names: Sequence[str]) -> str:
    """The same for people: a table, and how many are left."""
    states = {cell.name: state_of(cell, names) for cell in cells}
    table = [[cell.name, ", ".join(cell.classes) or ALL, " ".join(filter(None, states[cell.name]))] for cell in cells]
    left = [name for name, (state, _) in states.items() if state != FINISHED]
    shown = tabulate(table, ["cell", "classes", "state"], tablefmt="github", disable_numparse=True)
    return f"{shown}\n\n{len(cells)} cells, {len(cells) - len(left)} finished, {len(left)} to train"


def in_process(config: TrainConfig) -> int:
    """Train in a process of its own; an interruption ends it too, and its checkpoint stays."""
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(config,))
    process.start()
    try:
        with _stoppable():
            process.join()
    finally:
        if process.is_alive():
            process.terminate()
            process.join()
    return process.exitcode or 0


def _child(config: TrainConfig) -> None:
    try:
        train(config, progress=True)
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM as an exception, so that a running cell is ended too."""

    def stop(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
