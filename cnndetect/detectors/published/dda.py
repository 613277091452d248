"""DDA: DINOv2 ViT-L/14 with low-rank additions, trained on photographs and on their reconstructions aligned in pixels and frequency.

Chen et al., Dual Data Alignment Makes AI-Generated Image Detector Easier Generalizable, NeurIPS 2025.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.published.backbones import timm_model
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import CLIP_MEAN, CLIP_STD, Input

RANK, ALPHA = 8, 1.0
_TUNED = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")


class LowRank(nn.Module):
    """A linear layer and its low-rank addition, W x + (alpha / rank) B A x (Hu et al. 2022)."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.original_layer, self.lora = layer, nn.Module()
        self.lora.register_parameter("lora_A", nn.Parameter(torch.zeros(RANK, layer.in_features)))
        self.lora.register_parameter("lora_B", nn.Parameter(torch.zeros(layer.out_features, RANK)))

    def forward(self, x: Tensor) -> Tensor:
        return self.original_layer(x) + F.linear(F.linear(x, self.lora.get_parameter("lora_A")), self.lora.get_parameter("lora_B")) * (
            ALPHA / RANK
        )


class DDA(nn.Module):
    """options: of timm's create_model, for a smaller one.  [N, 3, H, W], multiples of 14 -> [N], from the class token."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        model: Any = timm_model("dda", "vit_large_patch14_dinov2.lvd142m", num_classes=0, **options)
        for block in model.blocks:
            for path in _TUNED:
                parent, name = path.split(".")
                setattr(block.get_submodule(parent), name, LowRank(block.get_submodule(path)))
        # Part of the file, used in pre-training alone.
        model.mask_token = nn.Parameter(torch.zeros(1, model.embed_dim))
        self.model, self.fc = model, nn.Linear(model.embed_dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        model = self.model
        rows, columns = images.shape[2] // 14, images.shape[3] // 14
        tokens = model.patch_embed.proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([model.cls_token.expand(len(images), -1, -1), tokens], dim=1) + self._positions(rows, columns)
        for block in model.blocks:
            tokens = block(tokens)
        return self.fc(model.norm(tokens)[:, 0]).squeeze(1)

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Positions for another grid, by DINOv2's rule: bicubic, the scale a tenth of a patch too large. -> [1, 1 + rows * columns, C]."""
        stored = self.model.pos_embed
        side = round((stored.shape[1] - 1) ** 0.5)
        if rows == columns == side:
            return stored
        grid = stored[:, 1:].view(1, side, side, -1).permute(0, 3, 1, 2)
        scale = ((rows + 0.1) / side, (columns + 0.1) / side)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([stored[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


RECORDS = (
    Published(
        name="dda", title="DDA", paper="Chen et al. 2025, NeurIPS, arXiv:2505.14359", code="https://github.com/roy-ch/Dual-Data-Alignment",
        licence="Apache-2.0", trained_on="COCO photographs and their aligned reconstructions by the VAE of Stable Diffusion 2.1",
        architecture="DINOv2 ViT-L/14 with low-rank additions (rank 8), linear on the class token", millions=307.0, extra="peers",
        files=(
            WeightFile(
                "DDA_ckpt.pth", "Hugging Face Junwei-Xi/Dual-Data-Alignment",
                ("https://huggingface.co/Junwei-Xi/Dual-Data-Alignment/resolve/main/DDA_ckpt.pth",),
            ),
        ),
        build=DDA, prepare=Input(crop=336, mean=CLIP_MEAN, std=CLIP_STD), compared=1e-5,
        prefixes=(("base_model.model.", "model."), ("base_model.fc.", "fc.")),
    ),
)  # fmt: skip
