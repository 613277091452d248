"""DRCT: ConvNeXt or CLIP tuned on diffusion images, on photographs and on reconstructions of both by diffusion.

Chen et al., DRCT: Diffusion Reconstruction Contrastive Training towards Universal Detection of Diffusion Generated Images,
ICML 2024. The features that its contrastive loss was put on are 1,024 numbers before the last layer.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cnndetect.detectors.published.backbones import timm_model
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import Input


class DrctConvNeXt(nn.Module):
    """options: of timm's create_model, for a smaller one.  [N, 3, 224, 224] -> [N, 2] (real, fake)."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        # The same network as timm's former convnext_base_in22k.
        self.model = timm_model("drct", "convnext_base", num_classes=1024, **options)
        self.fc = nn.Linear(1024, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.model(images))


def _record(name: str, member: str, trained_on: str) -> Published:
    place = f"ModelScope BokingChen/DRCT-2M, {member} inside pretrained.zip"
    return Published(
        name=name, title="DRCT", paper="Chen et al. 2024, ICML, PMLR 235", code="https://github.com/beibuwandeluori/DRCT",
        licence="none stated", trained_on=trained_on, architecture="ConvNeXt-B, 1,024 features, two classes", millions=88.6, extra="peers",
        files=(WeightFile(member.rsplit("/", 1)[1], place),), build=DrctConvNeXt, prepare=Input(crop=224, rounding="down"),
        output="real-fake", compared=1e-5,
    )  # fmt: skip


_FOLDER = "convnext_base_in22k_224_drct_amp_crop"

RECORDS = (
    _record(
        "drct-convnext-sdv14", f"DRCT-2M/sdv14/{_FOLDER}/14_acc0.9996.pth", "DRCT-2M: Stable Diffusion 1.4 and photographs of COCO"
    ),
    _record(
        "drct-convnext-sdv2", f"DRCT-2M/sdv2/{_FOLDER}/16_acc0.9993.pth", "DRCT-2M: Stable Diffusion 2 and photographs of COCO"
    ),
    _record(
        "drct-convnext-genimage", f"GenImage/sdv14/{_FOLDER}/last_acc0.9991.pth", "GenImage: Stable Diffusion 1.4 and ImageNet"
    ),
)  # fmt: skip
