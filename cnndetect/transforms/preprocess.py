"""Preprocessing: from an RGB array to the normalised tensor of a detector, by one of two named protocols."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cnndetect.errors import ProtocolError, lookup
from cnndetect.transforms.arrays import center_crop as center_crop
from cnndetect.transforms.arrays import check_rgb as check_rgb

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
    return to_tensor(cut(array, protocol))


def cut(array: np.ndarray, protocol: str | Protocol) -> np.ndarray:
    """What a protocol leaves of an image: uint8 [H, W, 3] -> uint8 [H', W', 3].

    >>> cut(np.zeros((300, 200, 3), np.uint8), "crop224").shape
    (224, 224, 3)
    """
    chosen = lookup("protocol", PROTOCOLS, protocol) if isinstance(protocol, str) else protocol
    # A copy, or the whole image would stay in memory behind its crop.
    return array if chosen.crop_px is None else center_crop(array, chosen.crop_px).copy()


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
