"""Documents in, the same documents out, with the output of every command they quote as it is today.

    python benchmarks/refresh_docs.py docs/audit.md docs/robustness.md

A quoted output stands between ``<!-- output of: COMMAND -->`` and ``<!-- end -->``; COMMAND is a module's command line, such as
``python -m cnndetect.audit mini``. Where a detector has to be scored first, this takes as long as scoring it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from cnndetect.files import write_whole

BLOCK = re.compile(r"<!-- output of: (?P<command>.+?) -->\n.*?<!-- end -->", re.DOTALL)
ROOT = Path(__file__).resolve().parent.parent


def refreshed(text: str) -> str:
    """The document with every quoted output made again. Raises CalledProcessError where a command fails."""
    return BLOCK.sub(lambda found: quoted(found["command"], output_of(found["command"])), text)


def quoted(command: str, output: str) -> str:
    """The block of one command."""
    return f"<!-- output of: {command} -->\n```text\n{output.rstrip()}\n```\n<!-- end -->"


def output_of(command: str) -> str:
    """What a command prints, run in the repository with this interpreter."""
    words = shlex.split(command)
    assert words[:2] == ["python", "-m"] and words[2].startswith("cnndetect"), command
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout


def main(paths: list[str]) -> None:
    """Write each document whole, once all its commands have answered."""
    for path in map(Path, paths):
        text = refreshed(path.read_text(encoding="utf-8"))
        write_whole(path, text)


if __name__ == "__main__":
    main(sys.argv[1:])
