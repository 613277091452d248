"""kill -9 at random moments of bench, train and zoo, again and again, until each has ended: nothing may be lost or wrong.

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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parents[1] / "tests")]

import numpy as np  # noqa: E402
from page import put  # noqa: E402
from PIL import Image  # noqa: E402

BATCH, CHECKPOINT_STEPS = 8, 5


@dataclass
class Case:
    """One command. words: with OUT for its folder.  progress: units that are safe on disk.  unit: what is counted, and how many a kill may cost.

    same: says what differs between the folder of the broken run and that of the unbroken one, [] for nothing.
    """

    name: str
    words: list[str]
    progress: Callable[[Path], int]
    same: Callable[[Path, Path], list[str]]
    unit: str


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
    words = [word.replace("OUT", str(out)) for word in case.words]
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

        status = program(words)
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


def draw(folder: Path, count: int, *, side: int, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{index:04d}.png")


def leftovers(out: Path) -> list[str]:
    return [f"{path.name} was left" for path in out.rglob("*") if path.suffix in (".tmp", ".journal")]


def bench_case(work: Path) -> Case:
    rng = np.random.default_rng(1)
    for name in ("crn", "biggan"):
        for label in ("0_real", "1_fake"):
            draw(work / "suite" / name / label, 300, side=32, rng=rng)
    words = ["bench", "--suite", str(work / "suite"), "--detector", "small_detector:small", "--results", "OUT", "--batch-size", str(BATCH)]

    def scores(out: Path) -> dict[str, list]:
        from cnndetect.bench.store import read_runs

        found = {}
        for rows in read_runs([out]).values():
            for row in rows.values():
                for name, one in row.items():
                    found[name] = [one.scores.paths.tolist(), one.scores.logits.tolist(), one.scores.errors.tolist()]
        return found

    def progress(out: Path) -> int:
        """Images whose scores are safe, in results and journals; a journal's last line may be torn."""
        safe = sum(len(one[0]) for one in scores(out).values()) if out.exists() and any(out.rglob("*.json")) else 0
        for journal in out.rglob("*.journal"):
            if journal.with_suffix(".json").exists():
                continue
            for line in journal.read_bytes().split(b"\n")[1:-1]:
                safe += len(json.loads(line))
        return safe

    def same(whole: Path, out: Path) -> list[str]:
        return leftovers(out) + ([] if scores(whole) == scores(out) else ["scores differ from those of the unbroken run"])

    return Case("bench", [*words, "--draws", "20", "--device", "cpu"], progress, same, f"images in batches of {BATCH}")


def train_case(work: Path) -> Case:
    rng = np.random.default_rng(2)
    for split, count in (("train", 24), ("val", 4)):
        for label in ("0_real", "1_fake"):
            draw(work / "data" / split / "cat" / label, count, side=32, rng=rng)
    words = ["train", "--data", str(work / "data"), "--name", "run", "--out", "OUT", "--arch", "tiny", "--init", "random", "--lr", "0.01"]
    words += ["--recipe", "mini-blur-jpeg-0.5", "--crop-px", "24", "--batch-size", "2", "--max-epochs", "6", "--device", "cpu"]
    words += ["--threads", "1", "--checkpoint-steps", str(CHECKPOINT_STEPS)]

    def progress(out: Path) -> int:
        from cnndetect.train.checkpoint import load_checkpoint

        last = out / "run" / "last.ckpt"
        if not last.exists():
            return 0
        state = load_checkpoint(last)
        return int(state["epoch"]) * 24 + int(state["step"])

    def same(whole: Path, out: Path) -> list[str]:
        import torch
        from safetensors.torch import load_file

        wrong = leftovers(out)
        first, second = (load_file(one / "run" / "best.safetensors") for one in (whole, out))
        if any(not torch.equal(value, second[key]) for key, value in first.items()):
            wrong.append("best weights differ")
        logs = [[json.loads(line) for line in (one / "run" / "log.jsonl").read_text().splitlines()] for one in (whole, out)]
        timeless = [[{k: v for k, v in line.items() if "second" not in k} for line in log] for log in logs]
        return wrong + ([] if timeless[0] == timeless[1] else ["log.jsonl differs"])

    return Case("train", words, progress, same, f"steps, a checkpoint every {CHECKPOINT_STEPS}")


def zoo_case(work: Path) -> Case:
    """Samples of a generator: one file each, so a kill may cost the one under way."""
    import torch

    from cnndetect.zoo import registry
    from cnndetect.zoo.families import progan
    from cnndetect.zoo.loop import Job

    tiny = progan.ProGANConfig(channels=(4, 4, 4, 4, 4, 4), latent=4, phases=((8, 0, 4, 4),))
    photos = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8)
    weights = registry.export("progan", progan.train(photos, tiny, Job(work / "progan")), work / "generator.pt")
    rng = np.random.default_rng(3)
    draw(work / "photos" / "cat", 40, side=256, rng=rng)
    words = ["zoo", "build-training", "--photos", str(work / "photos"), "--generator", f"cat={weights}", "--out", "OUT"]

    def files(out: Path) -> dict[str, bytes]:
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}

    def progress(out: Path) -> int:
        from cnndetect.images import list_images, to_rgb_array

        found = list_images(out) if out.exists() else []
        for path in found:
            to_rgb_array(path)  # a file that is there is whole
        return len(found)

    def same(whole: Path, out: Path) -> list[str]:
        first, second = files(whole), files(out)
        return leftovers(out) + [f"{name} differs" for name in sorted({*first, *second}) if first.get(name) != second.get(name)][:3]

    return Case("zoo build-training", words, progress, same, "images, one file each")


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
    parser.add_argument("--kills", type=int, default=50, help="altogether")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="bench,train,zoo")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    makers = {"bench": bench_case, "train": train_case, "zoo": zoo_case}
    names = options.only.split(",")
    # What the children share: one thread, so that the fork is safe, and the imports.
    import torch

    import cnndetect.bench.run
    import cnndetect.cli.bench
    import cnndetect.cli.train
    import cnndetect.cli.zoo
    import cnndetect.train.loop  # noqa: F401

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        rows = []
        for name in names:  # each with its share and its own draws, whatever runs beside it
            place = list(makers).index(name)
            share = options.kills // len(makers) + (place < options.kills % len(makers))
            rows.append(run(makers[name](Path(work)), Path(work), share, np.random.default_rng((options.seed, place))))
            print(rows[-1], file=sys.stderr, flush=True)
    text = table(rows, options.seed)
    put(options.out, "kill", text) if options.out else print(text)
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
