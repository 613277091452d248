"""Gram-Net: a ResNet-18 that also classifies the Gram matrices of its features at six depths, a measure of global texture.

Liu et al., Global Texture Enhancement for Fake Face Detection in the Wild, CVPR 2020; the network and the weights are
those of AIGCDetectBenchmark (Zhong et al. 2023), trained on ForenSynths.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnndetect.detectors.networks.residual import BasicBlock, ResidualNetwork
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import Input

# Channels of the image, the first layer, the pooling and stages 1 to 3; names of their layers in the file.
_DEPTHS = (
    ("conv_interi_0", "gi_fc1", "gi_fc2", 3), ("conv_inter0_0", "g0_fc1", "g0_fc2", 64), ("conv_inter1_0", "g_fc1r", "g_fc2r", 64),
    ("conv_inter2_0", "g2_fc1", "g2_fc2", 64), ("conv_inter3_0", "g3_fc1", "g3_fc2", 128), ("conv_inter4_0", "g4_fc1", "g4_fc2", 256),
)  # fmt: skip


class _Scale(nn.Module):
    """One number that multiplies every Gram feature."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class GramNet(ResidualNetwork):
    """ResNet-18 and six Gram branches of 32 features: normalised [N, 3, H, W] -> [N]."""

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2])
        del self.fc
        for reduce, first, second, channels in _DEPTHS:
            self.add_module(reduce, _conv(channels, 32, stride=1))
            self.add_module(first, _conv(1, 16, stride=2))
            self.add_module(second, _conv(16, 32, stride=2))
        self.scale = _Scale()
        self.fcnewr = nn.Sequential(nn.Linear(512 + 6 * 32, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 1))

    def forward(self, images: Tensor) -> Tensor:
        depths = [images, self.relu(self.bn1(self.conv1(images)))]
        for stage in (self.maxpool, self.layer1, self.layer2, self.layer3):
            depths.append(stage(depths[-1]))
        features = [self.layer4(depths[-1]).mean(dim=(2, 3))]
        features += [self._texture(names, x) for names, x in zip(_DEPTHS, depths, strict=True)]
        return self.fcnewr(torch.cat(features, dim=1)).squeeze(1)

    def _texture(self, names: tuple[str, str, str, int], x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, 32]."""
        reduce, first, second, _ = names
        x = self.get_submodule(reduce)(x)
        flat = x.flatten(2)  # [N, 32, HW]
        gram = flat @ flat.transpose(1, 2) / x[0].numel()
        x = self.get_submodule(second)(self.get_submodule(first)(gram[:, None]))
        return self.scale(x.mean(dim=(2, 3)))


def _conv(channels: int, width: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())


RECORDS = (
    Published(
        name="gramnet", title="Gram-Net", paper="Liu et al. 2020, CVPR, arXiv:2002.00133",
        code="https://github.com/Ekko-zn/AIGCDetectBenchmark", licence="none stated", trained_on="ForenSynths' ProGAN images",
        progan_only=True, architecture="ResNet-18 and six Gram blocks, one logit", millions=11.7,
        files=(
            WeightFile("Gram.pth", "mirror dkarageo/sidbench", ("https://huggingface.co/dkarageo/sidbench/resolve/main/gramnet/Gram.pth",)),
        ),
        build=GramNet, prepare=Input(), compared=1e-5,
        note="AIGCDetectBenchmark tests images whole, one by one",
    ),
)  # fmt: skip
