"""Community Forensics: ViT-S/16 trained on images of thousands of generators.

Park and Owens, Community Forensics: Using Thousands of Generators to Train Fake Image Detectors, CVPR 2025.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cnndetect.detectors.published.backbones import timm_model
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import Input


class CommunityForensics(nn.Module):
    """size: of the image, 224 or 384.  options: of timm's create_model, for a smaller one.  [N, 3, size, size] -> [N]."""

    def __init__(self, size: int = 384, **options: Any) -> None:
        super().__init__()
        name = f"vit_small_patch16_{size}.augreg_in21k_ft_in1k"
        self.vit = timm_model("commfor", name, num_classes=1, **options)

    def forward(self, images: Tensor) -> Tensor:
        return self.vit(images).squeeze(1)


def _record(size: int, resize: int) -> Published:
    hub = f"OwensLab/commfor-model-{size}"
    return Published(
        name=f"commfor-{size}", title="Community Forensics", paper="Park and Owens 2025, CVPR, arXiv:2411.04125",
        code="https://github.com/JeongsooP/Community-Forensics", licence="MIT",
        trained_on="Community Forensics: images of 4,803 generators and as many photographs", architecture=f"ViT-S/16 at {size} px, one logit",
        millions=21.8, extra="peers",
        files=(WeightFile("model.safetensors", f"Hugging Face {hub}", (f"https://huggingface.co/{hub}/resolve/main/model.safetensors",)),),
        build=lambda: CommunityForensics(size), prepare=Input(resize=resize, crop=size), compared=1e-5,
    )  # fmt: skip


RECORDS = (_record(384, 440), _record(224, 256))
