"""Counts in words: one image, two images."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number and its noun. noun: in the singular, with a plural in s.

    >>> counted(1, "image"), counted(0, "image"), counted(2, "training image")
    ('1 image', '0 images', '2 training images')
    """
    return f"{number} {noun}" + ("" if number == 1 else "s")
