"""What a detector is: a network with a name, a protocol and a frozen threshold; images in, logits out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from cnndetect.errors import ProtocolError


@dataclass(frozen=True)
class Detector:
    """A network ready to score.

    network: [N, 3, H, W] normalised float32 -> [N] (or [N, 1]) logits, higher is more fake.
    threshold_logit: chosen on validation and frozen, None where unknown.  weights_sha256: None where there is no file.
    progan_only: whether it was trained on ProGAN images alone; only such detectors enter the main table.
    """

    name: str
    network: Callable[[Tensor], Tensor]
    protocol: str = "nocrop"
    threshold_logit: float | None = None
    weights_sha256: str | None = None
    progan_only: bool | None = None
    device: str = "cpu"
    record: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.network, nn.Module):
            self.network.to(self.device).eval()

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits of a batch of equal-sized images: [N, 3, H, W] -> [N] float32 on the CPU.

        Raises ProtocolError where the network returns another shape.
        """
        result = self.network(images.to(self.device))
        if not isinstance(result, Tensor) or result.shape not in ((len(images),), (len(images), 1)):
            given = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise ProtocolError(f"Detector {self.name} returned {given} for {len(images)} images. Expected [{len(images)}] logits.")
        return result.reshape(len(images)).float().cpu()
