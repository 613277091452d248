"""An RGB array enters, the normalised tensor that a detector takes leaves, by one of two named protocols."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cnndetect.errors import ImageError, ProtocolError, lookup

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Protocol:
    """How a test image is cut before it is normalised; ``crop_px=None`` keeps its native size."""

    name: str
    crop_px: int | None

    def __post_init__(self) -> None:
        if self.crop_px is not None and self.crop_px < 1:
            raise ProtocolError(f"Protocol {self.name!r} has crop_px={self.crop_px}. Expected None or a whole number >= 1.")


PROTOCOLS = {
    "crop224": Protocol("crop224", crop_px=224),
    "nocrop": Protocol("nocrop", crop_px=None),
}


def prepare(array: np.ndarray, protocol: str | Protocol) -> torch.Tensor:
    """Cut by the protocol, then normalise.

    array: uint8 [H, W, 3].  Returns float32 [3, H', W'].
    >>> prepare(np.zeros((300, 200, 3), np.uint8), "crop224").shape
    torch.Size([3, 224, 224])
    """
    chosen = lookup("protocol", PROTOCOLS, protocol) if isinstance(protocol, str) else protocol
    return to_tensor(array if chosen.crop_px is None else center_crop(array, chosen.crop_px))


def center_crop(array: np.ndarray, size_px: int) -> np.ndarray:
    """Middle square, with zeros around an image that is smaller.

    array: uint8 [H, W, 3].  Returns uint8 [size_px, size_px, 3].
    >>> center_crop(np.ones((2, 4, 3), np.uint8), 3)[:, :, 0].tolist()
    [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    """
    check_rgb(array)
    height, width = array.shape[:2]

    # An odd gap puts the extra row or column of zeros below and right, as torchvision's CenterCrop does.
    gap_y, gap_x = max(size_px - height, 0), max(size_px - width, 0)
    if gap_y or gap_x:
        array = np.pad(array, ((gap_y // 2, (gap_y + 1) // 2), (gap_x // 2, (gap_x + 1) // 2), (0, 0)))

    # Python's round goes to the even number on ties, and so does torchvision: 225 -> 224 starts at row 0.
    top, left = round((array.shape[0] - size_px) / 2), round((array.shape[1] - size_px) / 2)
    return array[top : top + size_px, left : left + size_px]


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """Normalise by the ImageNet mean and deviation, to the bit as torchvision's ToTensor and Normalize.

    array: uint8 [H, W, 3].  Returns float32 [3, H, W].
    >>> float(to_tensor(np.full((1, 1, 3), 255, np.uint8))[0, 0, 0])
    2.248908281326294
    """
    check_rgb(array)
    planes = torch.from_numpy(array.transpose(2, 0, 1).copy())  # [H, W, 3] -> [3, H, W]
    return normalize(planes)


def normalize(images: torch.Tensor) -> torch.Tensor:
    """Same as ``to_tensor`` for images that are tensors already, on their device.

    images: uint8 [..., 3, H, W].  Returns float32 [..., 3, H, W].
    >>> normalize(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)).shape
    torch.Size([2, 3, 4, 4])
    """
    mean = torch.tensor(IMAGENET_MEAN, device=images.device).view(3, 1, 1)
    deviation = torch.tensor(IMAGENET_STD, device=images.device).view(3, 1, 1)
    return images.to(torch.float32).div_(255).sub_(mean).div_(deviation)


def denormalize(images: torch.Tensor) -> torch.Tensor:
    """Undo ``normalize``, to the bit: float32 [..., 3, H, W] -> uint8 [..., 3, H, W].

    >>> levels = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    >>> torch.equal(denormalize(normalize(levels)), levels)
    True
    """
    mean = torch.tensor(IMAGENET_MEAN, device=images.device).view(3, 1, 1)
    deviation = torch.tensor(IMAGENET_STD, device=images.device).view(3, 1, 1)
    return images.mul(deviation).add_(mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def check_rgb(array: np.ndarray) -> None:
    """Refuse what is not a uint8 [H, W, 3] array with at least one pixel."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageError(
            f"Got an array of {array.dtype} {list(array.shape)}. Expected uint8 [H, W, 3] with H, W >= 1; "
            "cnndetect.images.to_rgb_array makes one from a path, an image or an array."
        )
