"""kill -9 at random moments of every long command, again and again, until it has ended: nothing may be lost or wrong.

    python benchmarks/reliability/kill.py --kills 50 --seed 0 --out docs/reliability.md

A command is started, killed after a drawn time, and started again with the same words, until it ends by itself. Then what it
left is compared with what an unbroken run leaves: equal scores, equal weights, a whole log, no temporary file. Between two lives
a look at the folder tells what a kill kept: every file that is whole must be readable, and no progress may go back.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parents[1] / "tests")]

import numpy as np  # noqa: E402
from kill_cases import BATCH, Case, bench_case, bulk_case, train_case, zoo_samples_case, zoo_train_case  # noqa: E402
from page import put  # noqa: E402

CASES = {"bench": bench_case, "train": train_case, "bulk": bulk_case, "zoo-train": zoo_train_case, "zoo-samples": zoo_samples_case}


@dataclass
class Row:
    """Of one command. kept: lives that left something new.  lost: images that the worst kill scored in vain, None where not counted."""

    name: str
    unit: str
    kills: int = 0
    kept: int = 0
    lost: int | None = None
    wrong: list[str] = field(default_factory=list)


def start(case: Case, out: Path, work: Path) -> int:
    """The command in a child of this process, which has its imports already: a kill falls into the work. Returns its process id."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        with open(work / "stdout", "wb") as output, open(work / "stderr", "wb") as errors:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
        os.environ["SMALL_LOG"] = str(work / "scored")
        from cnndetect.cli.main import main as program

        if callable(case.command):
            case.command(out)
            status = 0
        else:
            status = program([word.replace("OUT", str(out)) for word in case.command])
    finally:
        os._exit(status)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def life(case: Case, out: Path, work: Path, until: float | None) -> tuple[int, float]:
    """One life. until: processor seconds at which it is killed, None to let it end.  Exit status (negative: the signal), seconds."""
    (work / "scored").unlink(missing_ok=True)
    child, used = start(case, out, work), 0.0
    while True:
        used = cpu_seconds(child)  # of a zombie too
        if until is not None and used >= until:
            os.kill(child, signal.SIGKILL)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), used
        time.sleep(0.002)


def run(case: Case, work: Path, kills: int, rng: np.random.Generator) -> Row:
    """Kill ``kills`` times in as many runs as that takes; each run is compared with the unbroken one."""
    row = Row(case.name, case.unit)
    whole = work / f"{case.name}-whole"
    status, length = life(case, whole, work, None)
    if status != 0:
        raise SystemExit(f"{case.name}: the unbroken run failed: {(work / 'stderr').read_text()[-2000:]}")
    turn = 0
    while row.kills < kills:
        out, before, turn = work / f"{case.name}-{turn}", 0, turn + 1
        while True:
            status, _ = life(case, out, work, float(rng.uniform(0, 1.1 * length)) if row.kills < kills else None)
            if status != -signal.SIGKILL:
                break
            row.kills += 1
            done = case.progress(out)
            if done < before:
                row.wrong.append(f"progress went from {before} back to {done}")
            if (work / "scored").exists():
                row.lost = max(row.lost or 0, (work / "scored").stat().st_size - (done - before))
            row.kept += done > before
            before = done
        if status == 0:
            row.wrong += case.same(whole, out)
        else:
            row.wrong.append(f"exit status {status}: {(work / 'stderr').read_text().strip()[-200:]}")
    if row.lost is not None and row.lost > BATCH:
        row.wrong.append(f"{row.lost} images were scored in vain")
    return row


def table(rows: list[Row], seed: int) -> str:
    lines = [
        f"Drawn with seed {seed}. A kill falls at a drawn processor time, from the start to a tenth beyond the end of an unbroken run.",
        "",
        "| command | kills | counted | kills that left something new | most that one kill cost | wrong afterwards |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        lost = "" if row.lost is None else f"{row.lost} images"
        lines.append(f"| {row.name} | {row.kills} | {row.unit} | {row.kept} | {lost} | {'; '.join(sorted(set(row.wrong))) or 'nothing'} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--keep", type=Path, help="folder of rows, so that the commands can run one at a time and one table holds all")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    # What the children share: one thread, so that the fork is safe, and the imports.
    import torch

    import cnndetect.bench.run
    import cnndetect.bulk.run
    import cnndetect.cli.bench
    import cnndetect.cli.score
    import cnndetect.cli.train
    import cnndetect.cli.zoo
    import cnndetect.train.loop  # noqa: F401

    torch.set_num_threads(1)
    kept = {}
    for place, name in enumerate(CASES):
        file = options.keep / f"kill-{name}-{options.kills}-{options.seed}.json" if options.keep else None
        if name in options.only.split(","):
            with tempfile.TemporaryDirectory() as work:
                kept[name] = run(CASES[name](Path(work)), Path(work), options.kills, np.random.default_rng((options.seed, place)))
            print(kept[name], file=sys.stderr, flush=True)
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(vars(kept[name])))
        elif file and file.exists():
            kept[name] = Row(**json.loads(file.read_text()))
    rows = list(kept.values())
    text = table(rows, options.seed)
    put(options.out, "kill", text) if options.out else print(text)
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
