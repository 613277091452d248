"""``python -m cnndetect.MODULE`` of a module that is not a program: Python would run it in silence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def refuse_others(words: Sequence[str]) -> None:
    """End with a hint where ``python -m`` was given a module without a command line. words: ``sys.orig_argv``."""
    name = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    file = Path(__file__).parent.parent.joinpath(*name.split(".")).with_suffix(".py")
    if name.startswith("cnndetect.") and file.is_file() and "__main__" not in file.read_text(encoding="utf-8"):
        print(f"error: {name} is not a program. Expected: cnndetect VERB; see: python -m cnndetect --help", file=sys.stderr)
        sys.exit(2)
