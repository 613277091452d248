"""Bound the memory that libraries keep after images of many sizes.

oneDNN, which convolves for torch, keeps 1,024 kernels, some thirty for each image size of a ResNet-50. They lie between the
large buffers of images that are done, and glibc gives a buffer back only from the end of its heap: 120 sizes took a
gigabyte. So fewer kernels are kept, and what is free in the middle of the heap is given back now and then.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache

# Taking the pages again costs some hundredths of a second; this many pixels take seconds.
PIXELS_BETWEEN_TRIMS = 2_000_000


# More than one size of the largest bundled network has.
KERNELS_KEPT = 64


def keep_few_kernels() -> None:
    """Bound oneDNN's cache, in a process that has convolved nothing yet; who set the variable is not overruled."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS_KEPT))


def give_back() -> None:
    """Return free memory to the system where the C library can; elsewhere do nothing."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
