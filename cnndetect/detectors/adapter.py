"""Wraps a network with its own preprocessing and output, so that it takes the images of this package and returns one logit each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from cnndetect.counting import counted
from cnndetect.detectors.base import Detector
from cnndetect.errors import ProtocolError
from cnndetect.transforms.inputs import Input
from cnndetect.transforms.preprocess import denormalize

Prepare = Callable[[np.ndarray], Tensor]

# How an output becomes one logit, higher meaning fake.
OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "logit": lambda out: out.reshape(len(out)),
    "logit-of-real": lambda out: -out.reshape(len(out)),
    "probability": lambda out: torch.logit(out.double().reshape(len(out)), eps=1e-12).float(),
    "probability-of-real": lambda out: -torch.logit(out.double().reshape(len(out)), eps=1e-12).float(),
    "real-fake": lambda out: out[:, 1] - out[:, 0],
    "fake-real": lambda out: out[:, 0] - out[:, 1],
}
_WIDTH = {"real-fake": 2, "fake-real": 2}


class Adapter(nn.Module):
    """Undo our normalisation, which is exact, prepare every image as its authors do, run their network: [N, 3, H, W] -> [N].

    prepare: uint8 [H, W, 3] -> float32 of any shape, equal for images of equal size.  output: a name of OUTPUTS.

    >>> whole = Adapter(lambda images: images.mean(dim=(1, 2, 3)), Input(mean=(0, 0, 0), std=(1, 1, 1)))
    >>> round(float(whole(torch.zeros(1, 3, 8, 8))), 3)
    0.449
    """

    def __init__(self, network: Callable[[Tensor], Tensor], prepare: Prepare, output: str = "logit") -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise ProtocolError(f"Unknown output {output!r}. Known: {', '.join(OUTPUTS)}.")
        self.network, self.prepare, self.output = network, prepare, output

    def forward(self, images: Tensor) -> Tensor:
        pixels = denormalize(images.float()).permute(0, 2, 3, 1).cpu().numpy()  # uint8 [N, H, W, 3]
        batch = torch.stack([self.prepare(one) for one in pixels]).to(images.device)
        return self._folded(self.network(batch), len(batch))

    def _folded(self, out: object, count: int) -> Tensor:
        # transformers wraps its logits.
        out = getattr(out, "logits", out)
        width = _WIDTH.get(self.output, 1)
        fits = isinstance(out, Tensor) and len(out) == count and out.numel() == count * width
        if not isinstance(out, Tensor) or not fits:
            given = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ProtocolError(
                f"The network returned {given} for {counted(count, 'image')}. Expected [{count}, {width}] for output={self.output!r}; "
                "two classes are output='real-fake' or 'fake-real'."
            )
        return OUTPUTS[self.output](out.float().reshape(count, width) if width > 1 else out.float())


def from_model(
    model: Callable[[Tensor], Tensor],
    *,
    name: str,
    resize: int | tuple[int, int] | None = None,
    crop: int | None = None,
    mean: tuple[float, float, float] = Input.mean,
    std: tuple[float, float, float] = Input.std,
    resampling: str = Input.resampling,
    output: str = "logit",
    progan_only: bool | None = None,
    identity: str | None = None,
    device: str = "cpu",
) -> Detector:
    """Any PyTorch model as a detector, its input and its output declared once.

    model: float32 [N, 3, H, W] -> what ``output`` says, a tensor or an object with ``logits`` (transformers).
    resize, crop, mean, std, resampling: see Input.  output: "logit" ([N] or [N, 1], high is fake), "logit-of-real",
    "probability" (of fake, in [0, 1]), "probability-of-real", or two classes [N, 2]: "real-fake" (the second is fake) or
    "fake-real".  identity: what proves in another run that the model is the same, such as the SHA-256 of its file; without
    one nothing that was scored before is used again.
    Raises ProtocolError for an input or an output that cannot be, once here and not once per image.

    >>> from_model(nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), name="mine", resize=(32, 32), output="real-fake").name
    'mine'
    """
    prepare = Input(resize, crop, mean, std, resampling)
    if isinstance(model, nn.Module):
        model.to(device).eval()
    adapter = Adapter(model, prepare, output)
    _probe(adapter, name, device)
    return Detector(name, adapter, progan_only=progan_only, identity=identity, device=device)


def _probe(adapter: Adapter, name: str, device: str) -> None:
    """One grey image through the model: what fails on every image should fail here, with its reason."""
    try:
        with torch.inference_mode():
            adapter(torch.zeros(2, 3, 256, 320, device=device))
    except ProtocolError:
        raise
    except Exception as error:
        raise ProtocolError(
            f"{name} cannot take a batch of two images ({type(error).__name__}: {error}). Check resize, crop and what the model expects."
        ) from error
