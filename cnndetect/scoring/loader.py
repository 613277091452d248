"""Decode images in a few threads ahead of the network, and return them in order.

Decoders release the interpreter's lock, so that they work while the network does. Few images are held at a time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndetect.errors import CnndetectError

# Decoded images that nobody has taken yet hold no more pixels than this, beside one image per thread.
AHEAD_PIXELS = 8_000_000
MOST_THREADS = 4

Load = Callable[[], np.ndarray]

_EMPTY = np.empty((0, 0, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Loaded:
    """An image in memory, or the reason why it is not."""

    key: Any
    """What the caller calls it."""
    array: np.ndarray
    """uint8 [H, W, 3]; empty where it could not be loaded."""
    error: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.array.shape[0], self.array.shape[1]

    @property
    def pixels(self) -> int:
        return self.array.shape[0] * self.array.shape[1]


def loaded_ahead(images: Iterable[tuple[Any, Load]], *, threads: int | None = None) -> Iterator[Loaded]:
    """Call the functions in threads; yield what they return in the order of ``images``.

    images: (key, function that returns uint8 [H, W, 3] or raises CnndetectError); it is read by the caller's thread.
    threads: None for one per core, at most MOST_THREADS.

    >>> [one.key for one in loaded_ahead((key, lambda: np.zeros((2, 2, 3), np.uint8)) for key in "abc")]
    ['a', 'b', 'c']
    """
    count = threads or min(MOST_THREADS, os.cpu_count() or 1)
    started: deque[Future[Loaded]] = deque()
    source = iter(images)
    pool = ThreadPoolExecutor(count, thread_name_prefix="decode")
    try:
        exhausted = False
        while True:
            while not exhausted and len(started) < 2 * count and _held(started) < AHEAD_PIXELS:
                following = next(source, None)
                exhausted = following is None
                if following is not None:
                    started.append(pool.submit(_load, *following))
            if not started:
                return
            yield started.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _held(started: Iterable[Future[Loaded]]) -> int:
    return sum(future.result().pixels for future in started if future.done() and future.exception() is None)


def _load(key: Any, load: Load) -> Loaded:
    try:
        return Loaded(key, load())
    except (CnndetectError, MemoryError) as error:
        return Loaded(key, _EMPTY, str(error) or type(error).__name__)
