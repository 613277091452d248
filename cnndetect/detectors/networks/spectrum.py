"""The spectrum classifier of Zhang et al. 2019: a ResNet on the log spectrum of each channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnndetect.detectors.networks.residual import BasicBlock, ResidualNetwork

# Which share of the frequencies is clipped below and above before the rest is stretched to [-1, 1].
CLIPPED = (0.05, 0.95)


def log_spectrum(images: Tensor) -> Tensor:
    """Logarithm of the magnitude of every channel's 2-D Fourier transform, zero frequency in the middle, in [-1, 1].

    images: [N, C, H, W], any linear scale: a factor moves the logarithm by a constant, and an offset only the zero frequency,
    and both leave with the stretch, where the 5 % weakest and the 5 % strongest frequencies of a channel are clipped.
    Returns float32 [N, C, H, W].  Source: Zhang, Karaman, Chang 2019, Detecting and Simulating Artifacts in GAN
    Fake Images.

    >>> x = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    >>> log_spectrum(x).shape, float(log_spectrum(x).min()), float(log_spectrum(x).max())
    (torch.Size([1, 3, 32, 48]), -1.0, 1.0)
    >>> torch.allclose(log_spectrum(2 * x + 5), log_spectrum(x), atol=1e-2)
    True
    """
    # Half precision has no Fourier transform of most sizes, and too few digits for its logarithm.
    with torch.autocast(images.device.type, enabled=False):
        spectrum = torch.fft.fftshift(torch.fft.fft2(images.float(), norm="ortho"), dim=(2, 3))
        logarithm = torch.log(spectrum.abs() + 1e-3)
        flat = logarithm.flatten(2)  # [N, C, H * W]
        low, high = (_quantile(flat, share)[..., None] for share in CLIPPED)  # [N, C, 1, 1]
        stretched = (logarithm - low) / (high - low).clamp(min=1e-6)
        return (2 * stretched - 1).clamp(-1, 1)


class SpectrumResNet34(ResidualNetwork):
    """ResNet-34 on the log-spectrum, one logit: normalised [N, 3, H, W] -> [N]; 21.3 M parameters.

    >>> SpectrumResNet34().eval()(torch.rand(2, 3, 64, 48)).shape
    torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__(BasicBlock, [3, 4, 6, 3])
        nn.init.normal_(self.fc.weight, 0.0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(log_spectrum(images)).squeeze(1)


def _quantile(flat: Tensor, share: float) -> Tensor:
    """Order statistic along the last dimension; torch.quantile refuses more than 16 million values. [..., M] -> [..., 1]"""
    rank = 1 + round(share * (flat.shape[-1] - 1))
    return flat.kthvalue(rank, dim=-1, keepdim=True).values
