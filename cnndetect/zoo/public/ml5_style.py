"""ml5.js: feed-forward style transfer (Johnson et al. 2016) in the style of Picabia's Udnie.

The models are arrays without code. The network is the paper's: 9x9 and 3x3 convolutions, two of stride 2, five residual blocks, two
transposed convolutions and a 9x9 one, each with instance normalisation (epsilon 1e-3), padded as TensorFlow does; at the end
150 tanh(x) + 127.5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cnndetect.zoo.public.generator import Make, PublicGenerator, to_pixels, to_tensor
from cnndetect.zoo.public.origins import Repository

_FOLDER = "models/style-transfer/udnie"
_FILES = tuple(f"{_FOLDER}/Variable{'' if number == 0 else f'_{number}'}" for number in range(48))

# Kernel, channels of input and output of the sixteen convolutions; of the two transposed ones, the weights name the output first.
_SHAPES = (
    [(9, 3, 32), (3, 32, 64), (3, 64, 128)] + [(3, 128, 128)] * 10 + [(3, 64, 128), (3, 32, 64), (9, 32, 3)]
)  # fmt: skip
_TRANSPOSED = (13, 14)


class _Network:
    """images: [N, 3, H, W] in [0, 255], sides divisible by 4 -> the same shape and range, not clipped."""

    def __init__(self, root: Path) -> None:
        arrays = [torch.from_numpy(np.fromfile(root / file, "<f4")) for file in _FILES]
        # [height, width, in, out], or [height, width, out, in] of a transposed one: both are permuted to what torch expects.
        self.weights = [
            array.reshape(kernel, kernel, *channels).permute(3, 2, 0, 1).contiguous()
            for array, (kernel, *channels) in zip(arrays[::3], _SHAPES, strict=True)
        ]
        self.shifts, self.scales = arrays[1::3], arrays[2::3]

    def __call__(self, images: Tensor) -> Tensor:
        x = functional.relu(self._layer(images, 0))
        x = functional.relu(self._layer(x, 1, stride=2))
        x = functional.relu(self._layer(x, 2, stride=2))
        for block in range(3, 13, 2):
            x = x + self._layer(functional.relu(self._layer(x, block)), block + 1)
        for number in _TRANSPOSED:
            x = functional.relu(self._layer(x, number))
        return 150 * torch.tanh(self._layer(x, 15)) + 127.5

    def _layer(self, x: Tensor, number: int, stride: int = 1) -> Tensor:
        weight = self.weights[number]
        if number in _TRANSPOSED:
            height, width = x.shape[2:]
            x = functional.conv_transpose2d(x, weight, stride=2)[:, :, : 2 * height, : 2 * width]
        else:
            margin = weight.shape[2] - stride  # of even sides
            x = functional.conv2d(functional.pad(x, (margin // 2, margin - margin // 2) * 2), weight, stride=stride)
        return functional.instance_norm(x, weight=self.scales[number], bias=self.shifts[number], eps=1e-3)


def _load(root: Path) -> Make:
    network = _Network(root)
    return lambda photo, index: to_pixels(network(to_tensor(photo) * 255) / 255)


GENERATOR = PublicGenerator(
    name="ml5-style",
    origin=Repository(
        "ml5js/ml5-data-and-models",
        "0612a3e7c51cbffdc5db701dff49d16d1ac26fa8",
        _FILES,
        "658874d4a5b1cfd594c6ff6fba1ef2f2e2c991c37666bea9e0c17621f212f6ed",
    ),
    licence="MIT",
    what="feed-forward style transfer, transposed convolutions: the style of Udnie",
    load=_load,
)
