"""How a detector wants its images: sizes, crop and normalisation declared once, pixels turned into the tensor it takes.

Resizing is PIL's, cropping is torchvision's, to the pixel: most authors test through them, and another resampling is
another test. The one crop that differs is that of albumentations, which rounds down where torchvision rounds to even.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnndetect.errors import ImageError, ProtocolError, lookup
from cnndetect.transforms.preprocess import IMAGENET_MEAN, IMAGENET_STD, center_crop, check_rgb

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_ROUNDING = {"even": round, "down": int}


@dataclass(frozen=True)
class Input:
    """What happens to an 8-bit RGB image before the first layer of a detector.

    >>> Input(resize=256, crop=224)(np.zeros((300, 400, 3), np.uint8)).shape
    torch.Size([3, 224, 224])
    """

    # None (native size), one number (the short side; the other keeps the ratio) or (height, width)
    resize: int | tuple[int, int] | None = None
    crop: int | None = None  # side of the middle square, zeros around a smaller image; None leaves the image whole
    # mean, std: of the channels after division by 255; (0, 0, 0) and (1, 1, 1) leave [0, 1]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resampling: str = "bilinear"
    rounding: str = "even"  # of half a pixel in the crop: "even" as torchvision, "down" as albumentations

    def __post_init__(self) -> None:
        sides = [self.resize] if isinstance(self.resize, int) else list(self.resize or ())
        if any(side < 1 for side in [*sides, self.crop or 1]) or len(sides) > 2:
            raise ProtocolError(
                f"Got resize={self.resize}, crop={self.crop}. Expected None or whole numbers >= 1; resize may be (height, width)."
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ProtocolError(f"Got mean={self.mean}, std={self.std}. Expected three numbers each, one per channel; std above 0.")
        lookup("resampling", _RESAMPLING, self.resampling)
        lookup("rounding", _ROUNDING, self.rounding)

    def __call__(self, array: np.ndarray) -> Tensor:
        """The image as the detector takes it: uint8 [H, W, 3] -> float32 [3, H', W']. Raises ImageError."""
        pixels = self.pixels(array)
        planes = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).to(torch.float32).div_(255)  # [H, W, 3] -> [3, H, W]
        if self.mean == (0.0, 0.0, 0.0) and self.std == (1.0, 1.0, 1.0):
            return planes
        return planes.sub_(torch.tensor(self.mean).view(3, 1, 1)).div_(torch.tensor(self.std).view(3, 1, 1))

    def pixels(self, array: np.ndarray) -> np.ndarray:
        """Resized and cut, not yet normalised: uint8 [H, W, 3] -> uint8 [H', W', 3]."""
        check_rgb(array)
        if self.resize is not None:
            height, width = self._resized(*array.shape[:2])
            if (height, width) != array.shape[:2]:
                array = np.asarray(Image.fromarray(np.ascontiguousarray(array)).resize((width, height), _RESAMPLING[self.resampling]))
        if self.crop is None:
            return array
        if self.rounding == "even":
            return center_crop(array, self.crop)
        return _floor_crop(array, self.crop)

    def words(self) -> str:
        """The transform in words, for tables.

        >>> Input(resize=(256, 256), mean=(0, 0, 0), std=(1, 1, 1)).words()
        'resized to 256x256 (bilinear), not cut; [0, 1]'
        """
        if self.resize is None:
            size = "not resized"
        elif isinstance(self.resize, int):
            size = f"short side resized to {self.resize} ({self.resampling})"
        else:
            size = f"resized to {self.resize[0]}x{self.resize[1]} ({self.resampling})"
        cut = "not cut" if self.crop is None else f"middle {self.crop}x{self.crop}"
        return f"{size}, {cut}; {_norm_words(self.mean, self.std)}"

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if not isinstance(self.resize, int):
            assert self.resize is not None
            return self.resize
        short = min(height, width)
        # torchvision truncates the long side.
        longer = int(self.resize * max(height, width) / short)
        if longer > 65_000:
            raise ImageError(f"An image of {width}x{height} px would become {longer} px long. Expected less than 65,000 px; cut it first.")
        return (self.resize, longer) if height <= width else (longer, self.resize)


def _floor_crop(array: np.ndarray, size_px: int) -> np.ndarray:
    """The middle square, its offsets rounded down; a smaller image is first padded with zeros."""
    height, width = array.shape[:2]
    gap_y, gap_x = max(size_px - height, 0), max(size_px - width, 0)
    array = np.pad(array, ((gap_y // 2, gap_y - gap_y // 2), (gap_x // 2, gap_x - gap_x // 2), (0, 0)))
    top, left = (array.shape[0] - size_px) // 2, (array.shape[1] - size_px) // 2
    return array[top : top + size_px, left : left + size_px]


def _norm_words(mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    known: dict[tuple[tuple[float, ...], tuple[float, ...]], str] = {
        (IMAGENET_MEAN, IMAGENET_STD): "ImageNet mean and deviation",
        (CLIP_MEAN, CLIP_STD): "CLIP mean and deviation",
        ((0, 0, 0), (1, 1, 1)): "[0, 1]",
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)): "[-1, 1]",
    }
    return known.get((mean, std), f"mean {mean}, deviation {std}")
