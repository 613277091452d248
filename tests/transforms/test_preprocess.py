"""Preprocessing equals torchvision to the bit, at every size and parity, and refuses what is not an RGB array."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from cnndetect.errors import ImageError, ProtocolError, UnknownNameError
from cnndetect.transforms.preprocess import IMAGENET_MEAN, IMAGENET_STD, PROTOCOLS, Protocol, center_crop, normalize, prepare, to_tensor

TORCHVISION = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def _noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size_px", [7, 8])
@pytest.mark.parametrize("height", [1, 5, 6, 7, 8, 9, 10, 11, 12, 13])
@pytest.mark.parametrize("width", [1, 6, 7, 8, 9, 12, 15])
def test_center_crop_is_torchvisions(height: int, width: int, size_px: int) -> None:
    array = _noise(height, width)
    expected = np.asarray(transforms.CenterCrop(size_px)(Image.fromarray(array)))
    assert np.array_equal(center_crop(array, size_px), expected)


@pytest.mark.parametrize("size", [(200, 300), (225, 223), (229, 224), (100, 101)])
def test_crop224_is_torchvisions_test_transform(size: tuple[int, int]) -> None:
    array = _noise(*size)
    expected = TORCHVISION(transforms.CenterCrop(224)(Image.fromarray(array)))
    assert torch.equal(prepare(array, "crop224"), expected)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 48)])
def test_nocrop_keeps_every_pixel(size: tuple[int, int]) -> None:
    array = _noise(*size)
    assert torch.equal(prepare(array, "nocrop"), TORCHVISION(Image.fromarray(array)))


def test_every_grey_level_is_normalised_as_torchvision_does() -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert torch.equal(to_tensor(levels), TORCHVISION(Image.fromarray(levels)))
    assert to_tensor(levels).dtype == torch.float32


def test_a_batch_is_normalised_like_its_images() -> None:
    arrays = [_noise(9, 7, seed) for seed in range(3)]
    batch = torch.stack([torch.from_numpy(array.transpose(2, 0, 1).copy()) for array in arrays])
    assert torch.equal(normalize(batch), torch.stack([to_tensor(array) for array in arrays]))


def test_nothing_that_enters_is_changed() -> None:
    array = _noise(12, 12)
    before = array.copy()
    batch = torch.from_numpy(array.transpose(2, 0, 1).copy())
    kept = batch.clone()
    prepare(array, "nocrop").zero_()
    center_crop(array, 20)[:] = 0
    normalize(batch)
    assert np.array_equal(array, before)
    assert torch.equal(batch, kept)


def test_a_read_only_or_flipped_array_is_fine() -> None:
    array = _noise(1, 1)
    array.flags.writeable = False
    assert torch.equal(to_tensor(array), TORCHVISION(Image.fromarray(array)))
    flipped = _noise(4, 6)[:, ::-1]
    assert torch.equal(to_tensor(flipped), TORCHVISION(Image.fromarray(flipped.copy())))


def test_the_constants_are_imagenets() -> None:
    assert IMAGENET_MEAN == (0.485, 0.456, 0.406)
    assert IMAGENET_STD == (0.229, 0.224, 0.225)
    assert {name: protocol.crop_px for name, protocol in PROTOCOLS.items()} == {"crop224": 224, "nocrop": None}


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ImageError, match=r"Expected uint8 \[H, W, 3\]"):
        prepare(wrong, "nocrop")
    with pytest.raises(ImageError, match="to_rgb_array"):
        center_crop(wrong, 2)


def test_a_misspelt_protocol_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'crop224'"):
        prepare(_noise(4, 4), "crop225")
    with pytest.raises(ProtocolError, match="crop_px=0"):
        Protocol("odd", crop_px=0)
