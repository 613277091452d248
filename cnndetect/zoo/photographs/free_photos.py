"""Freely licensed photographs of Debian packages, cut into 128 px crops in folders that share no photograph.

The folder of a photograph is fixed before anything is trained. Those whose licence does not allow a suite to ship them go to ``generators``:
everything that makes fakes is trained on them. The others go to ``suite``, but for those from which the generators of the suites up to
mini@3 learned: they go to ``decoders``, where only decoders trained since may paint them.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cnndetect.data.photos import REDUCTION, SIZE_PX, reduce
from cnndetect.errors import DataError
from cnndetect.files import write_whole
from cnndetect.images import list_images, open_image
from cnndetect.zoo.photographs.qresource import read_members

PACKAGES = (
    "gcompris-qt-data",
    "scratch",
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "mate-backgrounds",
    "plasma-workspace-wallpapers",
)
# A photograph that a suite shows is at least this many times larger than 128 px. One that trains a generator: REDUCTION times.
SUITE_REDUCTION = 1.5
FREE_LICENCE = re.compile(r"^(CC0|CC-BY|CC-BY-SA|public-domain)\b(?!-N)", re.IGNORECASE)

# Folders and names that hold photographs; all other images of the packages are drawings, icons or renderings.
# Chosen by looking at every image once, before the halves were drawn. No portrait is among them.
FOLDERS = {
    "gcompris-qt-data": (
        "*/categorization/resource/images/[fmort]*/*.webp",
        "*/explore_world_animals/resource/animals/*.webp",
    ),
    "scratch": ("*/Media/Backgrounds/*/*.jpg",),
    "lomiri-wallpapers-16.04": ("*/backgrounds/*.jpg",),
    "lomiri-wallpapers-20.04": ("*/backgrounds/Kleiber*.jpg",),
    "mate-backgrounds": ("*/mate/nature/*.jpg",),
    "plasma-workspace-wallpapers": tuple(
        f"*/{name}/contents/images/*.jpg"
        for name in ("Autumn", "BytheWater", "ColorfulCups", "FallenLeaf", "OneStandsOut", "Path", "EveningGlow")
    ),
}
# Photographs under the GPL of their package, which no suite ships: they train generators.
MORE = {
    "gcompris-qt-data": (
        "*/explore_farm_animals/resource/animals/*.webp",
        "*/explore_monuments/resource/*/*.webp",
        "*/erase/resource/*.webp",
    ),
}
NOT_PHOTOGRAPHS = (
    "analogpattern",
    "umang",
    "kleiber",
    "friends",
    "party-room",
    "bedroom",
    "spotlight",
    "room1",
    "room2",
    "room3",
    "school2",
    "mural",
    "moon",
    "brick-wall1",
    "graffiti",
    "greentock",
    # paintings of fishes
    "fish2.webp",
    "fish5.webp",
    "fish23.webp",
    "fish24.webp",
)
# Not shown: second views of a place, which would count as photographs of their own, and two that the generators' folder has too.
DOUBLES = {"scratch-basketball-court1-b", "scratch-city-with-water2", "scratch-the-movies-inside", "scratch-train-tracks2"}
DOUBLES |= {"gcompris-monuments-colosseum", "gcompris-monuments-greatpyramid"}


@dataclass(frozen=True)
class FreePhoto:
    """One photograph: ``name`` is unique, ``folder`` is ``generators``, ``decoders`` or ``suite``; ``image`` is opened RGB."""

    name: str
    package: str
    member: str
    author: str
    licence: str
    source: str
    folder: str
    image: Image.Image


def free_photos(unpacked: str | Path) -> Iterator[FreePhoto]:
    """Photographs of the packages unpacked under ``unpacked/PACKAGE`` (``dpkg-deb -x``), large enough to reduce.

    Raises DataError where a package's folder is missing.
    """
    root = Path(unpacked)
    missing = [package for package in PACKAGES if not (root / package).is_dir()]
    if missing:
        raise DataError(
            f"{root} lacks {', '.join(missing)}. Expected one folder per package; "
            "make it with: apt-get download PACKAGE && dpkg-deb -x PACKAGE_*.deb DIR/PACKAGE"
        )
    for package in PACKAGES:
        licences = _stanzas(next((root / package / "usr/share/doc").glob("*/copyright")))
        for member, content in _members(root / package):
            allowed = any(fnmatch.fnmatch(f"/{member}", pattern) for pattern in FOLDERS[package] + MORE.get(package, ()))
            if not allowed or any(word in Path(member).name.lower() for word in NOT_PHOTOGRAPHS):
                continue
            image = open_image(content)
            author, licence, source = _licence_of(member, package, licences)
            name = _name(package, member)
            folder = folder_of(name, licence, min(image.size))
            if name not in DOUBLES and min(image.size) >= least_px(folder):
                yield FreePhoto(name, package, member, author, licence, source, folder, image)


def folder_of(name: str, licence: str, side_px: int) -> str:
    """Folder of a photograph by its licence and, where it is free, by whether a generator has learned from it.

    The suites up to mini@3 took photographs of 256 px and more. They gave the generators those whose name, without the number of the view,
    has an even SHA-256.

    >>> folder_of("gcompris-petra", "GPL-3+", 600), folder_of("lomiri-bridge", "CC-BY-SA-4.0", 200), folder_of("x", "CC0-1.0", 600)
    ('generators', 'suite', 'decoders')
    """
    if not FREE_LICENCE.match(licence):
        return "generators"
    place = re.sub(r"(-inside|-?\d*(-[ab])?)$", "", name)
    return "suite" if side_px < REDUCTION * SIZE_PX or _is_odd(place) else "decoders"


def least_px(folder: str) -> int:
    """Shortest side of a photograph in a folder, and of every crop of it.

    >>> least_px("generators"), least_px("suite")
    (256, 192)
    """
    return REDUCTION * SIZE_PX if folder == "generators" else int(SUITE_REDUCTION * SIZE_PX)


def _is_odd(name: str) -> bool:
    return bool(hashlib.sha256(name.encode()).digest()[0] % 2)


def crop_boxes(width: int, height: int, *, limit: int, least: int = REDUCTION * SIZE_PX) -> list[tuple[int, int, int, int]]:
    """Up to ``limit`` squares of at least ``least`` px: the whole first, then smaller and smaller ones.

    >>> crop_boxes(480, 360, limit=8)
    [(60, 0, 420, 360), (0, 0, 256, 256), (224, 104, 480, 360)]
    """
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    boxes = [(left, top, left + side, top + side)]
    if side < 2 * least:
        # Too small for a grid: two opposite corners, which overlap little.
        corners = [(0, 0, least, least), (width - least, height - least, width, height)]
        return list(dict.fromkeys(boxes + corners))[:limit]
    while side >= 2 * least:
        side //= 2
        columns, rows = width // side, height // side
        grid = [(c * side, r * side, (c + 1) * side, (r + 1) * side) for r in range(rows) for c in range(columns)]
        # Evenly spread over the photograph when there are too many.
        room = limit - len(boxes)
        stride = max(1, -(-len(grid) // max(room, 1)))
        boxes += grid[::stride][:room]
    return boxes[:limit]


def random_boxes(width: int, height: int, *, count: int, seed: int, least: int = REDUCTION * SIZE_PX) -> list[tuple[int, int, int, int]]:
    """``count`` squares of random size and place, at least ``least`` px; they overlap.

    >>> all(right - left >= 256 and right <= 480 for left, _, right, _ in random_boxes(480, 360, count=9, seed=0))
    True
    """
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(count):
        side = int(rng.integers(least, min(width, height), endpoint=True))
        left, top = int(rng.integers(width - side, endpoint=True)), int(rng.integers(height - side, endpoint=True))
        boxes.append((left, top, left + side, top + side))
    return boxes


def _members(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*.rcc")):
        yield from ((name, content) for name, content in read_members(file) if name.endswith(".webp"))
    for file in sorted(folder.rglob("*.jpg"), key=lambda path: (-path.stat().st_size, path)):
        yield file.relative_to(folder).as_posix(), file.read_bytes()


def _name(package: str, member: str) -> str:
    path = Path(member)
    stem = path.stem if package != "plasma-workspace-wallpapers" else path.parts[-4]
    return re.sub(r"[^a-z0-9]+", "-", f"{package.split('-')[0]}-{path.parent.name if package.startswith('gc') else ''}-{stem}".lower())


def _stanzas(copyright_file: Path) -> list[tuple[list[str], str, str, str]]:
    """(patterns, author, licence, comment) of a machine-readable Debian copyright file, in file order."""
    found = []
    for block in re.split(r"\n\s*\n", copyright_file.read_text(encoding="utf-8")):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            match = re.match(r"([A-Za-z-]+):\s*(.*)", line)
            if match:
                key = match[1]
                fields[key] = match[2]
            elif key:
                fields[key] += "\n" + line.strip()
        if "Files" in fields:
            licence = fields.get("License", "").split("\n")[0].strip()
            author = ", ".join(part.strip() for part in fields.get("Copyright", "").splitlines() if part.strip())
            found.append((fields["Files"].split(), author, licence, fields.get("Comment", "").replace("\n", " ").strip()))
    return found


def _licence_of(member: str, package: str, stanzas: list[tuple[list[str], str, str, str]]) -> tuple[str, str, str]:
    """The last stanza that names the file wins, as the Debian format says; extensions may have been converted."""
    inside = member.removeprefix("gcompris/") if package == "gcompris-qt-data" else member
    hit = ("", "", "")
    for patterns, author, licence, comment in stanzas:
        for pattern in patterns:
            exact = fnmatch.fnmatch(inside, pattern)
            converted = package == "gcompris-qt-data" and str(Path(pattern).with_suffix("")) == str(Path(inside).with_suffix(""))
            same_name = Path(pattern).name == Path(inside).name
            media = package == "scratch" and pattern.startswith("Media/")
            if exact or converted or same_name or media:
                hit = (author, licence, comment)
    return hit


def own_photos(folder: str | Path) -> Iterator[FreePhoto]:
    """Photographs of a folder of one's own, in two halves by the hash of their names; too small ones are left out.

    Raises DataError where no photograph is large enough to reduce.
    """
    found = False
    for path in list_images(folder):
        image = open_image(path)
        if min(image.size) < REDUCTION * SIZE_PX:
            continue
        found = True
        name = re.sub(r"[^a-z0-9]+", "-", path.relative_to(folder).with_suffix("").as_posix().lower())
        yield FreePhoto(name, "", path.name, "", "", "", "suite" if _is_odd(name) else "generators", image)
    if not found:
        raise DataError(f"{folder} has no photograph of at least {REDUCTION * SIZE_PX} px on the short side. Give larger ones.")


def write_crops(
    photos: Iterable[FreePhoto], out: str | Path, *, generators: int = 40, suite: int = 6, overlapping: bool = False
) -> list[dict[str, str]]:
    """Write OUT/FOLDER/NAME__K.png, 128 px, and return one attribution record per photograph that a suite may show.

    generators, suite: most crops of one photograph for training, and of one that a suite shows.  overlapping: fill up to these numbers with random
    crops where a photograph is too small for a grid of so many.
    """
    limits = {"generators": generators, "decoders": suite, "suite": suite}
    records, seen = [], set()
    for photo in photos:
        if photo.name in seen:
            continue  # a package ships some photographs in several sizes; the first is enough
        seen.add(photo.name)
        folder = Path(out) / photo.folder
        folder.mkdir(parents=True, exist_ok=True)
        least = least_px(photo.folder) if photo.package else REDUCTION * SIZE_PX
        boxes = crop_boxes(*photo.image.size, limit=limits[photo.folder], least=least)
        if overlapping:
            seed = int.from_bytes(hashlib.sha256(photo.name.encode()).digest()[:4], "big")
            boxes += random_boxes(*photo.image.size, count=limits[photo.folder] - len(boxes), seed=seed, least=least)
        for index, box in enumerate(boxes):
            crop = Image.fromarray(reduce(photo.image.crop(box), least=least / SIZE_PX))
            write_whole(folder / f"{photo.name}__{index}.png", encode_png(crop), flush=False)
        if photo.folder != "generators":
            records.append({key: getattr(photo, key) for key in ("name", "package", "member", "author", "licence", "source")})
    return records


def encode_png(image: Image.Image) -> bytes:
    """The one encoder of every image of the project: PNG, RGB, no metadata, compression level 9."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG", optimize=False, compress_level=9)
    return buffer.getvalue()
