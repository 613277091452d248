"""Image towers that others trained, with their weights, from the libraries that have them."""

from __future__ import annotations

from typing import Any

from torch import nn

from cnndetect.detectors.published.extras import need
from cnndetect.errors import WeightsError


def clip_vit_l14(what: str, *, name: str = "ViT-L-14-quickgelu", weights: str = "openai", projected: bool = True) -> nn.Module:
    """The image tower of a CLIP ViT-L/14: [N, 3, 224, 224] -> [N, 768], or [N, 1024] without its projection."""
    open_clip = need("open_clip", extra="peers", what=what)
    visual: Any = _fetched(lambda: open_clip.create_model(name, pretrained=weights).visual, what, f"{name} of {weights}")
    if not projected:
        visual.proj = None
    return visual


def timm_model(what: str, name: str, **options: Any) -> nn.Module:
    """A timm model, without weights: the detector's own file has them all."""
    return need("timm", extra="peers", what=what).create_model(name, pretrained=False, **options)


def _fetched(make: Any, what: str, backbone: str) -> Any:
    try:
        return make()
    except Exception as error:  # the hub's own errors, of many kinds
        raise WeightsError(
            f"{what} needs the weights of its backbone, {backbone}, and they could not be fetched ({type(error).__name__}: {error}). "
            "Go online once, or set HF_HOME to a cache that has them."
        ) from error
