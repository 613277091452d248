"""10,000 damaged and hostile files through score, bench, audit and serve: nothing may crash, hang, vanish or swell.

    python benchmarks/reliability/fuzz.py --files 10000 --seed 0 --out docs/reliability.md
    python benchmarks/reliability/fuzz.py --large 20,60,201 --out docs/reliability.md

With --large the files are whole pictures of so many megapixels instead, two of each size.
Every command is a process of its own, so its peak memory and its processor time are its own. The table goes between the marks
of the page; without --out it is printed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import damaged  # noqa: E402
from page import put  # noqa: E402

DETECTOR = "small_detector:small"

# Of one file alone, in processor seconds: wall time would measure the machine's other work.
SECONDS = 10.0
MEMORY_GB = 2.0


@dataclass
class Row:
    """One command. given = scored + failed, or files are missing.  crashed: tracebacks, signals, 500s.  slowest: seconds of one step."""

    command: str
    given: int
    scored: int
    failed: int
    crashed: int
    slowest: float
    seconds: float
    memory_gb: float
    reasons: Counter

    @property
    def sound(self) -> bool:
        return self.given == self.scored + self.failed and not self.crashed and self.slowest < SECONDS and self.memory_gb < MEMORY_GB


def measured(command: list[str], *, limit: float = 3600) -> tuple[subprocess.CompletedProcess, float, float]:
    """Run a command of the package; its result, processor seconds and peak memory in GB."""
    program = (
        "import atexit,resource,sys\n"
        "def tell():\n r=resource.getrusage(resource.RUSAGE_SELF)\n"
        " sys.stderr.write('\\n@@%s %s\\n' % (r.ru_utime + r.ru_stime, r.ru_maxrss / 1e6))\n"
        "atexit.register(tell)\n"
        "from cnndetect.cli.main import main\nsys.exit(main())\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, env=env, timeout=limit)
    found = re.findall(rb"@@([\d.]+) ([\d.]+)", done.stderr)
    seconds, memory = map(float, found[-1]) if found else (float("nan"), float("nan"))
    return done, seconds, memory


def crashes(done: subprocess.CompletedProcess, allowed: tuple[int, ...]) -> int:
    """1 for a traceback or an exit status that is none of the allowed."""
    bad = b"Traceback" in done.stderr or done.returncode not in allowed
    if bad:
        sys.stderr.write(done.stderr[-3000:].decode("utf-8", "replace"))
    return int(bad)


def reason(message: str) -> str:
    """The kind of a failure: its sentence without names and numbers."""
    for words in (
        "is not an image", "cannot be decoded", "pixels. Expected at most", "is empty", "is a broken link", "is a pipe", "cannot be read",
        "32-bit integers", "NaN or infinity", "values from", "no pixels", "too large", "more memory", "detector failed",
    ):  # fmt: skip
        if words in message:
            return words
    return message[:60]


def fuzz_score(folder: Path, count: int) -> Row:
    done, seconds, memory = measured(["score", str(folder), "--json", "--detector", DETECTOR, "--device", "cpu"])
    answer = json.loads(done.stdout) if done.stdout else {"images": [], "failed": []}
    named = {one["path"] for one in [*answer["images"], *answer["failed"]]}
    given = len(named) if len(named) == count else count  # a name twice, or missing, breaks the sum below
    reasons = Counter(reason(one["error"]) for one in answer["failed"])
    scored = sum(one["logit"] == one["logit"] for one in answer["images"])
    return Row("score", given, scored, len(answer["failed"]), crashes(done, (0, 1)), slowest_file(folder), seconds, memory, reasons)


def slowest_file(folder: Path) -> float:
    """Processor seconds of the slowest file, decoded alone."""
    from cnndetect.errors import ImageError
    from cnndetect.images import list_images, to_rgb_array

    slowest = 0.0
    for path in list_images(folder):
        before = time.process_time()
        try:
            to_rgb_array(path)
        except ImageError:
            pass
        slowest = max(slowest, time.process_time() - before)
    return slowest


def fuzz_bench(suite: Path, results: Path, count: int) -> Row:
    done, seconds, memory = measured(
        ["bench", "--suite", str(suite), "--detector", DETECTOR, "--results", str(results), "--draws", "0", "--device", "cpu"]
    )
    from cnndetect.bench.store import read_runs

    reasons: Counter = Counter()
    scored = failed = 0
    for rows in read_runs([results]).values():
        for sets in rows.values():
            for run in sets.values():
                failed += int(run.scores.failed.sum())
                scored += int((~run.scores.failed).sum())
                reasons.update(reason(str(text)) for text in run.scores.errors[run.scores.failed])
    return Row("bench", count, scored, failed, crashes(done, (0, 1)), 0.0, seconds, memory, reasons)


def fuzz_audit(suite: Path, count: int) -> Row:
    done, seconds, memory = measured(["audit", str(suite), "--json", "--draws", "0"])
    answer = json.loads(done.stdout) if done.stdout else []
    classes = [one[label] for one in answer for label in ("real", "fake")]
    failed = sum(one["unreadable"] for one in classes)
    scored = sum(one["count"] for one in classes) - failed
    return Row("audit", count, scored, failed, crashes(done, (0, 1)), 0.0, seconds, memory, Counter({"unreadable": failed}))


Request = tuple[str, bytes, dict[str, str]]


def fuzz_serve(requests: Sequence[Callable[[], Request]]) -> Row:
    """What a server answers, one request after another."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    words = ["-m", "cnndetect", "serve", "--port", "0", "--detector", DETECTOR, "--device", "cpu"]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=errors, env=env)
        assert process.stdout is not None
        port = int(re.search(rb":(\d+)/", process.stdout.readline())[1])  # type: ignore[index]
        statuses: Counter = Counter()
        slowest, crashed = 0.0, 0
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        for index, made in enumerate(requests):
            before, status = cpu_seconds(process.pid), 0
            try:
                connection.request("POST", *made())
                response = connection.getresponse()
                status, body = response.status, response.read()
                words_ok = status == 200 or len(json.loads(body)["message"]) > 20
                crashed += status >= 500 or not words_ok
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()  # the next request opens another
                print(f"request {index}: {type(error).__name__}: {error}", file=sys.stderr)
                crashed += process.poll() is not None or isinstance(error, (TimeoutError, ValueError))
                status = -1
            statuses[status] += 1
            slowest = max(slowest, cpu_seconds(process.pid) - before)
        connection.close()
        crashed += process.poll() is not None
        seconds, memory = cpu_seconds(process.pid), peak_gb(process.pid)
        process.terminate()
        process.wait(30)
        errors.seek(0)
        said = errors.read()
        crashed += said.count(b"Traceback")
        if b"Traceback" in said:
            sys.stderr.write(said[-4000:].decode("utf-8", "replace"))
    reasons = Counter({f"status {status}": number for status, number in statuses.items() if status != 200})
    return Row("serve", len(requests), statuses[200], sum(reasons.values()), crashed, slowest, seconds, memory, reasons)


def request(seed: int, index: int) -> Request:
    """Address, body and headers of one request, which follow from (seed, index) alone.

    One request a file: as the body, in a form, or as a form that is damaged itself.
    """
    _, content = damaged.make(seed, index)
    address = ("/api/score", "/api/batch", "/api/score?name=%00%ff%0a", "/api/examine")[index % 4 if index % 16 else 3]
    if address == "/api/examine" and index % 16:
        address = "/api/score"  # the map and the spectrum cost ten times a score
    name = damaged.name_of(index)
    form = b'--line\r\ncontent-disposition: form-data; name="image"; filename="' + name + b'"\r\n\r\n' + content + b"\r\n--line--\r\n"
    if index % 7 == 3:  # a form that breaks off, or whose bytes are changed
        import numpy as np

        rng = np.random.default_rng((seed, index, 1))
        form = (damaged.truncated if index % 2 else damaged.header_flipped)(form, rng)
    if index % 2 or address == "/api/batch":
        return address, form, {"content-type": "multipart/form-data; boundary=line" if index % 31 else "multipart/form-data"}
    return address, content, {"content-type": ("image/png", "application/octet-stream", "text/plain")[index % 97 // 48]}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_gb(pid: int) -> float:
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1e6  # type: ignore[index]


def table(rows: list[Row], kinds: dict[str, int], seed: int | None) -> str:
    lines = [
        f"{sum(kinds.values()):,} files{'' if seed is None else f' of seed {seed}'}: "
        + ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        + ".",
        "",
        "| command | given | scored | failed, named | crashes | slowest file, s | processor time, s | peak memory, GB | sound |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        slowest = f"{row.slowest:.2f}" if row.slowest else ""
        numbers = f"{row.given:,} | {row.scored:,} | {row.failed:,} | {row.crashed} | {slowest} | {row.seconds:.0f} | {row.memory_gb:.2f}"
        lines.append(f"| {row.command} | {numbers} | {'yes' if row.sound else 'NO'} |")
    lines += ["", "Why files failed:", ""]
    for row in rows:
        lines.append(f"- {row.command}: " + ", ".join(f"{count:,} {words}" for words, count in row.reasons.most_common()) + ".")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", metavar="MP,MP", help="whole pictures of so many megapixels, in place of damaged files")
    parser.add_argument("--only", default="score,bench,audit,serve")
    parser.add_argument("--keep", type=Path, help="folder of rows, so that the commands can run one at a time and one table holds all")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if name]
    if options.large and options.keep:
        parser.error("--keep holds rows of damaged files. Give it without --large.")
    with tempfile.TemporaryDirectory() as work:
        root, kinds = Path(work), Counter()
        folders = [root / "suite" / "set" / name for name in ("0_real", "1_fake")]
        requests: list[Callable[[], Request]]
        if options.large:
            sizes = [int(size) for size in options.large.split(",")]
            kinds.update({f"of {size} megapixels": len(folders) for size in sizes})
            whole = [path for folder in folders for path in damaged.write_large(folder, sizes)]
            requests = [lambda path=path: ("/api/score", path.read_bytes(), {"content-type": "image/png"}) for path in whole]
        else:
            half = options.files // 2
            for folder, start, count in zip(folders, (0, half), (half, options.files - half), strict=True):
                kinds.update(damaged.write_files(folder, count, options.seed, start=start))
            kinds["links in a circle, broken links and pipes"] = sum(damaged.write_traps(folder) for folder in folders)
            requests = [partial(request, options.seed, index) for index in range(options.files)]
        total = sum(kinds.values())
        steps = {
            "score": lambda: fuzz_score(root / "suite", total),
            "bench": lambda: fuzz_bench(root / "suite", root / "results", total),
            "audit": lambda: fuzz_audit(root / "suite", total),
            "serve": lambda: fuzz_serve(requests),
        }
        rows = []
        for name in names:
            rows.append(steps[name]())
            print(rows[-1], file=sys.stderr, flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{name}-{options.files}-{options.seed}.json").write_text(json.dumps(vars(rows[-1])))
    if options.keep:
        kept = [options.keep / f"{name}-{options.files}-{options.seed}.json" for name in steps]
        rows = [
            Row(**{**json.loads(file.read_text()), "reasons": Counter(json.loads(file.read_text())["reasons"])})
            for file in kept
            if file.exists()
        ]
    text = table(rows, kinds, None if options.large else options.seed)
    put(options.out, "large" if options.large else "fuzz", text) if options.out else print(text)
    return 0 if all(row.sound for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
