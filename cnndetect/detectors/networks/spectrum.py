"""The spectrum classifier of Zhang et al. 2019: a ResNet on the log spectrum of each channel, and a narrow one on averaged spectra."""

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
        return _stretched(_magnitude(images.float()))


def averaged_log_spectrum(images: Tensor) -> Tensor:
    """The same of windows of 64 px that overlap by half or more, their powers averaged: what one window has by chance, the mean has less of.

    images: [N, C, H, W]; a shorter side is one window.  Returns float32 [N, C, min(H, 64), min(W, 64)].
    Source: Welch 1967, The Use of Fast Fourier Transform for the Estimation of Power Spectra; the windows are Hann's.

    >>> averaged_log_spectrum(torch.rand(1, 3, 128, 100)).shape
    torch.Size([1, 3, 64, 64])
    """
    with torch.autocast(images.device.type, enabled=False):
        images = images.float()
        height, width = (min(length, WINDOW_PX) for length in images.shape[2:])
        rows, columns = (_starts(length, WINDOW_PX, WINDOW_PX // 2) for length in images.shape[2:])
        window = torch.hann_window(height, device=images.device)[:, None] * torch.hann_window(width, device=images.device)
        power = [_magnitude(images[:, :, y : y + height, x : x + width] * window) ** 2 for y in rows for x in columns]
        return _stretched((sum(power[1:], power[0]) / len(power)).sqrt())


def _magnitude(images: Tensor) -> Tensor:
    """Of the Fourier transform, zero frequency in the middle."""
    return torch.fft.fftshift(torch.fft.fft2(images, norm="ortho"), dim=(2, 3)).abs()


def _stretched(magnitude: Tensor) -> Tensor:
    """The logarithm between its quantiles ``CLIPPED`` of a channel, in [-1, 1]: [N, C, H, W] -> [N, C, H, W]."""
    logarithm = torch.log(magnitude + 1e-3)
    flat = logarithm.flatten(2)  # [N, C, H * W]
    low, high = (_quantile(flat, share)[..., None] for share in CLIPPED)  # [N, C, 1, 1]
    return (2 * (logarithm - low) / (high - low).clamp(min=1e-6) - 1).clamp(-1, 1)


# Side of the squares in which ``SpectrumResNet18`` sees an image, of the windows in a square, and channels of the first stage.
SQUARE_PX, WINDOW_PX, NARROW = 128, 64, 16
_SQUARES = 64  # go through together


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


class SpectrumResNet18(ResidualNetwork):
    """ResNet-18 of a quarter of the width on averaged log-spectra of squares of 128 px: normalised [N, 3, H, W] -> [N]; 0.7 M parameters.

    The logit is the mean over squares that cover the image, evenly spaced. So a spectrum has the same frequencies and as many windows
    whatever the size of the image, and a large image costs no more memory than a few squares.

    >>> SpectrumResNet18().eval()(torch.rand(2, 3, 64, 200)).shape
    torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], width=NARROW)
        self.maxpool = nn.Identity()  # a peak is one frequency wide
        nn.init.normal_(self.fc.weight, 0.0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        return self.heat(images).mean(dim=(1, 2))

    def heat(self, images: Tensor) -> Tensor:
        """The logit of every square: [N, 3, H, W] -> [N, ceil(H / 128), ceil(W / 128)]."""
        rows, columns = (_starts(length, SQUARE_PX, SQUARE_PX) for length in images.shape[2:])
        squares = torch.stack([images[:, :, y : y + SQUARE_PX, x : x + SQUARE_PX] for y in rows for x in columns], dim=1)  # [N, S, 3, h, w]
        squares = squares.flatten(0, 1)
        # Batch statistics are those of the whole batch.
        together = len(squares) if self.training else _SQUARES
        logits = [super(SpectrumResNet18, self).forward(averaged_log_spectrum(some)) for some in squares.split(together)]
        return torch.cat(logits).view(len(images), len(rows), len(columns))


class ShortSpectrumResNet18(SpectrumResNet18):
    """The same, cut after its third stage: normalised [N, 3, H, W] -> [N]; 0.2 M parameters.

    >>> ShortSpectrumResNet18().eval()(torch.rand(2, 3, 64, 200)).shape
    torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__()
        self.cut_fourth_stage()


def _starts(length: int, size: int, step: int) -> list[int]:
    """Where the fewest pieces of ``size`` begin that cover ``length``, evenly spaced, at most ``step`` apart.

    >>> _starts(100, 128, 128), _starts(200, 128, 128), _starts(384, 128, 128), _starts(128, 64, 32)
    ([0], [0, 72], [0, 128, 256], [0, 32, 64])
    """
    steps = max(-(-(length - size) // step), 0)
    return [round(place * (length - size) / max(steps, 1)) for place in range(steps + 1)]


def _quantile(flat: Tensor, share: float) -> Tensor:
    """Order statistic along the last dimension; torch.quantile refuses more than 16 million values. [..., M] -> [..., 1]"""
    rank = 1 + round(share * (flat.shape[-1] - 1))
    return flat.kthvalue(rank, dim=-1, keepdim=True).values
