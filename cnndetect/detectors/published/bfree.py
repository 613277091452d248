"""B-Free: DINOv2 with registers on five crops of 504 px, trained on photographs and their self-conditioned reconstructions.

Guillaro et al., A Bias-Free Training Paradigm for More General AI-generated Image Detection, CVPR 2025. The image is cut
into patches of 14 px once, whole; crops are taken from the grid of patches: middle, then the four corners.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cnndetect.detectors.published.backbones import timm_model
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import Input

CROP_PX = 504


class BFree(nn.Module):
    """name, options: of timm's create_model.  Normalised [N, 3, H, W], 14 px or more -> [N], mean logit of the crops."""

    def __init__(self, name: str = "vit_base_patch14_reg4_dinov2.lvd142m", **options: Any) -> None:
        super().__init__()
        model: Any = timm_model("bfree", name, num_classes=1, img_size=CROP_PX, **options)
        self.patch_embed, self.grid = model.patch_embed, model.patch_embed.grid_size
        model.patch_embed = nn.Identity()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        patches = _tiled(self.patch_embed.proj(images), *self.grid)  # [N, C, rows, columns]
        rows, columns = self.grid
        top, left = (patches.shape[2] - rows) // 2, (patches.shape[3] - columns) // 2
        bottom, right = patches.shape[2] - rows, patches.shape[3] - columns
        places = ((top, left), (0, 0), (bottom, 0), (bottom, right), (0, right))
        crops = torch.cat([patches[:, :, y : y + rows, x : x + columns] for y, x in places])
        tokens = self.patch_embed.norm(crops.flatten(2).transpose(1, 2))  # [5N, rows * columns, C]
        return self.model(tokens).view(len(places), len(images)).mean(dim=0)


def _tiled(patches: Tensor, rows: int, columns: int) -> Tensor:
    """A grid that is too small is repeated to the right and downwards."""
    down, along = -(-rows // patches.shape[2]), -(-columns // patches.shape[3])
    if max(down, along) == 1:
        return patches
    repeated = patches.repeat(1, 1, max(down, 1), max(along, 1))
    # Both sides are cut then: one that was long enough too.
    return repeated[:, :, :rows, :columns]


RECORDS = (
    Published(
        name="bfree", title="B-Free", paper="Guillaro et al. 2025, CVPR, arXiv:2412.17671", code="https://github.com/grip-unina/B-Free",
        licence="GRIP-UNINA, non-profit use", trained_on="COCO photographs, their reconstructions and inpaintings by Stable Diffusion 2.1",
        architecture="DINOv2 ViT-B/14 with four registers, five crops of 504 px, one logit", millions=86.6, extra="peers",
        files=(
            WeightFile(
                "model_epoch_best.pth", "inside https://www.grip.unina.it/download/prog/B-Free/weights/BFREE_dino2reg4.zip "
                "(md5 of the archive f3f53fa647848b16cf81c913f148a198)",
            ),
        ),
        build=BFree, prepare=Input(), prefixes=(("patch_embed.", "patch_embed."), ("", "model.")), compared=1e-5,
        note="The size of the tower (B) is taken from the archive's name for now: its config.yaml names it, and a file that does not "
        "fit is refused",
    ),
)  # fmt: skip
