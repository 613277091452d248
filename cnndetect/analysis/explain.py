"""A map of where in an image the logit of a detector comes from.

Two methods. A *class-activation map* (Zhou et al., 2016) takes a network apart that ends in global average pooling and one
linear layer: the logit is exactly the mean of the map. *Occlusion* (Zeiler and Fergus, 2014) works for any detector: it
covers one square after another and notes by how much the logit falls.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cnndetect.detectors.base import Detector
from cnndetect.detectors.fusion import has_heat
from cnndetect.detectors.registry import DetectorLike, load
from cnndetect.errors import DataError, ProtocolError, lookup
from cnndetect.files import write_whole
from cnndetect.images import to_rgb_array
from cnndetect.transforms.preprocess import prepare

if TYPE_CHECKING:
    import matplotlib.figure

# The smallest side of a square, in pixels and as a share of the longer side of the image: at most 16 x 16 squares.
PATCH_PX, PATCH_SHARE = 32, 8
BATCH_PIXELS = 1_000_000

# Of the map's mean from the logit, relative to the map's largest value: float32 sums in another order.
_EXACT = 1e-3

RAISES, LOWERS = (214, 60, 30), (40, 100, 190)

# A drawing is no smaller than this on its longer side.
LEAST_PX = 512


@dataclass(frozen=True)
class Explanation:
    """Where a logit comes from. A notebook shows the image beside its map; ``figure()`` draws both with a scale."""

    method: str
    """"cam": the mean of heat is the logit.  "occlusion": heat is the fall of the logit when a square around a place is covered."""
    logit: float
    heat: np.ndarray
    """[h, w] logits, on a grid over the whole image; above 0 speaks for fake."""
    size_px: tuple[int, int]
    """Height and width of the image."""
    image: np.ndarray | None = None
    """The image that was explained, uint8 [H, W, 3]; None where only the map was kept."""

    def figure(self, *, title: str = "") -> matplotlib.figure.Figure:
        """The image beside its map, with a scale in logits. Needs 'cnndetect[report]'.

        Raises ProtocolError where the image was not kept.
        """
        if self.image is None:
            raise ProtocolError("This explanation has no image. Draw it with overlay(image, explanation), or call explain(image) again.")
        # The drawings lie on a higher floor, which is entered only when one is asked for.
        drawn = import_module("cnndetect.report.figures.analysis").explanations
        return drawn([(title, self.image, self)])

    def _repr_png_(self) -> bytes | None:
        if self.image is None:
            return None
        memory = io.BytesIO()
        _beside(self.image, self).save(memory, "PNG")
        return memory.getvalue()

    def at_native_size(self) -> np.ndarray:
        """The map over every pixel of the image, bilinear: [H, W]."""
        picture = Image.fromarray(self.heat.astype(np.float32))
        return np.asarray(picture.resize(self.size_px[::-1], Image.Resampling.BILINEAR), dtype=np.float64)


def explain(
    img: Any,
    *,
    detector: DetectorLike = None,
    method: str = "auto",
    device: str | None = None,
    patch_px: int | None = None,
    stride_px: int | None = None,
) -> Explanation:
    """A map of where one image's logit comes from, at native size.

    img: what ``cnndetect.score`` takes for one image.  detector, device: see ``cnndetect.load``.
    method: "cam", "occlusion", or "auto": the class-activation map where the network allows it, else occlusion.
    patch_px, stride_px: see ``occlusion``.
    Raises ImageError, and ProtocolError where "cam" is asked of a network that does not end in pooling and one linear layer.

    >>> explain(np.full((40, 48, 3), 90, np.uint8), detector=lambda batch: batch.mean((1, 2, 3))).method
    'occlusion'
    """
    methods: dict[str, Callable[[], Explanation | None]] = {
        "auto": lambda: class_activation(ready, array) or occlusion(ready, array, patch_px=patch_px, stride_px=stride_px),
        "cam": lambda: class_activation(ready, array),
        "occlusion": lambda: occlusion(ready, array, patch_px=patch_px, stride_px=stride_px),
    }
    chosen = lookup("method", methods, method)
    ready = detector if isinstance(detector, Detector) and device is None else load(detector, device=device)
    array = to_rgb_array(img)
    found = chosen()
    if found is None:
        raise ProtocolError(
            f"Detector {ready.name} does not end in global average pooling and one linear layer. Expected such a network for "
            "method='cam'; use method='occlusion'."
        )
    return replace(found, image=array)


def class_activation(detector: Detector, array: np.ndarray) -> Explanation | None:
    """The exact decomposition of the logit by place, or None where the network does not allow it.

    array: uint8 [H, W, 3].  A network with a method ``heat`` is asked. Of others the last pooling to 1x1 is watched, and so is the last
    linear layer; the map is features [C, h, w] times weights [C] plus bias. It is returned only if its mean is the logit.
    """
    if has_heat(detector.network):
        return _own_heat(detector, array)
    ends = _ends(detector.network)
    if ends is None:
        return None
    pool, linear = ends
    seen: list[Tensor] = []
    # A hook sees what an inference needs anyway; the network itself is not changed. An engine would pass it by.
    handle = pool.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    try:
        logit = float(replace(detector, engine=None).logits(prepare(array, "nocrop")[None])[0])
    finally:
        handle.remove()
    if len(seen) != 1 or seen[0].ndim != 4 or seen[0].shape[:2] != (1, linear.in_features):
        return None
    features, weight = seen[0][0].double().cpu(), linear.weight[0].detach().double().cpu()  # [C, h, w], [C]
    heat = torch.einsum("chw,c->hw", features, weight).numpy()
    if linear.bias is not None:
        heat = heat + float(linear.bias[0].detach())
    if abs(heat.mean() - logit) > _EXACT * max(1.0, np.abs(heat).max()):
        return None
    return Explanation("cam", logit, heat, array.shape[:2])


def _own_heat(detector: Detector, array: np.ndarray) -> Explanation:
    image = prepare(array, "nocrop")[None].to(detector.device)
    with torch.inference_mode():
        heat = detector.network.heat(image)[0].double().cpu().numpy()  # type: ignore[attr-defined,union-attr]
    return Explanation("cam", float(heat.mean()), heat, array.shape[:2])


def occlusion(detector: Detector, array: np.ndarray, *, patch_px: int | None = None, stride_px: int | None = None) -> Explanation:
    """By how much the logit falls when a square is painted in the image's mean colour; each cell, the mean of its squares.

    array: uint8 [H, W, 3].  patch_px: side of the square, by default an eighth of the image's longer side and at least 32.
    stride_px: from square to square, by default half of it.  Raises ProtocolError for sizes below 1 and steps that leave gaps.
    """
    height, width = array.shape[:2]
    patch_px = max(PATCH_PX, 2 * -(-max(height, width) // (2 * PATCH_SHARE))) if patch_px is None else patch_px
    stride_px = max(1, patch_px // 2) if stride_px is None else stride_px
    if not 1 <= stride_px <= patch_px:
        raise ProtocolError(f"Got patch_px={patch_px}, stride_px={stride_px}. Expected 1 <= stride_px <= patch_px.")
    image = prepare(array, "nocrop")  # [3, H, W]
    fill = image.mean(dim=(1, 2), keepdim=True)
    places = [(top, left) for top in _starts(height, patch_px, stride_px) for left in _starts(width, patch_px, stride_px)]
    logit = float(detector.logits(image[None])[0])
    falls: list[float] = []
    batch = max(1, BATCH_PIXELS // (height * width))
    for start in range(0, len(places), batch):
        covered = image.repeat(len(places[start : start + batch]), 1, 1, 1)
        for one, (top, left) in zip(covered, places[start : start + batch], strict=True):
            one[:, top : top + patch_px, left : left + patch_px] = fill
        falls += (logit - detector.logits(covered).double()).tolist()
    rows, columns = -(-height // stride_px), -(-width // stride_px)
    total, count = np.zeros((rows, columns)), np.zeros((rows, columns))
    for (top, left), fall in zip(places, falls, strict=True):
        cells = (
            slice(top // stride_px, -(-min(top + patch_px, height) // stride_px)),
            slice(left // stride_px, -(-min(left + patch_px, width) // stride_px)),
        )
        total[cells] += fall
        count[cells] += 1
    return Explanation("occlusion", logit, total / count, (height, width))


def overlay(img: Any, explanation: Explanation, *, scale: float | None = None) -> np.ndarray:
    """The image in grey with the map over it: orange-red where it speaks for fake, blue where it speaks for real.

    scale: the value of full colour, by default the map's largest; give one to several images to compare them.
    Returns uint8 [H, W, 3] at the image's own size.
    """
    array = to_rgb_array(img)
    if array.shape[:2] != tuple(explanation.size_px):
        raise ProtocolError(f"Got an image of {array.shape[:2]} and a map of {explanation.size_px}. Expected the image that was explained.")
    heat = explanation.at_native_size()
    full = scale if scale is not None else float(np.abs(explanation.heat).max())
    strength = np.clip(np.abs(heat) / (full or 1.0), 0, 1)[:, :, None] * 0.75  # [H, W, 1]
    grey = np.asarray(Image.fromarray(array).convert("L"), dtype=np.float64)[:, :, None]
    colour = np.where(heat[:, :, None] > 0, np.array(RAISES), np.array(LOWERS))
    return (grey * (1 - strength) + colour * strength).round().astype(np.uint8)


def save_overlay(img: Any, explanation: Explanation, path: str | Path) -> None:
    """Write the image and its overlay side by side, whole or not at all; small images are enlarged to LEAST_PX.

    path: its suffix is the format, .png, .jpg or .webp.  Raises DataError.
    """
    both, target = _beside(to_rgb_array(img), explanation), Path(path)
    kind = Image.registered_extensions().get(target.suffix.lower())
    if kind is None:
        raise DataError(f"{target} cannot be written: no image format is called {target.suffix!r}. Expected .png, .jpg or .webp.")
    try:
        write_whole(target, lambda temporary: both.save(temporary, format=kind))
    except OSError as error:
        raise DataError(
            f"{target} cannot be written: {error.strerror or error}. Expected a file in a folder that you may write to."
        ) from error


def _beside(array: np.ndarray, explanation: Explanation) -> Image.Image:
    """An image and its overlay side by side; small ones are enlarged to LEAST_PX."""
    both = Image.fromarray(np.concatenate([array, overlay(array, explanation)], axis=1))
    times = max(1, -(-LEAST_PX // max(array.shape[:2])))
    return both.resize((both.width * times, both.height * times), Image.Resampling.NEAREST)


def _ends(network: object) -> tuple[nn.Module, nn.Linear] | None:
    """The last pooling to 1x1 and the last linear layer with one output, if a network has both."""
    modules = list(network.modules()) if isinstance(network, nn.Module) else []
    pools = [m for m in modules if isinstance(m, nn.AdaptiveAvgPool2d) and m.output_size in (1, (1, 1))]
    linears = [m for m in modules if isinstance(m, nn.Linear)]
    if not pools or not linears or linears[-1].out_features != 1:
        return None
    return pools[-1], linears[-1]


def _starts(side: int, patch: int, stride: int) -> list[int]:
    """Where squares begin so that they cover the whole side; the last one may hang over the edge."""
    return list(range(0, max(1, side - patch + stride), stride))
