"""Progress bars on stderr, drawn only where it is a terminal: pipes and logs stay free of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def bar(items: Iterable | None = None, *, desc: str, unit: str = "image", shown: bool = True, leave: bool = False, **more: Any) -> tqdm:
    """A tqdm bar over ``items``, or of ``total=`` steps that the caller counts. shown: False draws nothing anywhere.

    >>> list(bar([1, 2], desc="x"))
    [1, 2]
    """
    return tqdm(items, desc=desc, unit=unit, file=sys.stderr, disable=None if shown else True, leave=leave, **more)
