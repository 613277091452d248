"""Random crops of 256 px photographs, read from folders of categories, to train decoders on.

Half of the crops come from the photograph reduced to 128 px, where no JPEG grid is left, half from the photograph at its native size with
its JPEG history: the decoder must paint both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnndetect.data.photos import SIZE_PX, centre_square, reduce, split_files
from cnndetect.errors import DataError
from cnndetect.files import write_whole
from cnndetect.images import open_image

NATIVE_PX = 2 * SIZE_PX


def categories_of(root: str | Path) -> list[str]:
    """Folders of photographs below ``root``, sorted. Raises DataError where there are none."""
    names = (
        sorted(path.name for path in Path(root).iterdir() if path.is_dir() and not path.name.startswith(".")) if Path(root).is_dir() else []
    )
    if not names:
        raise DataError(f"{root} has no folders of photographs. Expected one folder per category, each with numbered files.")
    return names


def files_of(root: str | Path, split: str, categories: Sequence[str] = ()) -> list[Path]:
    """Files of one split of the categories (all where none is named), in order."""
    return [file for category in categories or categories_of(root) for file in split_files(Path(root) / category, split)]


def free_crops(root: str | Path) -> list[Path]:
    """Lossless crops of 128 px in a flat folder, as the verb ``photos`` writes them; empty where ``root`` holds folders of categories."""
    root = Path(root)
    flat = sorted(path for path in root.iterdir() if path.suffix == ".png") if root.is_dir() else []
    return flat


class Photographs:
    """Photographs in memory, or mapped from ``cache``: native [N, 256, 256, 3] and reduced [N, 128, 128, 3], uint8.

    Photographs that are crops of 128 px already are reduced ones only.
    """

    def __init__(self, files: Sequence[Path], cache: str | Path | None = None):
        self.native, self.reduced = _read(files) if cache is None else _mapped(files, Path(cache))

    def crops(self, count: int, size_px: int, rng: torch.Generator) -> Tensor:
        """``count`` random crops, mirrored with chance 1/2, [N, 3, size, size] in [0, 1]: even places reduced, odd places native."""
        chosen = torch.randint(len(self.native), (count,), generator=rng).tolist()
        draws = torch.rand(count, 3, generator=rng).tolist()
        crops = []
        for place, (index, (across, down, turn)) in enumerate(zip(chosen, draws, strict=True)):
            photo = (self.native if place % 2 else self.reduced)[index]
            left, top = (int(share * (side - size_px + 1)) for share, side in zip((across, down), photo.shape[1::-1], strict=False))
            crop = photo[top : top + size_px, left : left + size_px]
            crops.append(crop[:, ::-1] if turn < 0.5 else crop)
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


def _read(files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    if open_image(files[0]).size == (SIZE_PX, SIZE_PX):
        crops = np.stack([np.asarray(open_image(file)) for file in files])
        return crops, crops
    native = np.stack([np.asarray(_native(file)) for file in files])
    return native, np.stack([reduce(Image.fromarray(photo)) for photo in native])


def _native(file: Path) -> Image.Image:
    square = centre_square(open_image(file))
    if square.size[0] < NATIVE_PX:
        raise DataError(f"{file} has {square.size[0]} px on its short side. Expected at least {NATIVE_PX}.")
    left = (square.size[0] - NATIVE_PX) // 2
    return square.crop((left, left, left + NATIVE_PX, left + NATIVE_PX))


def _save(photos: np.ndarray, path: Path) -> None:
    with path.open("wb") as file:  # given a name, NumPy would add an ending
        np.save(file, photos)


def _mapped(files: Sequence[Path], cache: Path) -> tuple[np.ndarray, np.ndarray]:
    key = hashlib.sha256("\n".join(f"{file.parent.name}/{file.name}" for file in files).encode()).hexdigest()[:16]
    paths = [cache / f"{key}-{name}.npy" for name in ("native", "reduced")]
    if not all(path.exists() for path in paths):
        for path, photos in zip(paths, _read(files), strict=True):
            write_whole(path, partial(_save, photos), flush=False)
    native, reduced = (np.load(path, mmap_mode="r") for path in paths)
    return native, reduced
