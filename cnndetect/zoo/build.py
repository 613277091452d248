"""Build a detector's training set or a test suite from photographs and trained generators.

Every image leaves as a 128 px PNG by one encoder (photographs/free_photos.py), so the file cannot tell real from fake.
Finished files are kept: an interrupted build goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from cnndetect.data.folders import PHOTO_MARK
from cnndetect.data.photos import load_photos, split_files
from cnndetect.errors import DataError
from cnndetect.files import read_record, write_whole
from cnndetect.images import list_images, open_image
from cnndetect.progress import bar
from cnndetect.zoo.makers import Made, Maker, Painted
from cnndetect.zoo.photographs.free_photos import encode_png
from cnndetect.zoo.photographs.native import compressed_like, native_crop
from cnndetect.zoo.registry import Generator, load_generator, train_family
from cnndetect.zoo.resynthesis.painter import Painter, load_painter

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


def build_test_set(maker: Maker, reals: Sequence[Path], out: Path, *, count: int | None = None, seed: int = SUITE_SEED) -> int:
    """Write OUT/1_fake, OUT/0_real.txt, which names the shared ``reals``, and OUT/record.json; return the number of fakes.

    A fake that is made of a real has the real's name, so that both belong to one photograph.
    """
    if not reals:
        raise DataError("There are no photographs. Make them with: cnndetect zoo photos --packages DIR --out DIR")
    out.mkdir(parents=True, exist_ok=True)
    lines = [Path(os.path.relpath(file, out)).as_posix() for file in reals]
    write_whole(out / "0_real.txt", "".join(f"{line}\n" for line in lines).encode(), flush=False)
    write_whole(out / "record.json", (json.dumps(maker.record(), indent=1) + "\n").encode(), flush=False)
    jobs: list[tuple[Path, Path | None]]
    if maker.needs_photo:
        jobs = [(out / "1_fake" / file.name, file) for file in reals[:count]]
    else:
        jobs = [(out / "1_fake" / f"{maker.family}-{seed}-{index:05d}.png", None) for index in range(count or len(reals))]
    for index, (path, file) in enumerate(bar(jobs, desc=f"{maker.family} fakes", leave=True)):
        _write_once(path, lambda index=index, file=file: maker.make(index, seed, file))
    return len(jobs)


def build_suite(
    photos: str | Path,
    generators: Sequence[str | Path],
    out: str | Path,
    *,
    resynthesisers: Sequence[str | Path] = (),
    count: int | None = None,
    attribution: str | Path | None = None,
    device: str = "cpu",
) -> dict[str, int]:
    """Write OUT/reals, OUT/FAMILY for every family and OUT/ATTRIBUTION.md; return fakes by family.

    photos: what the verb ``photos`` wrote, or a folder of reals alone.  generators: files generator.pt.  resynthesisers: files
    resynthesiser.pt; those of one family take turns, photograph by photograph.  count: fakes per family, and as many reals, from as many
    photographs as there are; all crops where not given.
    """
    photos, shared = Path(photos), Path(out) / "reals"
    shown = list_images(photos / "suite" if (photos / "suite").is_dir() else photos)
    painted = shown + (list_images(photos / "decoders") if (photos / "decoders").is_dir() else [])
    families: dict[str, list[Painter]] = {}
    for painter in (load_painter(path, device=device) for path in resynthesisers):
        families.setdefault(painter.config.family, []).append(painter)
    makers: list[tuple[Maker, list[Path]]] = [(Painted(tuple(painters)), painted) for painters in families.values()]
    makers += [(Made(load_generator(path, device=device)), shown) for path in generators]
    counts: dict[str, int] = {}
    for maker, files in makers:
        if maker.family in counts:
            raise DataError(f"The suite has two generators of the family {maker.family}. Expected one, or several resynthesisers of it.")
        chosen = crops_of(files, count, maker.family)
        for file in chosen:
            _write_once(shared / file.name, lambda file=file: np.asarray(open_image(file)))
        counts[maker.family] = build_test_set(maker, [shared / file.name for file in chosen], Path(out) / maker.family, count=count)
    if attribution is not None:
        records = read_record(attribution, list[dict[str, str]], what="a list of credits", advice="cnndetect zoo photos writes it.")
        names = {photograph_of(file) for file in list_images(shared)}
        text = attribution_text([record for record in records if record["name"] in names])
        write_whole(Path(out) / "ATTRIBUTION.md", text)
    return counts


def crops_of(files: Sequence[Path], count: int | None, family: str) -> list[Path]:
    """``count`` of the crops, of as many photographs as there are: first crops first, drawn by a hash of family and name; in order.

    >>> crops_of([Path("a__0.png"), Path("a__1.png"), Path("b__0.png")], 2, "san")
    [PosixPath('a__0.png'), PosixPath('b__0.png')]
    """
    drawn: dict[str, list[Path]] = {}
    for file in files:
        drawn.setdefault(photograph_of(file), []).append(file)
    ranked = [
        (place, hashlib.sha256(f"{family}/{file.name}".encode()).digest(), file) for own in drawn.values() for place, file in enumerate(own)
    ]
    return sorted((file for _, _, file in sorted(ranked)[:count]), key=lambda file: file.name)


def photograph_of(file: Path) -> str:
    """Name of the photograph that a crop comes from."""
    return file.stem.split(PHOTO_MARK)[0]


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
        "same name was made from that crop by a network and falls under the same licence.",
        "",
        "| name | author | licence | Debian package | file | source |",
        "|---|---|---|---|---|---|",
    ]
    for record in sorted(records, key=lambda record: record["name"]):
        cells = [record[key].replace("|", "/") for key in ("name", "author", "licence", "package", "member", "source")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _write_once(path: Path, make) -> None:
    if path.exists():
        return
    write_whole(path, encode_png(Image.fromarray(make())), flush=False)
