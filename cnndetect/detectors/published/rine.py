"""RINE: the class tokens of all CLIP blocks, averaged with learnt weights.

Koutlis and Papadopoulos, Leveraging Representations from Intermediate Encoder-blocks for Synthetic Image Detection,
ECCV 2024. Each block has one weight per feature; a softmax over the blocks normalises them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnndetect.detectors.published.backbones import clip_vit_l14
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import CLIP_MEAN, CLIP_STD, Input


class Probe(nn.Module):
    """Class tokens [N, blocks, width] -> [N]. layers: of each projection.  features: of their outputs."""

    def __init__(self, *, blocks: int = 24, width: int = 1024, layers: int, features: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1, blocks, features))
        self.proj1 = _projection(width, layers, features)
        self.proj2 = _projection(features, layers, features)
        dense = [nn.Linear(features, features), nn.ReLU(), nn.Dropout()]
        self.head = nn.Sequential(*dense, nn.Linear(features, features), nn.ReLU(), nn.Dropout(), nn.Linear(features, 1))

    def forward(self, tokens: Tensor) -> Tensor:
        weighed = torch.softmax(self.alpha, dim=1) * self.proj1(tokens)  # [N, blocks, features]
        return self.head(self.proj2(weighed.sum(dim=1))).squeeze(1)


class Rine(nn.Module):
    """visual: the image tower of open_clip; its class token is read after the second normalisation of every block."""

    def __init__(self, visual: nn.Module, *, layers: int, features: int, width: int = 1024) -> None:
        super().__init__()
        blocks = visual.get_submodule("transformer.resblocks")
        self.visual, self.probe = visual, Probe(blocks=len(list(blocks.children())), width=width, layers=layers, features=features)

    def forward(self, images: Tensor) -> Tensor:
        seen: list[Tensor] = []
        hooks = [
            block.get_submodule("ln_2").register_forward_hook(lambda module, given, out: seen.append(out[:, 0]))
            for block in self.visual.get_submodule("transformer.resblocks").children()
        ]
        try:
            self.visual(images)
        finally:
            for hook in hooks:
                hook.remove()
        return self.probe(torch.stack(seen, dim=1))


def _projection(width: int, layers: int, features: int) -> nn.Sequential:
    parts: list[nn.Module] = [nn.Dropout()]
    for layer in range(layers):
        parts += [nn.Linear(width if layer == 0 else features, features), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*parts)


_CODE = "https://github.com/mever-team/rine"
_RAW = "https://raw.githubusercontent.com/mever-team/rine/main/ckpt/"


def _record(classes: str, layers: int, features: int, trained_on: str, proof: dict) -> Published:
    name = f"rine-{classes}"
    file = f"model_{classes}_trainable.pth"
    return Published(
        name=name, title="RINE", paper="Koutlis and Papadopoulos 2024, ECCV, arXiv:2402.19091", code=_CODE, licence="Apache-2.0",
        trained_on=trained_on, progan_only=classes != "ldm", architecture="CLIP ViT-L/14, class tokens of 24 blocks, learnt weights",
        millions=304.0, extra="peers", backbone="CLIP ViT-L/14 of OpenAI (open_clip)",
        files=(WeightFile(file, "ckpt/ of the authors' repository", (_RAW + file,), **proof),),
        build=lambda: Rine(clip_vit_l14(name), layers=layers, features=features), part="probe",
        prepare=Input(crop=224, mean=CLIP_MEAN, std=CLIP_STD), compared=1e-5,
        note="Trained on latent diffusion; the authors average ten crops of 224 for it, this takes the middle one" if classes == "ldm" else "",
    )  # fmt: skip


RECORDS = (
    _record("1class", 4, 1024, "ForenSynths' ProGAN images of horse", {"blob": "802e8dce29925de10a8f4bfd96c4b627d0c0cdfe"}),
    _record(
        "2class", 4, 128, "ForenSynths' ProGAN images of chair, horse",
        {"size": 1_139_686, "sha256": "680d301b6d191da85b9dabcebf42cd3df20c5c669fa8320c498f835d02bf5ccb"},
    ),
    _record(
        "4class", 2, 1024, "ForenSynths' ProGAN images of car, cat, chair, horse", {"blob": "bf5cd4053b5eaf64a0bd52cdb6bd0dbd9a8bc457"}
    ),
    _record("ldm", 4, 1024, "latent diffusion images", {"blob": "6b225b2aeae4f52e99a7fb675d8bcb736aea4a2e"}),
)  # fmt: skip
