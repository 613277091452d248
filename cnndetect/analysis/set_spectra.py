"""Mean spectra of the two classes of a test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cnndetect.analysis.spectra import Spectrum, mean_spectrum
from cnndetect.data.folders import Sample, evenly, scan
from cnndetect.errors import CnndetectError, ImageError
from cnndetect.images import open_stored, read_file, to_rgb_array

# The paper's images have 256 pixels; larger ones give their middle.
MOST_PX = 256


# Spectra by the files they were made from: test sets that share their reals share the work.
Known = dict[tuple[tuple[Path, ...], int], Spectrum]


def set_spectra(
    root: str | Path, *, size_px: int | None = None, limit: int | None = None, known: Known | None = None
) -> tuple[Spectrum, Spectrum]:
    """Mean spectrum of the reals, and of the fakes, of a folder in the official layout.

    size_px: side of the middle square; by default the largest even one that three quarters of the images of each class have,
    at most 256.  limit: images per class, evenly spread over the names; the paper takes 2,000.
    known: filled on the way, for the next test set with the same reals.
    Images that are smaller or cannot be read have no part in it. Raises LayoutError, ImageError.
    """
    classes = [_limited([sample for sample in scan(root) if sample.label == label], limit) for label in (0, 1)]
    side, done = common_side(classes) if size_px is None else size_px, {} if known is None else known
    for samples in classes:
        key = (tuple(sample.path for sample in samples), side)
        if key not in done:
            done[key] = mean_spectrum(_arrays(samples), size_px=side)
    real, fake = (done[tuple(sample.path for sample in samples), side] for samples in classes)
    return real, fake


def common_side(classes: Sequence[Sequence[Sample]]) -> int:
    """The largest even side that three quarters of the readable images of every class have, at most MOST_PX."""
    sides = []
    for samples in classes:
        shorter = sorted(_shorter_sides(samples))
        if not shorter:
            raise ImageError(f"None of {len(samples)} images can be read, such as {samples[0].path}. Expected image files.")
        sides.append(shorter[len(shorter) // 4])
    return max(2, min(MOST_PX, *sides) // 2 * 2)


def _shorter_sides(samples: Sequence[Sample]) -> Iterator[int]:
    for sample in samples:
        try:
            yield min(open_stored(read_file(sample.path)).size)
        except CnndetectError:
            continue


def _arrays(samples: Sequence[Sample]) -> Iterator[np.ndarray]:
    for sample in samples:
        try:
            yield to_rgb_array(sample.path)
        except CnndetectError:
            continue  # the audit and the bench name it


def _limited(samples: list[Sample], limit: int | None) -> list[Sample]:
    return samples if limit is None else evenly(samples, limit)
