"""torch itself in bfloat16, on a CPU or a GPU, and torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def autocast(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function float32 [N, 3, H, W] -> float32 [N] that convolves in bfloat16, channels last, on the device of its images."""

    def run(images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            return network(images.contiguous(memory_format=torch.channels_last)).float()

    return run


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function [N, 3, H, W] -> [N] that compiles itself for any size at its first call, with frozen weights.

    It needs a C++ compiler, and minutes for the first image.
    """
    import torch._inductor.config as inductor  # takes seconds to import

    whole: Any = getattr(network, "whole", network.forward)
    run = torch.compile(whole, dynamic=True)

    def call(images: Tensor) -> Tensor:
        with inductor.patch(freezing=True), torch.inference_mode(False), torch.no_grad():
            return run(images.clone())  # a tensor of inference mode cannot be traced

    return call
