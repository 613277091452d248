"""The generated parts of a Markdown page: what stands between a marker and its end is made by a command or by a table here.

    <!-- output of: cnndetect detectors info DEFAULT -->      the output of a command, as it is
    <!-- console: cnndetect score FOLDER --sort | head 6 -->   the command and the first lines of its output
    <!-- table: leaderboard -->                               Markdown of ``tables.TABLES``
    <!-- end 0123456789ab -->

DEFAULT stands for the name of the default detector, FAMILY for the first family of the embedded suite. The end carries a digest
of what the part was made from: the marker itself, the stored results, and the records of the bundled detectors.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from cnndetect.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- (?P<kind>output of|console|table): (?P<what>.+?) -->\n(?P<body>.*?)<!-- end(?: (?P<digest>[0-9a-f]+))? -->", re.S)
INPUTS = ("benchmarks/results/**/*.json", "benchmarks/results/*.tar.xz", "weights/*.json")
WIDEST = 1000  # characters of a printed line


def all_pages() -> list[Path]:
    """README and every page of docs that has generated parts."""
    return [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if BLOCK.search(page.read_text("utf-8"))]


def refresh(pages: Sequence[Path]) -> list[str]:
    """Write each page whole, once all its parts are made. Returns the parts that failed; they stay as they were, out of date."""
    failed: list[str] = []

    def made(found: re.Match[str]) -> str:
        try:
            return block(found["kind"], found["what"])
        except Exception as error:  # noqa: BLE001  one part costs only itself, and is named
            failed.append(f"{page.relative_to(ROOT)}: {found['what']}: {type(error).__name__}: {error}")
            return found[0]

    for page in pages:
        text = page.read_text(encoding="utf-8")
        fresh = BLOCK.sub(made, text)
        if fresh != text:
            write_whole(page, fresh)
        print(f"docs: {page.relative_to(ROOT)}: {len(BLOCK.findall(text))} parts", file=sys.stderr)
    return failed


def stale(page: Path) -> list[str]:
    """Markers whose part was made from something else than what is here now, or is empty."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [part["what"] for part in found if part["digest"] != digest(part["kind"], part["what"]) or not part["body"].strip()]


def block(kind: str, what: str) -> str:
    """A part with its marker and its end."""
    if kind == "table":
        import tables

        body = tables.TABLES[what]()
    else:
        command, _, lines = what.partition(" | head ")
        command = command.replace("DEFAULT", default_detector()).replace("FAMILY", first_family())
        printed = output_of(command).rstrip().splitlines()
        shown = [line[:WIDEST].rstrip() for line in (printed[: int(lines)] if lines else printed)]
        if lines and len(printed) > len(shown):
            shown.append("...")
        body = "\n".join(["```console", f"$ {command}", *shown, "```"] if kind == "console" else ["```text", *shown, "```"])
    return f"<!-- {kind}: {what} -->\n{body.rstrip()}\n<!-- end {digest(kind, what)} -->"


@lru_cache
def output_of(command: str) -> str:
    """What a command of this package prints, run in the repository. A word OUT becomes a folder that is thrown away."""
    words = shlex.split(command)
    assert words[0] == "cnndetect", f"only this package's program is run, got: {command}"
    with tempfile.TemporaryDirectory() as out:
        words = [out if word == "report" and words[place - 1] == "--out" else word for place, word in enumerate(words)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        run = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout.replace(out, "report").replace(f"{ROOT}/", "")


def digest(kind: str, what: str) -> str:
    """What a part was made from, in twelve characters."""
    return hashlib.sha256(f"{kind}\0{what}\0{_inputs()}".encode()).hexdigest()[:12]


@lru_cache
def _inputs() -> str:
    files = sorted(path for pattern in INPUTS for path in ROOT.glob(pattern))
    return default_detector() + "\n".join(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)


def default_detector() -> str:
    from cnndetect.detectors.weights import DEFAULT_DETECTOR

    return DEFAULT_DETECTOR


def first_family() -> str:
    from cnndetect.bench.suites import find_suites

    return find_suites("mini")[0].sets[0].name
