"""Pairs for training a detector: photographs and the same photographs painted again, alike in everything but the decoder's trace.

OUT/{train,val}/DECODER/{0_real,1_fake}/PHOTO-KIND.png, equal names form a pair.  PHOTO: category_number.  KIND: ``half``, the photograph reduced
to 128 px and that image painted again, or ``nativeK``, crop K of the photograph at its native size with its JPEG history, and the crop painted
again and compressed with the photograph's own tables on the same grid (data/native.py). Both leave through the one encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cnndetect.data.folders import FAKE, REAL
from cnndetect.data.photos import load_photos
from cnndetect.errors import ProtocolError
from cnndetect.files import write_whole
from cnndetect.progress import bar
from cnndetect.transforms.pairs import mix
from cnndetect.transforms.retouch import match_spectrum
from cnndetect.zoo.photographs.free_photos import encode_png
from cnndetect.zoo.photographs.native import compressed_like, native_crop
from cnndetect.zoo.resynthesis.crops import files_of
from cnndetect.zoo.resynthesis.painter import Painter, write_record

# Folder of the pairs -> split of the photographs. Decoders of one never paint for the other.
PHOTO_SPLITS = {"train": "train", "val": "validation"}
RECORD = "record.json"
NATIVE_PLACES = 4
_BATCH = 16


def build_pairs(
    photos: str | Path,
    painter: Painter,
    name: str,
    out: str | Path,
    *,
    split: str,
    share: float = 1.0,
    match: bool = False,
    disturbed: bool = False,
    mixed: float = 0.0,
) -> int:
    """Write the pairs of one decoder below OUT/SPLIT/NAME and return how many are there. Goes on where it was interrupted.

    share: of the photographs, chosen by a hash of photograph and decoder, so that a larger share holds the smaller one.
    match: give each fake its photograph's radial power spectrum, so that sharpness and noise level do not tell them apart.
    disturbed: paint from disturbed maps, so that the fakes have the decoder's trace and are no photographs.
    mixed: weight of the photograph in its fake, so that the decoder's trace is as faint as that of a better one.
    Raises ProtocolError where the folder holds the pairs of another decoder.
    """
    if split not in PHOTO_SPLITS:
        raise ProtocolError(f"Pairs of split {split!r} are unknown. Expected train or val.")
    if not 0 <= mixed < 1:
        raise ProtocolError(f"The weight of the photograph in its fake was {mixed}. Expected 0 or more, and less than 1.")
    folder = Path(out) / split / name
    for label in (REAL, FAKE):
        (folder / label).mkdir(parents=True, exist_ok=True)
    chosen = [file for file in files_of(photos, PHOTO_SPLITS[split]) if _draw(name, _photo(file)) < share]
    missing = [
        (file, kind) for file in chosen for kind in _kinds(name, file) if not (folder / FAKE / f"{_photo(file)}-{kind}.png").exists()
    ]
    write_record(
        painter, folder / RECORD, split=split, photographs=len(chosen), share=share, matched=match, disturbed=disturbed, mixed=mixed
    )
    progress = bar(missing, desc=f"pairs {name}", unit="pair")
    for batch in _batches(missing):
        reals = [load_photos([file])[0] if kind == "half" else native_crop(file, _place(kind)) for file, kind in batch]
        names = [f"{_photo(file)}-{kind}" for file, kind in batch]
        painted = painter.paint(np.stack(reals), names, disturbed=disturbed)
        for (file, kind), stem, real, fake in zip(batch, names, reals, painted, strict=True):
            fake = match_spectrum(fake, real) if match else fake
            fake = mix(fake, real, mixed) if mixed else fake
            shown = fake if kind == "half" else compressed_like(fake, file, _place(kind))
            # The real first: a fake that is there has its real beside it.
            _write(folder / REAL / f"{stem}.png", real)
            _write(folder / FAKE / f"{stem}.png", shown)
            progress.update()
    progress.close()
    return sum(len(_kinds(name, file)) for file in chosen)


def _kinds(decoder: str, file: Path) -> tuple[str, str]:
    place = int(_draw(decoder, f"{_photo(file)}/place") * NATIVE_PLACES)
    return "half", f"native{place}"


def _place(kind: str) -> int:
    return int(kind.removeprefix("native"))


def _photo(file: Path) -> str:
    return f"{file.parent.name}_{file.stem}"


def _draw(decoder: str, photo: str) -> float:
    """A number in [0, 1) that depends on nothing but the two names."""
    return int.from_bytes(hashlib.sha256(f"{decoder}/{photo}".encode()).digest()[:6], "big") / 2**48


def _batches(items: Sequence[tuple[Path, str]]) -> Iterator[Sequence[tuple[Path, str]]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _write(path: Path, pixels: np.ndarray) -> None:
    write_whole(path, encode_png(Image.fromarray(pixels)), flush=False)
