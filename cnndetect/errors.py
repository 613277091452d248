"""All errors that the package raises on purpose, and the lookup that every registry uses.

CnndetectError
 ├─ ImageError        a file or an array that is not a usable image
 │   └─ FormatError   bytes that are no image at all, or of a format that is not read
 ├─ LayoutError       a folder that is not a test set
 ├─ WeightsError      a weights file that is missing, damaged or does not fit
 ├─ ProtocolError     options that do not go together, or a protocol that cannot be applied
 ├─ DataError         scores, results or training data that cannot be read or do not belong together
 ├─ DownloadError     a file that no address gives whole and right, or that has no room
 ├─ MetricError       numbers that a metric is not defined on
 └─ UnknownNameError  a name that no registry has
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


class CnndetectError(Exception):
    """Base of all errors that cnndetect raises on purpose."""


class ImageError(CnndetectError):
    """A file or an array that is not a usable image."""


class FormatError(ImageError):
    """Bytes that are no image at all, or of a format that is not read."""


class LayoutError(CnndetectError):
    """A folder that is not a test set or a training set."""


class WeightsError(CnndetectError):
    """A weights file that is missing, damaged or does not fit its network."""


class ProtocolError(CnndetectError):
    """Options that do not go together, or a protocol that cannot be applied."""


class DataError(CnndetectError):
    """Scores, results or training data that cannot be read or do not belong together."""


class DownloadError(CnndetectError):
    """A file that could not be fetched whole and right, or for which there is no room."""


class MetricError(CnndetectError):
    """Numbers that a metric is not defined on."""


class UnknownNameError(CnndetectError):
    """A name that no registry has."""


def lookup(kind: str, table: Mapping[str, Entry], name: str) -> Entry:
    """Return ``table[name]``, or raise with the nearest known names.

    >>> lookup("protocol", {"crop224": 1, "nocrop": 2}, "nocrop")
    2
    """
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownNameError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(sorted(table)) or 'none'}.")
