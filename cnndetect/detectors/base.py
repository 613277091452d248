"""The Detector class: a network with a name, a protocol and a frozen threshold that turns images into logits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from cnndetect.counting import counted
from cnndetect.errors import ProtocolError

# Where a detector keeps the engine that was built for it (backends/choose.py).
KEPT = "_fastest"


@dataclass(frozen=True)
class Engine:
    """What computes logits in place of a network where only logits are asked for (cnndetect/backends)."""

    run: Callable[[Tensor], Tensor]
    """[N, 3, H, W] normalised float32 -> [N]."""
    backend: str
    """Such as "onnxruntime"."""
    precision: str = "float32"


@dataclass(frozen=True)
class Detector:
    """A network ready to score."""

    name: str
    network: Callable[[Tensor], Tensor]
    """[N, 3, H, W] normalised float32 -> [N] (or [N, 1]) logits, higher is more fake. A Module is put into evaluation mode and stays so."""
    protocol: str = "nocrop"
    """How images are cut: a name of transforms.preprocess.PROTOCOLS."""
    threshold_logit: float | None = None
    """Fitted on validation images and frozen; None where unknown."""
    weights_sha256: str | None = None
    """None where there is no file."""
    progan_only: bool | None = None
    """Whether it was trained on ProGAN images alone; only such detectors enter the main table."""
    device: str = "cpu"
    """Where the network runs."""
    record: dict[str, Any] = field(default_factory=dict)
    """What is known of its weights, for cards and tables."""
    identity: str | None = None
    """Proves in another run that this is the same detector; weights_sha256 by default. Without one, no stored score is trusted."""
    temperature: float | None = None
    """Fitted on validation images and frozen (calibration.py); None where unknown."""
    engine: Engine | None = field(default=None, compare=False)
    """Computes the logits instead of the network; None for the network itself. Maps, features and training use the network."""

    @property
    def backend(self) -> str:
        """What computes the logits, a name of cnndetect.backends."""
        return "torch" if self.engine is None else self.engine.backend

    @property
    def precision(self) -> str:
        """The numbers that it computes in: float32, bfloat16 or int8."""
        return "float32" if self.engine is None else self.engine.precision

    def __post_init__(self) -> None:
        if self.identity is None:
            object.__setattr__(self, "identity", self.weights_sha256)
        if isinstance(self.network, nn.Module):
            self.network.to(self.device).eval()

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but the engine that was built for it, which is built again where it is needed."""
        return {name: value for name, value in self.__dict__.items() if name != KEPT}

    def __repr__(self) -> str:
        """One line, whatever the network.

        >>> Detector("mine", nn.Flatten(), weights_sha256="0123456789abcdef")
        <Detector mine: Flatten, protocol nocrop, weights 01234567, cpu>
        """
        network = type(self.network).__name__ if isinstance(self.network, nn.Module) else getattr(self.network, "__name__", "callable")
        weights = f", weights {self.weights_sha256[:8]}" if self.weights_sha256 else ""
        return f"<Detector {self.name}: {network}, protocol {self.protocol}{weights}, {self.device}>"

    def __call__(self, img: Any, **options: Any) -> Any:
        """Same as ``score``."""
        return self.score(img, **options)

    def score(self, img: Any, **options: Any) -> Any:
        """``cnndetect.score(img, detector=self, **options)``."""
        # The scoring engine stands on top of this file.
        return import_module("cnndetect.scoring").score(img, detector=self, **options)

    @property
    def band(self) -> tuple[float, float] | None:
        """The logits of the verdict: real below the first, fake above the second. None where the detector has no threshold."""
        frozen = self.record.get("verdict") or {}
        low, high = (frozen.get(name, self.threshold_logit) for name in ("real_below_logit", "fake_above_logit"))
        return None if low is None or high is None else (low, high)

    def verdict(self, logit: float) -> str:
        """ "real", "fake" or, between the two thresholds of a detector that has them, "unsure".

        Raises ProtocolError where the detector has no threshold.

        >>> Detector("mine", nn.Flatten(), threshold_logit=1.5).verdict(2.0)
        'fake'
        """
        if self.band is None:
            raise ProtocolError(
                f"Detector {self.name} has no threshold. Fit one on its validation images with: "
                "cnndetect detectors calibrate FILE --val FOLDER --write"
            )
        low, high = self.band
        return "fake" if logit > high else "unsure" if logit >= low and low < high else "real"

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits of a batch of equal-sized images: [N, 3, H, W] -> [N] float32 on the CPU.

        Raises ProtocolError where the network returns another shape.
        """
        # TF32, the default of convolutions on CUDA, would move the logits by a thousandth.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if torch.device(self.device).type == "cuda" else nullcontext()
        with exact:
            result = (self.network if self.engine is None else self.engine.run)(images.to(self.device))
        if not isinstance(result, Tensor) or result.shape not in ((len(images),), (len(images), 1)):
            given = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise ProtocolError(
                f"Detector {self.name} returned {given} for {counted(len(images), 'image')}. Expected [{len(images)}] logits; "
                "cnndetect.detectors.adapter.from_model wraps a model with two classes or an input of its own."
            )
        return result.reshape(len(images)).float().cpu()


def declared_progan_only(detector: Detector) -> Detector:
    """The detector with the word of whoever runs it that it saw ProGAN alone. Raises ProtocolError where its record denies it.

    >>> declared_progan_only(Detector("mine", lambda images: images.mean(dim=(1, 2, 3)))).progan_only
    True
    """
    if detector.progan_only is False:
        raise ProtocolError(f"The record of {detector.name} says that it saw more than ProGAN images. Leave --progan-only out for it.")
    return replace(detector, progan_only=True)
