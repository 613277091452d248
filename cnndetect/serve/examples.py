"""Pictures of the embedded suite to try the page with: photographs, and fakes of families that paint no faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cnndetect.bench.suites import MINI, find_suites
from cnndetect.data.folders import Sample, evenly, scan
from cnndetect.errors import CnndetectError
from cnndetect.images import open_stored, read_file

# Families whose subject is people's faces, in the paper and here.
FACES = ("stargan", "deepfake", "whichfaceisreal", "ffpp")

FAMILIES, PHOTOGRAPHS = 4, 2


@dataclass(frozen=True)
class Example:
    """One picture to try the page with."""

    name: str  # of the file
    words: str  # what it is
    content: bytes  # the file as it is stored
    media_type: str


@lru_cache(maxsize=1)
def examples() -> tuple[Example, ...]:
    """Some photographs, then one fake each of the first families; none where the suite is not installed."""
    try:
        sets = [one for one in find_suites(MINI)[0].sets if not any(face in one.name for face in FACES)]
        photographs = [(sample, "photograph") for sample in suite_samples(label=0, most=PHOTOGRAPHS)]
        fakes = [(evenly([sample for sample in scan(one.root) if sample.label == 1], 3)[1], f"fake, {one.name}") for one in sets[:FAMILIES]]
        return tuple(_example(sample, words) for sample, words in [*photographs, *fakes])
    except (CnndetectError, IndexError):
        return ()


def suite_samples(*, label: int, most: int) -> Sequence[Sample]:
    """Images of one class of the suite's first test set, evenly spread; none where it is not installed."""
    try:
        first = find_suites(MINI)[0].sets[0]
        return evenly([sample for sample in scan(first.root) if sample.label == label], most)
    except CnndetectError:
        return ()


def _example(sample: Sample, words: str) -> Example:
    content = read_file(sample.path)
    kind = open_stored(content).format or "PNG"
    return Example(sample.relative.rpartition("/")[2], words, content, f"image/{kind.lower()}")
