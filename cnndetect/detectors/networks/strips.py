"""Run a residual network on large images strip by strip: the same logits in a fraction of the memory.

A convolution of stride and zero padding sees only a few rows around each row it gives. So a stage of the network can be
run on strips of its input with those rows (the halo) on both sides; what the halo itself gives is cut away, and the rest
is what the whole image would have given. Zeros are padded at the image's own border alone, never between strips.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cnndetect.detectors.networks.residual import ResidualNetwork

# Above this many pixels a batch goes in strips; a strip has about as many, halo not counted.
WHOLE_PIXELS = 4_000_000
STRIP_PIXELS = 2_000_000


def whole_pixels_of(network: object) -> int:
    """An engine takes an image of no more pixels whole: what the network says, else WHOLE_PIXELS."""
    return getattr(network, "whole_pixels", WHOLE_PIXELS)


def in_strips(stage: Callable[[Tensor], Tensor], x: Tensor, *, stride: int, halo: int, strip: int, side: int | None = None) -> Tensor:
    """``stage(x)``, computed on strips along the longer side, or along the dimension ``side`` of x.

    x: [N, C, H, W] -> [N, C', ceil(H / stride), ceil(W / stride)].  stride: of the whole stage.  halo: positions of x
    that an output position sees on each side, at least; strip: positions of x in a strip; both multiples of stride.

    >>> conv = torch.nn.Conv2d(1, 1, 3, padding=1)
    >>> x = torch.randn(1, 1, 40, 9)
    >>> torch.allclose(in_strips(conv, x, stride=1, halo=1, strip=7), conv(x), atol=1e-6)
    True
    """
    assert halo % stride == 0 and strip % stride == 0 and strip > 0, (stride, halo, strip)
    if side is None:
        side = 2 if x.shape[2] >= x.shape[3] else 3
    length = x.shape[side]
    # The result is filled in place: a list of strips and its concatenation would be there twice.
    result: Tensor | None = None
    for start in range(0, length, strip):
        end = min(start + strip, length)
        first, last = max(start - halo, 0), min(end + halo, length)
        part = stage(x.narrow(side, first, last - first))
        kept = part.narrow(side, (start - first) // stride, -(-(end - start) // stride))
        if result is None:
            shape = list(part.shape)
            shape[side] = -(-length // stride)
            result = part.new_empty(shape)
        result.narrow(side, start // stride, kept.shape[side]).copy_(kept)
    assert result is not None
    return result


def in_tiles(stage: Callable[[Tensor], Tensor], x: Tensor, *, stride: int, halo: int, tile: int) -> Tensor:
    """``stage(x)`` of convolutions, computed on squares of x. Around a square lies less halo than around a strip of as many pixels.

    tile: positions of x along a side, a multiple of stride; the rest as for ``in_strips``.
    """

    def row_of_tiles(strip: Tensor) -> Tensor:
        # Depthwise convolutions on a CPU take two thirds of the time with the channels last.
        return in_strips(
            lambda one: stage(one.contiguous(memory_format=torch.channels_last)), strip, stride=stride, halo=halo, strip=tile, side=3
        )

    return in_strips(row_of_tiles, x, stride=stride, halo=halo, strip=tile, side=2)


def in_strips_where_large(network: nn.Module, stage: Callable[[Tensor], Tensor], x: Tensor, *, stride: int, halo: int) -> Tensor:
    """``stage(x)`` of a network, in strips where x is large and nothing is trained: batch statistics and gradients need an image whole."""
    large = x.shape[0] * x.shape[2] * x.shape[3] > WHOLE_PIXELS
    if not large or network.training or torch.is_grad_enabled():
        return stage(x)
    return in_strips(stage, x, stride=stride, halo=halo, strip=max(STRIP_PIXELS // min(x.shape[2:]) // 16, 1) * 16)


def logits_in_strips(network: ResidualNetwork, images: Tensor, *, strip_pixels: int = STRIP_PIXELS) -> Tensor:
    """What ``network(images)`` of a residual network in evaluation mode gives, at the memory of a strip: [N, 3, H, W] -> [N, 1].

    Only layer 4, at a sixteenth of each side and less, sees the image whole. Halos in pixels of a stage's input: a row
    after layer 2 sees 45 px to each side, one after layer 3 eleven rows of layer 2.
    """
    shorter = min(images.shape[2:])
    strip = max(strip_pixels // shorter // 16, 1) * 16
    features = in_strips(lambda x: _to_layer2(network, x), images, stride=8, halo=48, strip=strip)
    features = in_strips(network.layer3, features, stride=2, halo=12, strip=strip // 8)
    features = network.avgpool(network.layer4(features))
    return network.fc(torch.flatten(features, 1))


def _to_layer2(network: ResidualNetwork, x: Tensor) -> Tensor:
    x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    return network.layer2(network.layer1(x))
