"""Progress bars on stderr: drawn where it is a terminal, as a widget in a notebook, and nowhere else."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from tqdm import tqdm


def bar(items: Iterable | None = None, *, desc: str, unit: str = "image", shown: bool = True, leave: bool = False, **more: Any) -> tqdm:
    """A tqdm bar over ``items``, or of ``total=`` steps that the caller counts. shown: False draws nothing anywhere.

    >>> list(bar([1, 2], desc="x"))
    [1, 2]
    """
    if shown and _in_notebook():
        from tqdm.notebook import tqdm as widget

        return widget(items, desc=desc, unit=unit, leave=leave, **more)
    return tqdm(items, desc=desc, unit=unit, file=sys.stderr, disable=None if shown else True, leave=leave, **more)


def say(line: str, *, file: Any = None) -> None:
    """Print a line above the bars that are open. file: default stderr."""
    tqdm.write(line, file=sys.stderr if file is None else file)


@lru_cache
def say_once(line: str) -> None:
    """``say`` on stderr, and nothing where the same line was said before."""
    say(line)


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell" and importlib.util.find_spec("ipywidgets") is not None
