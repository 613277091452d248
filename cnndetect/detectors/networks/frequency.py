"""Residual networks beside a branch that sees the spectrum, and ResNet-18 with two classes, whose difference is the logit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.networks.residual import BasicBlock, Bottleneck, ResidualNetwork
from cnndetect.detectors.networks.spectrum import log_spectrum

SPECTRUM_BINS = 64
BRANCH_FEATURES = 128


def difference(two_logits: Tensor) -> Tensor:
    """Two logits (real, fake) as the one that everything downstream takes, fake minus real: [N, 2] -> [N].

    The softmax over two classes is the sigmoid of their difference, so binary cross-entropy on it *is* the cross-entropy
    of the two classes, with the same gradient in both of them.

    >>> pair, labels = torch.tensor([[0.5, 2.0], [1.0, -1.0]]), torch.tensor([1, 1])
    >>> one = F.binary_cross_entropy_with_logits(difference(pair), labels.float())
    >>> torch.allclose(one, F.cross_entropy(pair, labels))
    True
    """
    return two_logits[:, 1] - two_logits[:, 0]


class TwoClassResNet18(ResidualNetwork):
    """ResNet-18 with the classes (real, fake), folded to one logit: [N, 3, H, W] -> [N].

    >>> TwoClassResNet18().eval()(torch.rand(2, 3, 64, 48)).shape
    torch.Size([2])
    """

    def __init__(self, classifier_features: int = 512) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], outputs=2)
        self.fc = nn.Linear(classifier_features, 2)
        nn.init.normal_(self.fc.weight, 0.0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        return difference(self.fc(self.pooled(images)))


class FrequencyResNet18(TwoClassResNet18):
    """The same, with the features of a small network on the grey image's log-spectrum beside those of the pixels.

    The spectrum of any size is averaged to 64 x 64 bins, so that a bin means the same share of the sampling frequency.

    >>> FrequencyResNet18().eval()(torch.rand(2, 3, 64, 49)).shape
    torch.Size([2])
    """

    # Names of the state that a file of ResNet-18 weights cannot have.
    fresh = ("frequency.",)

    def __init__(self) -> None:
        super().__init__(512 + BRANCH_FEATURES)
        self.frequency = _branch()

    def forward(self, images: Tensor) -> Tensor:
        return difference(self.fc(torch.cat([self.pooled(images), self.frequency(spectrum_bins(images))], dim=1)))


class FrequencyResNet50(ResidualNetwork):
    """The paper's ResNet-50 with the same branch and one logit; it can start from a ResNet-50 that was trained.

    >>> FrequencyResNet50().eval()(torch.rand(2, 3, 64, 49)).shape
    torch.Size([2])
    """

    fresh = ("frequency.",)

    def __init__(self) -> None:
        super().__init__(Bottleneck, [3, 4, 6, 3])
        self.fc = nn.Linear(2048 + BRANCH_FEATURES, 1)
        nn.init.normal_(self.fc.weight, 0.0, 0.02)
        self.frequency = _branch()

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.cat([self.pooled(images), self.frequency(spectrum_bins(images))], dim=1)).squeeze(1)


def spectrum_bins(images: Tensor) -> Tensor:
    """The grey image's log-spectrum, averaged to 64 x 64 bins: [N, 3, H, W] -> [N, 1, 64, 64]."""
    return F.adaptive_avg_pool2d(log_spectrum(images.mean(dim=1, keepdim=True)), SPECTRUM_BINS)


def _branch() -> nn.Sequential:
    """[N, 1, 64, 64] -> [N, 128]."""
    return nn.Sequential(
        *_halving(1, 16), *_halving(16, 32), *_halving(32, 16), nn.Flatten(),
        nn.Linear(16 * (SPECTRUM_BINS // 8) ** 2, BRANCH_FEATURES), nn.ReLU(inplace=True),
    )  # fmt: skip


def _halving(channels: int, wider: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(wider), nn.ReLU(inplace=True)
