"""Builds the suite ``public``: photographs, and what each public generator makes of them, through the encoder of all our images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cnndetect.counting import counted
from cnndetect.data.photos import SIZE_PX
from cnndetect.data.test_only import MARK
from cnndetect.errors import CnndetectError, DataError, lookup
from cnndetect.files import write_json, write_whole
from cnndetect.images import list_images, open_image
from cnndetect.progress import bar
from cnndetect.zoo.photographs.free_photos import encode_png
from cnndetect.zoo.public.catalogue import GENERATORS
from cnndetect.zoo.public.generator import Make, PublicGenerator

COUNT = 100


@dataclass(frozen=True)
class Built:
    """What became of one generator."""

    name: str
    origin: str
    licence: str
    what: str
    images: int
    """Fakes in its test set."""
    reason: str | None
    """Why it is missing."""


def build_public(
    photos: str | Path,
    out: str | Path,
    *,
    cache: Path,
    only: Sequence[str] = (),
    count: int = COUNT,
    generators: Iterable[PublicGenerator] | None = None,
) -> list[Built]:
    """Write OUT/NAME/{0_real.txt,1_fake} for every generator, and the shared photographs; return what became of each.

    photos: 128 px crops named PHOTOGRAPH__K.png; ``count`` of them are taken, from as many photographs as there are.
    cache: where code and weights of the generators lie.  only: names; all of them where empty.
    A generator that cannot be fetched is skipped, with its reason. Finished images are kept: the same call continues.
    Raises DataError where there are fewer photographs than ``count``.
    """
    chosen = list(GENERATORS.values()) if generators is None else list(generators)
    known = {generator.name: generator for generator in chosen}
    chosen = [lookup("public generator", known, name) for name in only] or chosen
    files = _spread(list_images(photos), count)
    if len(files) < count:
        raise DataError(
            f"{photos} has {counted(len(files), 'photograph')}. Expected at least {count}; make them with: cnndetect zoo photos"
        )
    out = Path(out)
    write_whole(
        out / MARK, "Images of generators that others trained, for testing alone: nothing is trained, fitted or selected on them.\n"
    )
    built = [_built(generator, files, out, cache) for generator in chosen]
    before = [_row(generator, _fakes_in(out, generator)) for generator in known.values() if generator not in chosen]
    rows = [*built, *(row for row in before if row.images)]
    write_json(out / "built.json", rows)
    write_whole(out / "README.md", markdown(rows))
    return built


def markdown(rows: Sequence[Built]) -> str:
    """The table of a built suite.

    >>> print(markdown([Built("a", "p 1.0", "MIT", "a GAN", 0, "needs b")]).splitlines()[2])
    | a | p 1.0 | MIT | a GAN | 0: needs b |
    """
    lines = ["| test set | package or repository | licence | what it does | fakes |", "|---|---|---|---|---|"]
    for row in rows:
        count = f"{row.images}: {row.reason}" if row.reason else str(row.images)
        lines.append(f"| {row.name} | {row.origin} | {row.licence} | {row.what} | {count} |")
    return "\n".join(lines) + "\n"


def table(only: Sequence[str]) -> list[Built]:
    """The generators as rows, none of them built."""
    return [_row(lookup("public generator", GENERATORS, name), 0) for name in only or GENERATORS]


def _row(generator: PublicGenerator, images: int, reason: str | None = None) -> Built:
    return Built(generator.name, str(generator.origin), generator.licence, generator.what, images, reason)


def _fakes_in(out: Path, generator: PublicGenerator) -> int:
    folder = out / generator.name / "1_fake"
    return len(list_images(folder)) if folder.is_dir() else 0


def _spread(files: Sequence[Path], count: int) -> list[Path]:
    """One crop of every photograph, then a second one of each, and so on, until there are enough; sorted by name."""
    seen: dict[str, int] = {}
    turns = []
    for file in files:
        photograph = file.stem.split("__")[0]
        seen[photograph] = seen.get(photograph, -1) + 1
        turns.append((seen[photograph], file))
    return sorted(file for _, file in sorted(turns)[:count])


def _built(generator: PublicGenerator, files: Sequence[Path], out: Path, cache: Path) -> Built:
    folder = out / generator.name
    try:
        if missing := generator.missing():
            raise DataError(f"needs {', '.join(missing)}: python -m pip install {' '.join(missing)}")
        make = generator.load(generator.origin.folder(cache))
    except (CnndetectError, ImportError, RuntimeError, OSError, KeyError, ValueError) as error:
        return _row(generator, _fakes_in(out, generator), f"{error}".splitlines()[0] if str(error) else type(error).__name__)
    reals = _reals(generator.size_px, files, out)
    (folder / "1_fake").mkdir(parents=True, exist_ok=True)
    write_whole(folder / "0_real.txt", "".join(f"../{real.parent.name}/{real.name}\n" for real in reals))
    for target, fake in bar(_fakes(generator, make, files, folder / "1_fake"), desc=generator.name, total=len(files)):
        if fake is not None:
            write_whole(target, encode_png(Image.fromarray(fake)), flush=False)
    return _row(generator, _fakes_in(out, generator))


def _reals(size_px: int, files: Sequence[Path], out: Path) -> list[Path]:
    """The photographs, cut in their middle where a generator's images are smaller: reals and fakes have one size."""
    folder = out / ("reals" if size_px == SIZE_PX else f"reals-{size_px}")
    start = (SIZE_PX - size_px) // 2
    for file in files:
        if not (folder / file.name).exists():
            cut = np.asarray(open_image(file))[start : start + size_px, start : start + size_px]
            write_whole(folder / file.name, encode_png(Image.fromarray(cut)), flush=False)
    return [folder / file.name for file in files]


@torch.inference_mode()
def _fakes(generator: PublicGenerator, make: Make, files: Sequence[Path], folder: Path) -> Iterator[tuple[Path, np.ndarray | None]]:
    """Target and image; None for an image that is there. A fake of a photograph has its name, so that both count as one."""
    for index, file in enumerate(files):
        name = file.name if generator.kind == "photograph" else f"{generator.name}-{index:05d}.png"
        if (folder / name).exists():
            yield folder / name, None
            continue
        fake = make(np.asarray(open_image(file)), index)
        if fake.shape != (generator.size_px, generator.size_px, 3) or fake.dtype != np.uint8:
            raise DataError(
                f"{generator.name} made {fake.dtype} {fake.shape}. Expected uint8 [{generator.size_px}, {generator.size_px}, 3]."
            )
        yield folder / name, fake
