"""``python -m cnndetect.ablation.run``: train every cell of an ablation grid; the same command continues. ``score`` benches them.

Every cell is one ordinary training command in a process of its own: memory is given back, and a cell that dies takes no other
with it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

from tabulate import tabulate

from cnndetect.ablation.cells import (
    ALL,
    AUGMENTATIONS,
    CONFLICT,
    FINISHED,
    TRUNKS,
    Cell,
    default_counts,
    find_classes,
    make_cells,
    nested_classes,
    parse_name,
    state_of,
)
from cnndetect.detectors.registry import load
from cnndetect.errors import CnndetectError, DataError, ProtocolError
from cnndetect.train.checkpoint import save_json
from cnndetect.train.run_state import BEST, RECORD

CELL = "cell.json"

EXAMPLES = """\
examples:
  python -m cnndetect.ablation.run --data DATA --out RUNS --trunk npr --mini --seeds 0 1 2 --max-images 4000 --epochs 20 --crop-px 64
  python -m cnndetect.ablation.run --data DATA --out RUNS --trunk npr --mini --plan
  python -m cnndetect.ablation.run score --runs RUNS --suite mini --results RESULTS

Every other flag is the trainer's (python -m cnndetect.train --help) and goes to every cell; --epochs N is --max-epochs N, --minutes M
is --max-seconds 60 M, for each cell. --max-images N keeps the number of training images equal for all class counts.
"""

# A command, run: its exit status.
Run = Callable[[Sequence[str]], int]


def main(arguments: list[str] | None = None, *, run: Run | None = None) -> int:
    """Run: 0 done, 1 some cell failed, 2 misused. run: how commands are run; default: as processes."""
    arguments = sys.argv[1:] if arguments is None else arguments
    chosen = run or _run_process
    before = signal.signal(signal.SIGTERM, _stop) if run is None else None
    try:
        if arguments[:1] == ["score"]:
            return _score(score_parser().parse_args(arguments[1:]), chosen)
        options, flags = grid_parser().parse_known_args(arguments)
        return _grid(options, flags, chosen)
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 1
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def grid_parser() -> argparse.ArgumentParser:
    """Options of the grid; what it does not know is for the trainer."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.ablation.run",
        description="Train detectors over augmentations, class counts and seeds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="folder with train/ and val/")
    parser.add_argument("--out", type=Path, required=True, metavar="RUNS", help="a folder per cell: TRUNK-AUGMENTATION-cCLASSES-sSEED")
    parser.add_argument("--trunk", required=True, choices=TRUNKS)
    parser.add_argument("--augmentations", nargs="+", default=list(AUGMENTATIONS), metavar="A", help=f"of {', '.join(AUGMENTATIONS)}")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="S")
    parser.add_argument(
        "--classes",
        nargs="+",
        default=None,
        metavar="N",
        help="class counts, nested; 'all' alone leaves the other counts out (default: doublings below all, and all)",
    )
    parser.add_argument("--class-order", default="", metavar="A,B,C", help="in which classes join (default: shuffled by a fixed seed)")
    parser.add_argument("--diversity-augmentation", default="blur-jpeg-0.1", metavar="A", help="of the class counts (default: %(default)s)")
    parser.add_argument("--mini", action="store_true", help="the recipes' twins for images of 128 px")
    parser.add_argument("--epochs", type=int, default=None, metavar="N", help="of each cell, at most")
    parser.add_argument("--minutes", type=float, default=None, metavar="M", help="of each cell, at most")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cells whose name fits, such as '*-s0'")
    parser.add_argument("--plan", action="store_true", help="print the cells and what is missing, and stop")
    parser.add_argument("--json", action="store_true", help="print the cells as JSON")
    return parser


def score_parser() -> argparse.ArgumentParser:
    """Options of ``score``."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.ablation.run score",
        description="Bench every finished cell, into RESULTS/CELL/.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--runs", type=Path, required=True, metavar="RUNS", help="what the grid wrote")
    parser.add_argument("--suite", required=True, help="as for python -m cnndetect.bench")
    parser.add_argument("--results", type=Path, required=True, metavar="DIR")
    parser.add_argument("--protocol", default="nocrop", help="default: %(default)s")
    parser.add_argument("--device", default=None)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cells whose name fits, such as '*-s0'")
    return parser


def shown_command(cell: Cell) -> str:
    """The cell's training command without places of this machine.

    >>> from cnndetect.ablation.cells import Condition
    >>> shown_command(Cell(Condition("npr", "none", "all"), 0, (), ("--data", "/a/b", "--out", "/c", "--name", "x")))
    'python -m cnndetect.train --data DATA --out RUNS --name x'
    """
    words = list(cell.arguments)
    for flag, word in (("--data", "DATA"), ("--out", "RUNS")):
        words[words.index(flag) + 1] = word
    words = [Path(word).name if before == "--init" else word for before, word in zip(["", *words], words, strict=False)]
    return shlex.join(["python", "-m", "cnndetect.train", *words])


def _grid(options: argparse.Namespace, flags: list[str], run: Run) -> int:
    names = find_classes(options.data)
    order = [name for name in options.class_order.split(",") if name]
    limits = ["--max-epochs", str(options.epochs)] if options.epochs is not None else []
    limits += ["--max-seconds", str(60 * options.minutes)] if options.minutes is not None else []
    every = make_cells(
        options.trunk, data=options.data, out=options.out, augmentations=options.augmentations, seeds=options.seeds,
        classes=nested_classes(names, options.classes or default_counts(names), order=order),
        diversity_augmentation=options.diversity_augmentation, mini=options.mini, flags=[*flags, *limits],
    )  # fmt: skip
    cells = [cell for cell in every if fnmatch(cell.name, options.only)]
    if not cells:
        raise ProtocolError(f"No cell is called {options.only!r}. There are: {', '.join(cell.name for cell in every)}.")
    failed = {} if options.plan else train_cells(cells, names, run)
    _print(cells, names, as_json=options.json)
    for name, why in failed.items():
        print(f"FAILED {name}: {why}", file=sys.stderr)
    return 1 if failed else 0


def train_cells(cells: Sequence[Cell], names: Sequence[str], run: Run) -> dict[str, str]:
    """Train what is missing, cell after cell; returns the cells that failed, with the reason. names: all classes."""
    failed = {}
    for place, cell in enumerate(cells):
        state, why = state_of(cell, names)
        print(f"[{place + 1}/{len(cells)}] {cell.name}: {state}", file=sys.stderr)
        if state == CONFLICT:
            failed[cell.name] = f"its folder holds another run ({why}); choose another --out, or remove it"
        elif state != FINISHED:
            try:
                _train(cell, run)
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
    status = run(["cnndetect.train", *cell.arguments])
    if status:
        raise DataError(f"its training ended with status {status}; the message is above")
    load(folder / BEST, device="cpu")  # what cannot be benched is no finished cell


def _score(options: argparse.Namespace, run: Run) -> int:
    folders = sorted(path.parent for path in options.runs.glob(f"*/{RECORD}") if parse_name(path.parent.name))
    ended = [folder for folder in folders if json.loads((folder / RECORD).read_text(encoding="utf-8"))["stop_reason"] is not None]
    chosen = [folder for folder in ended if fnmatch(folder.name, options.only)]
    if not chosen:
        begun = f"{len(folders)} cells begun, {len(ended)} finished"
        raise ProtocolError(f"{options.runs} holds no finished cell that fits {options.only!r} ({begun}). Train the grid first.")
    failed = []
    for place, folder in enumerate(chosen):
        print(f"[{place + 1}/{len(chosen)}] {folder.name}", file=sys.stderr)
        command = ["cnndetect.bench", "--suite", options.suite, "--detector", str(folder / BEST), "--results", str(options.results)]
        command += ["--protocol", options.protocol, *(["--device", options.device] if options.device else [])]
        if run(command):
            failed.append(folder.name)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} cells benched into {options.results}")
    for name in failed:
        print(f"FAILED {name}; its message is above", file=sys.stderr)
    return 1 if failed else 0


def _print(cells: Sequence[Cell], names: Sequence[str], *, as_json: bool) -> None:
    states = {cell.name: state_of(cell, names) for cell in cells}
    if as_json:
        rows = [
            {**vars(cell.condition), "name": cell.name, "seed": cell.seed, "class_names": list(cell.classes or names),
             "state": states[cell.name][0], "why": states[cell.name][1], "command": shown_command(cell)}
            for cell in cells
        ]  # fmt: skip
        print(json.dumps(rows, indent=1))
        return
    table = [[cell.name, ", ".join(cell.classes) or ALL, " ".join(filter(None, states[cell.name]))] for cell in cells]
    print(tabulate(table, ["cell", "classes", "state"], tablefmt="github", disable_numparse=True))
    left = [name for name, (state, _) in states.items() if state != FINISHED]
    print(f"\n{len(cells)} cells, {len(cells) - len(left)} finished, {len(left)} to train")


def _run_process(words: Sequence[str]) -> int:
    # The child's answer is progress here; the table is the answer.
    return subprocess.run([sys.executable, "-m", *words], stdout=2).returncode


def _stop(number: int, frame: object) -> NoReturn:
    # An exception, so that the running cell is ended too; its checkpoint stays.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
