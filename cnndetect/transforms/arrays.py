"""Checks and cuts of uint8 arrays, without torch."""

from __future__ import annotations

import numpy as np

from cnndetect.errors import ImageError


def check_rgb(array: np.ndarray) -> None:
    """Refuse what is not a uint8 [H, W, 3] array with at least one pixel."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageError(
            f"Got an array of {array.dtype} {list(array.shape)}. Expected uint8 [H, W, 3] with H, W >= 1; "
            "cnndetect.images.to_rgb_array makes one from a path, an image or an array."
        )


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
