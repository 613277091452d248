"""ResNeXt-101 32x8d on contrast-equalised images of 299 px, and at most 128 px. The logit is the difference of its two classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnndetect.detectors.networks.residual import Bottleneck, ResidualNetwork
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.transforms.preprocess import denormalize, normalize

CLASSES = ("generated", "groundtruth")
SIZE_PX = 299
SMALL_PX = 128

# OpenCV's usual settings of contrast-limited adaptive histogram equalisation.
CLIP_LIMIT = 2.0
TILES = (8, 8)

# Lightness from the first to the last of these shares is stretched to the whole range.
STRETCHED = (0.01, 0.99)


def equalize(array: np.ndarray) -> np.ndarray:
    """CLAHE on the L of Lab, then L stretched from its 1st and 99th percentile to the whole range: brightness and contrast.

    array: uint8 [H, W, 3] RGB.  Returns the same.  Raises ProtocolError where OpenCV is not installed.

    >>> dark = np.random.default_rng(0).integers(0, 60, (32, 32, 3), dtype=np.uint8)
    >>> bool(equalize(dark).mean() > dark.mean())
    True
    """
    cv2 = _opencv()
    lab = cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_RGB2LAB)
    lightness = cv2.createCLAHE(clipLimit=CLIP_LIMIT, tileGridSize=TILES).apply(lab[:, :, 0])
    low, high = np.quantile(lightness, STRETCHED)
    # A flat image has no contrast to stretch.
    if high > low:
        lightness = np.rint(np.clip((lightness - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    lab[:, :, 0] = lightness
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def prepare_299(images: Tensor) -> Tensor:
    """Equalise and resize every image: normalised [N, 3, H, W] -> normalised [N, 3, 299, 299], on the same device.

    The aspect ratio is not kept. This is the one detector that resizes, because its recipe says so; resizing costs traces.
    """
    return _prepared(images, SIZE_PX)


def _prepared(images: Tensor, size_px: int | None) -> Tensor:
    """Every image equalised, and resized to a square of ``size_px`` unless that is None."""
    cv2 = _opencv()
    pixels = denormalize(images.float()).permute(0, 2, 3, 1).cpu().numpy()  # uint8 [N, H, W, 3]
    ready = [equalize(one) for one in pixels]
    if size_px is not None:
        how = cv2.INTER_AREA if min(pixels.shape[1:3]) > size_px else cv2.INTER_LINEAR
        ready = [cv2.resize(one, (size_px, size_px), interpolation=how) for one in ready]
    return normalize(torch.from_numpy(np.stack(ready).transpose(0, 3, 1, 2).copy()).to(images.device))


class TunedResNeXt101(ResidualNetwork):
    """ResNeXt-101 32x8d with the classes (generated, groundtruth), folded to one logit: [N, 3, H, W] -> [N].

    The logit is generated minus groundtruth, so that higher means more fake; training by binary cross-entropy on it is
    training by cross-entropy of the two classes (see frequency.difference). 86.7 M parameters.
    """

    def __init__(self) -> None:
        super().__init__(Bottleneck, [3, 4, 23, 3], outputs=2, groups=32, width_per_group=8)
        nn.init.normal_(self.fc.weight, 0.0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        generated, groundtruth = super().forward(self.prepared(images)).unbind(dim=1)
        return generated - groundtruth

    def prepared(self, images: Tensor) -> Tensor:
        """What the trunk sees of normalised images [N, 3, H, W]."""
        return prepare_299(images)


class SmallTunedResNeXt101(TunedResNeXt101):
    """The same network for small images: those of at most 128 px a side keep their size, larger ones are resized to 128 px.

    An image costs a fifth of the multiplications of 299 px. The buffer ``largest_px`` tells its files from those of 299 px.
    """

    fresh = ("largest_px",)
    largest_px: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("largest_px", torch.tensor([SMALL_PX]))

    def prepared(self, images: Tensor) -> Tensor:
        return _prepared(images, SMALL_PX if max(images.shape[2:]) > SMALL_PX else None)


def in_class_order(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of a tuned file with its two outputs as (generated, groundtruth), whichever order they are in.

    The order is the file's own ``classes`` entry beside ``model`` or ``state_dict``; a file without one has this order.
    Raises WeightsError for other classes.
    """
    if path.suffix.lower() == ".safetensors":
        return state
    content = torch.load(path, map_location="cpu", weights_only=True)
    order = content.get("classes", CLASSES) if isinstance(content, dict) else CLASSES
    if order == list(CLASSES) or order == CLASSES:
        return state
    if order in (list(CLASSES[::-1]), CLASSES[::-1]):
        return {**state, "fc.weight": state["fc.weight"].flip(0), "fc.bias": state["fc.bias"].flip(0)}
    raise WeightsError(f"{path} has the classes {order!r}. Expected {list(CLASSES)}, in any order.")


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ProtocolError(
            "ResNeXt-101 equalises contrast with OpenCV, which is not installed. Run: pip install 'cnndetect[opencv]'."
        ) from error
    return cv2
