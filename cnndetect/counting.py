"""Counts in words: one image, two images."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun. noun: in the singular.  plural: where an s does not make it, or words follow that agree.

    >>> counted(1, "image"), counted(0, "image"), counted(2, "training image")
    ('1 image', '0 images', '2 training images')
    >>> counted(2, "file is a duplicate", "files are duplicates")
    '2 files are duplicates'
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
