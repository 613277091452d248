"""Remake every generated part of README and docs: tables, outputs of commands, figures, the gallery and the tutorial.

    python scripts/docs                 # everything; make docs
    python scripts/docs README.md docs/model-card.md       # the generated parts of these pages
    python scripts/docs --only figures
    python scripts/docs --check         # which parts are out of date, without making any; exit 1 where some are

A part is out of date where its marker, the stored results or the weights' records have changed since it was made.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import blocks  # noqa: E402
import figures  # noqa: E402
import tutorial_notebook  # noqa: E402

STEPS = ("leaderboard", "figures", "pages", "tutorial")


def main(arguments: list[str]) -> int:
    """Run the steps in order; each says how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="these pages alone (default: README.md and all of docs/)")
    parser.add_argument("--only", action="append", choices=STEPS, help="this step alone; repeatable")
    parser.add_argument("--check", action="store_true", help="name what is out of date, and make nothing")
    given = parser.parse_args(arguments)
    pages = [path.resolve() for path in given.pages] or blocks.all_pages()
    if given.check:
        stale = [f"{page.relative_to(ROOT)}: {marker}" for page in pages for marker in blocks.stale(page)]
        print("\n".join(stale) or "nothing is out of date")
        return int(bool(stale))
    os.chdir(ROOT)
    failed: list[str] = []
    steps = {"leaderboard": leaderboard, "figures": figures.make, "tutorial": tutorial_notebook.make}
    for step in given.only or (["pages"] if given.pages else STEPS):
        started, cpu = time.monotonic(), sum(os.times()[:4])
        print(f"docs: {step} ...", file=sys.stderr)
        try:
            failed += blocks.refresh(pages) if step == "pages" else steps[step]() or []
        except Exception as error:  # noqa: BLE001  one step costs only itself, and is named
            failed.append(f"{step}: {type(error).__name__}: {error}")
        print(f"docs: {step}: {time.monotonic() - started:.0f} s, {sum(os.times()[:4]) - cpu:.0f} CPU s", file=sys.stderr)
    for words in failed:
        print(f"docs: failed: {words}", file=sys.stderr)
    return int(bool(failed))


def leaderboard() -> None:
    """benchmarks/LEADERBOARD.md, from the stored results."""
    _cnndetect("bench", "leaderboard", "--out", "benchmarks/LEADERBOARD.md")


def _cnndetect(*words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "cnndetect", *words], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
