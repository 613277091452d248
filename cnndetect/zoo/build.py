"""Image folders from generators: photographs and generators in, a detector's training set or a test suite out.

Every image leaves as a 128 px PNG by the one encoder (data/free_photos.py), so the file cannot tell real from fake.
Finished files are kept: an interrupted build goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from cnndetect.data.photos import load_photos, split_files
from cnndetect.errors import DataError
from cnndetect.files import write_whole
from cnndetect.images import list_images, open_image
from cnndetect.progress import bar
from cnndetect.zoo.photographs.free_photos import encode_png
from cnndetect.zoo.photographs.native import compressed_like, native_crop
from cnndetect.zoo.registry import Generator, load_generator, train_family

# Seeds of the two splits: no fake of the validation set is a fake of the training set.
SPLIT_SEEDS = {"train": 1, "val": 2}
SUITE_SEED = 3


def build_training_set(
    photos: str | Path,
    generators: Mapping[str, str | Path],
    out: str | Path,
    *,
    device: str = "cpu",
    per_category: int | None = None,
    native_crops: int = 0,
) -> dict[str, dict[str, int]]:
    """Write OUT/{train,val}/CATEGORY/{0_real,1_fake}: as many fakes as reals, from the category's own generator.

    photos: folder with one sub-folder per category.  generators: category -> generator.pt, a ProGAN or another one that starts from
    noise, or the AutoGAN simulator, whose fakes are made from the very photographs that they stand beside.  per_category: images of each
    class in the training split; where there are fewer photographs, their mirror images follow, then the native crops, and
    no more than these.  native_crops: crops of each photograph at its native size, in both splits; the fake of the same
    place is compressed like that photograph (data/native.py).
    Returns the number of images of each class by split and category.
    """
    counts: dict[str, dict[str, int]] = {}
    for category, weights in generators.items():
        generator = load_generator(weights, device=device)
        for split, photo_split in (("train", "train"), ("val", "validation")):
            files = split_files(Path(photos) / category, photo_split)
            views: list[tuple[Path, bool, int | None]] = [(file, False, None) for file in files]  # photograph, mirrored, native crop
            if split == "train" and per_category is not None:
                views += [(file, True, None) for file in files]
            views += [(file, False, crop) for crop in range(native_crops) for file in files]
            if split == "train":
                views = views[:per_category]
            folder = Path(out) / split / category
            for place, view in enumerate(bar(views, desc=f"{split} {category}", leave=True)):
                _write_pair(folder, generator, place, *view, seed=SPLIT_SEEDS[split])
            counts.setdefault(split, {})[category] = len(views)
    return counts


def _write_pair(folder: Path, generator: Generator, place: int, file: Path, mirrored: bool, crop: int | None, *, seed: int) -> None:
    """One view of a photograph and the fake that stands beside it."""

    @cache  # a translation starts from it
    def real() -> np.ndarray:
        pixels = load_photos([file])[0] if crop is None else native_crop(file, crop)
        return pixels[:, ::-1] if mirrored else pixels

    def fake() -> np.ndarray:
        photo = None if generator.family.kind == "unconditional" else real()
        pixels = generator.fake(place, seed=seed, photo=photo)
        return pixels if crop is None else compressed_like(pixels, file, crop)

    suffix = "-mirrored" if mirrored else "" if crop is None else f"-native{crop}"
    _write_once(folder / "0_real" / f"{file.stem}{suffix}.png", real)
    _write_once(folder / "1_fake" / f"{generator.family.name}-{seed}-{place:05d}{'' if crop is None else '-jpeg'}.png", fake)


def build_test_set(generator: Generator, reals: Path, out: Path, *, count: int | None = None, seed: int = SUITE_SEED) -> int:
    """Write OUT/1_fake and OUT/0_real.txt, which names the shared ``reals``; return the number of fakes.

    Translations make one fake of every real and give it the real's name, so that both belong to one photograph.
    """
    files = list_images(reals)
    if not files:
        raise DataError(f"{reals} has no photographs. Make them with: python -m cnndetect.zoo photos --packages DIR --out DIR")
    out.mkdir(parents=True, exist_ok=True)
    lines = [Path(os.path.relpath(file, out)).as_posix() for file in files]
    (out / "0_real.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if generator.family.kind == "unconditional":
        return _write_fakes(generator, out / "1_fake", count or len(files), seed=seed)
    for index, file in enumerate(bar(files[:count], desc=f"{generator.family.name} fakes", leave=True)):
        make = lambda index=index, file=file: generator.fake(index, seed=seed, photo=np.asarray(open_image(file)))  # noqa: E731
        _write_once(out / "1_fake" / file.name, make)
    return len(files[:count])


def build_suite(
    reals: str | Path,
    generators: Sequence[str | Path],
    out: str | Path,
    *,
    count: int | None = None,
    attribution: str | Path | None = None,
    device: str = "cpu",
) -> dict[str, int]:
    """Write OUT/reals, OUT/FAMILY for every generator and OUT/ATTRIBUTION.md; return fakes by family.

    count: fakes per family; as many as reals where not given.
    """
    shared = Path(out) / "reals"
    for file in list_images(reals):
        _write_once(shared / file.name, lambda file=file: np.asarray(open_image(file)))
    counts = {}
    for weights in generators:
        generator = load_generator(weights, device=device)
        counts[generator.family.name] = build_test_set(generator, shared, Path(out) / generator.family.name, count=count)
    if attribution is not None:
        records = json.loads(Path(attribution).read_text(encoding="utf-8"))
        (Path(out) / "ATTRIBUTION.md").write_text(attribution_text(records), encoding="utf-8")
    return counts


def train_missing(
    photos: Path, work: Path, families: Sequence[str], *, recipe: str = "cpu", device: str = "cpu", seed: int = 0
) -> list[Path]:
    """Train every family on ``photos`` (128 px) that WORK/FAMILY/generator.pt does not hold yet; return these files."""
    files = list_images(photos)
    if not files:
        raise DataError(f"{photos} has no photographs. Make them with: python -m cnndetect.zoo photos --packages DIR --out DIR")
    pixels = np.stack([np.asarray(open_image(file)) for file in files])
    made = []
    for name in families:
        weights = work / name / "generator.pt"
        if not weights.exists():
            print(f"training {name}", file=sys.stderr)
            train_family(name, pixels, work / name, recipe=recipe, device=device, seed=seed)
        made.append(weights)
    return made


def attribution_text(records: Sequence[Mapping[str, str]]) -> str:
    """One line per photograph: name, author, licence, where it came from."""
    lines = [
        "# Photographs of the embedded suite",
        "",
        "Each real image `NAME__K.png` under `reals/` is a crop of the photograph NAME, reduced to 128 px. A fake of the",
        "same name was made from that crop and falls under the same licence. Nothing else was changed.",
        "",
        "| name | author | licence | Debian package | file | source |",
        "|---|---|---|---|---|---|",
    ]
    for record in sorted(records, key=lambda record: record["name"]):
        cells = [record[key].replace("|", "/") for key in ("name", "author", "licence", "package", "member", "source")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _write_fakes(generator: Generator, folder: Path, count: int, *, seed: int) -> int:
    for index in bar(range(count), desc=f"{generator.family.name} fakes", leave=True):
        make = lambda index=index: generator.fake(index, seed=seed)  # noqa: E731
        _write_once(folder / f"{generator.family.name}-{seed}-{index:05d}.png", make)
    return count


def _write_once(path: Path, make) -> None:
    if path.exists():
        return
    write_whole(path, encode_png(Image.fromarray(make())), flush=False)
