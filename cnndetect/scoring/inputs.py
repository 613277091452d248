"""Tell what ``score`` was given: one image, or a collection of images."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Set, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnndetect.errors import ImageError, LayoutError
from cnndetect.images import EXTENSIONS, is_tensor, list_images, packs, refused


@dataclass(frozen=True)
class Given:
    """What a caller gave."""

    images: Iterable[Any]
    """Each of them what ``cnndetect.images.to_rgb_array`` takes."""
    single: bool
    """One image was given, not a collection that holds one."""

    @property
    def count(self) -> int | None:
        """None where nobody knows it before the end, as with a generator."""
        return len(self.images) if isinstance(self.images, Sized) else None


def given(img: Any) -> Given:
    """Tell one image from a collection.

    A folder stands for the images in it and below it, a pattern such as ``"photos/*.jpg"`` for the files that match, both
    sorted. An array [N, H, W, 3], a tensor [N, 3, H, W], a pandas Series, a torch Dataset and any iterable stand for their
    elements; of an element that is a tuple, as in labelled data sets, the first entry is the image.
    Raises ImageError, LayoutError.

    >>> given("photo.jpg").single, given(["a.png", "b.png"]).count
    (True, 2)
    """
    if isinstance(img, (str, os.PathLike)):
        return _path(img)
    if isinstance(img, np.ndarray) or is_tensor(img):
        # A column of paths is a collection, and so is a batch.
        collection = img.ndim == 4 or (isinstance(img, np.ndarray) and img.dtype.kind in "OUS")
        return Given(list(img), single=False) if collection else Given([img], single=True)
    if isinstance(img, (bytes, bytearray, memoryview)) or hasattr(img, "read") or hasattr(img, "getbands"):
        return Given([img], single=True)
    if isinstance(img, (Mapping, Set)) or hasattr(img, "columns"):
        raise ImageError(f"Got {refused(img)}. Expected images in an order; pass a list of them, or one column of a table.")
    if isinstance(img, Iterable) and not hasattr(img, "__getitem__"):
        return Given(_first_entries(img), single=False)
    if hasattr(img, "__getitem__") and hasattr(img, "__len__"):
        return Given(_Elements(img), single=False)
    raise ImageError(
        f"Got {refused(img)}. Expected an image (a path, bytes, an open file, a PIL image, an array or a tensor), a folder, "
        "or a collection of images."
    )


class _Elements:
    """A list, a Series or a torch Dataset: something with a length whose images are read one by one."""

    def __init__(self, collection: Any) -> None:
        self.collection = collection

    def __len__(self) -> int:
        return len(self.collection)

    def __iter__(self) -> Iterator[Any]:
        # A Dataset has no iterator, and Python's own fallback would not stop at its length.
        has_iterator = hasattr(self.collection, "__iter__")
        return _first_entries(self.collection if has_iterator else (self.collection[index] for index in range(len(self))))


def _first_entries(images: Iterable[Any]) -> Iterator[Any]:
    for image in images:
        yield image[0] if isinstance(image, tuple) and image else image


def _path(given_path: str | os.PathLike[str]) -> Given:
    text = os.fspath(given_path)
    if not isinstance(text, str):
        return Given([text], single=True)
    # Path objects have lost one of the two slashes.
    scheme, colon, _ = text.partition(":/")
    if colon and len(scheme) > 1 and scheme.isalnum() and not Path(text).exists():
        raise ImageError(f"{text} is an address. Expected a local file; download it first, and pass its path or its bytes.")
    if packs.is_dir(Path(text)):
        found = list_images(text)
        if not found:
            raise LayoutError(f"{text} holds no images. Expected files such as a.png or b.jpg in it or below it.")
        return Given(found, single=False)
    if glob.has_magic(text) and not os.path.lexists(text):
        matches = [Path(name) for name in sorted(glob.glob(text, recursive=True)) if name.lower().endswith(EXTENSIONS)]
        if not matches:
            raise LayoutError(f"No image file matches {text!r}. Expected a pattern such as 'photos/*.jpg'; '**' also walks sub-folders.")
        return Given(matches, single=False)
    return Given([given_path], single=True)
