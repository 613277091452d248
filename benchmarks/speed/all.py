"""Measure everything in this folder again and make docs/performance.md of it.

    python benchmarks/speed/all.py                 # all that is left of the steps below; give it again after an interruption
    python benchmarks/speed/all.py --list          # the steps, what each is expected to take, and which are done
    python benchmarks/speed/all.py --only latency  # one group of steps; repeatable
    python benchmarks/speed/all.py --again         # forget what was measured before

The machine should have nothing else to do, two cores and 16 GB of memory. Each step is a process of its own whose figures are kept
in build/speed, so an interruption costs one step. When no step is left, the figures are put together in benchmarks/speed, the page and
its plot are made, and the names of all files that were written are printed. A step that fails is named, and its old figures stay.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring import MIXED, first_resnet50

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "build" / "speed"
PAGE = ROOT / "docs" / "performance.md"


@dataclass(frozen=True)
class Step:
    """One run of one program."""

    group: str
    """Its figures lie in benchmarks/speed/GROUP.json."""
    name: str
    words: tuple[str, ...]
    """Program and options; without --out, what it prints is kept."""
    minutes: float
    """Of two cores that are otherwise idle, estimated from processor seconds of single parts."""

    @property
    def file(self) -> Path:
        return WORK / f"{self.name}.json"

    @property
    def prints(self) -> bool:
        return "--out" not in self.words


def steps(detectors: list[str], validation: Path | None) -> Iterator[Step]:
    """Everything, cheap and asked for first."""

    def step(group: str, minutes: float, *words: str, part: str = "", out: bool = True) -> Step:
        name = f"{group}-{part}" if part else group
        return Step(group, name, (*words, *(("--out", str(WORK / f"{name}.json")) if out else ())), minutes)

    yield step("latency", 5, "latency.py")
    for detector in detectors:
        for size, minutes in (("64", 1.0), ("224", 2.0), (MIXED, 1.5), ("1024", 2.0)):
            yield step("scoring", minutes, "scoring.py", "--detector", detector, "--sizes", size, part=f"{detector}-{size}")
        # Images above 4 megapixels go through torch in strips, whatever the backend.
        large = ("--sizes", "4000", "--way", "torch/float32", "--repetitions", "1")
        yield step("scoring", 2.5, "scoring.py", "--detector", detector, *large, part=f"{detector}-4000")
    for detector in detectors:
        words = ("precision.py", "--suite", "mini", "--detector", detector, "--results", str(WORK / "scores"))
        yield step("precision", 5, *words, part=detector)
    if validation:
        for detector in detectors:
            words = ("precision.py", "--suite", str(validation), "--detector", detector, "--limit", "15", "--results", str(WORK / "scores"))
            yield step("choice", 5, *words, "--choose", str(validation), part=detector)
    yield step("autocast", 1.5, "autocast.py")
    yield step("gpu", 0.2, "gpu.py")
    generators = [str(path) for path in sorted((ROOT / "weights" / "zoo").glob("*.pt"))]
    yield step("zoo", 2, "zoo.py", "--together", *generators, out=False)
    yield step("large_images", 4, "large_images.py", out=False)
    yield step("many_sizes", 3, "many_sizes.py", out=False)
    yield step("metrics", 2, "metrics.py", out=False)


def main() -> int:
    """Run what is left, in order; then put the figures together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", metavar="NAME", help="repeatable (default: the bundled default and the ResNet-50)")
    parser.add_argument("--validation", type=Path, metavar="FOLDER", help="photographs with their fakes, to compare choices of int8 on")
    parser.add_argument("--only", action="append", metavar="GROUP", help="one group of steps, as --list names it; repeatable")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--list", action="store_true", help="name the steps and measure nothing")
    options = parser.parse_args()
    every = list(steps(options.detector or both(), options.validation))
    groups = list(dict.fromkeys(step.group for step in every))
    if unknown := set(options.only or ()) - set(groups):
        parser.error(f"--only {sorted(unknown)[0]}: no such group. Expected one of {', '.join(groups)}")
    chosen = [step for step in every if step.group in (options.only or groups)]
    if options.list:
        for step in chosen:
            print(f"{'done' if step.file.exists() else 'left'}  {step.minutes:4.1f} min  {step.group:12}  {step.name}")
        return 0
    if options.again:
        shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    failed = measure([step for step in chosen if not step.file.exists()])
    written = put_together(chosen)
    written += page() if written else []
    print("\n".join(["written:", *(str(path.relative_to(ROOT)) for path in written)]))
    for name in failed:
        print(f"failed: {name}, see {(WORK / name).relative_to(ROOT)}.log", file=sys.stderr)
    return int(bool(failed))


def both() -> list[str]:
    """The default detector, and the network that the official code has too."""
    from cnndetect.detectors.weights import DEFAULT_DETECTOR

    return list(dict.fromkeys([DEFAULT_DETECTOR, first_resnet50()]))


def measure(left: list[Step]) -> list[str]:
    """Run steps; the names of those that failed."""
    say(f"{len(left)} steps are left, about {sum(step.minutes for step in left):.0f} minutes on two idle cores")
    if os.getloadavg()[0] > 0.7:
        say(
            f"other processes want the cores (load {os.getloadavg()[0]:.1f}): processor seconds will be a little high, wall seconds useless"
        )
    failed = []
    for index, step in enumerate(left, 1):
        say(f"{index}/{len(left)} {step.name}, about {step.minutes:g} min ...")
        started, before = time.monotonic(), sum(os.times()[2:4])
        with open(WORK / f"{step.name}.log", "w", encoding="utf-8") as errors:
            run = subprocess.run(
                [sys.executable, str(HERE / step.words[0]), *step.words[1:]],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
            errors.write(run.stdout)
        took = f"{(time.monotonic() - started) / 60:.1f} min, {sum(os.times()[2:4]) - before:.0f} processor s"
        if run.returncode and not (step.prints and run.stdout.strip()):  # many_sizes.py ends with 1 above its bar
            failed.append(step.name)
            step.file.unlink(missing_ok=True)
            say(f"{step.name} failed after {took}")
            continue
        if step.prints:
            step.file.write_text(json.dumps(documents(run.stdout), indent=1) + "\n", encoding="utf-8")
        elif not step.file.exists():  # gpu.py where there is none
            step.file.write_text("[]\n", encoding="utf-8")
        say(f"{step.name}: {took}")
    return failed


def documents(text: str) -> list[Any]:
    """The JSON documents that a program printed one after another."""
    found, decoder, text = [], json.JSONDecoder(), text.strip()
    while text:
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:].strip()
    return found


def put_together(chosen: list[Step]) -> list[Path]:
    """Write benchmarks/speed/GROUP.json of every group of which all steps are done; the files."""
    written = []
    for group in dict.fromkeys(step.group for step in chosen):
        parts = [step for step in chosen if step.group == group]
        if not all(step.file.exists() for step in parts):
            say(f"{group}: not all of its steps are done, its old figures stay")
            continue
        contents = [json.loads(step.file.read_text(encoding="utf-8")) for step in parts]
        content = merged(contents) if group == "scoring" else [row for rows in contents for row in rows]
        if content:
            (HERE / f"{group}.json").write_text(json.dumps(content, indent=1, sort_keys=group == "scoring") + "\n", encoding="utf-8")
            written.append(HERE / f"{group}.json")
    return written


def merged(contents: list[dict[str, Any]]) -> dict[str, Any]:
    """The scoring of several sizes and detectors. The machine's limit is the highest that was seen, its load too."""
    machine = dict(contents[0]["machine"])
    machine["load"] = max(one["machine"]["load"] for one in contents)
    machine["gemm_gflops"] = {name: max(one["machine"]["gemm_gflops"][name] for one in contents) for name in machine["gemm_gflops"]}
    detectors: dict[str, Any] = {}
    for one in contents:
        for name, kept in one["detectors"].items():
            sizes = {**detectors.get(name, {}).get("sizes", {}), **kept["sizes"]}
            detectors[name] = {**kept, "sizes": sizes}
    return {"machine": machine, "detectors": detectors}


def page() -> list[Path]:
    """Make the page and its plot."""
    subprocess.run([sys.executable, str(HERE / "page.py")], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    return [PAGE, PAGE.parent / "figures" / "performance.svg"]


def say(words: str) -> None:
    print(f"speed: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
