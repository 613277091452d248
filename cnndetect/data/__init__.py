"""Where images come from: folders, catalogues, photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnndetect.lazy import exports

if TYPE_CHECKING:
    from cnndetect.data.folders import scan

__all__ = ["scan"]

__getattr__, __dir__ = exports(
    __name__,
    {
        "scan": "cnndetect.data.folders",
    },
)
