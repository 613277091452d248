"""D3: CLIP features of an image and of the same image with its patches shuffled, combined by attention.

Yang et al., D^3: Scaling Up Deepfake Detection by Learning from Discrepancy, CVPR 2025. The authors draw a new order of
patches for every batch; here one order, drawn from a seed, is used for all images, so that a score does not depend on the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.published.backbones import clip_vit_l14
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import CLIP_MEAN, CLIP_STD, Input

PATCH_PX = 14


class JoinedAttention(nn.Module):
    """Features of two views [N, 2, width] -> [N]."""

    def __init__(self, width: int = 1024) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.fc = nn.Linear(2 * width, 1)

    def forward(self, views: Tensor) -> Tensor:
        likeness = self.query(views) @ self.key(views).transpose(1, 2) / views.shape[-1] ** 0.5
        # The softmax runs over the queries, as in the published weights.
        return self.fc((likeness.softmax(dim=1) @ self.value(views)).flatten(1)).squeeze(1)


class D3(nn.Module):
    """visual: [N, 3, 224, 224] -> [N, width], no projection.  seed: of the order of patches."""

    def __init__(self, visual: nn.Module, width: int = 1024, seed: int = 0) -> None:
        super().__init__()
        self.visual, self.attention_head, self.seed = visual, JoinedAttention(width), seed

    def forward(self, images: Tensor) -> Tensor:
        views = [self.visual(shuffled(images, seed=self.seed)), self.visual(images)]
        return self.attention_head(torch.stack(views, dim=1))


def shuffled(images: Tensor, *, seed: int, patch_px: int = PATCH_PX) -> Tensor:
    """The image with its patches in another order, the same for every image: [N, 3, H, W] -> [N, 3, H, W].

    >>> image = torch.arange(16.0).view(1, 1, 4, 4)
    >>> sorted(shuffled(image, seed=0, patch_px=2).flatten().tolist()) == list(range(16))
    True
    """
    patches = F.unfold(images, patch_px, stride=patch_px)  # [N, 3 * patch * patch, count]
    order = torch.randperm(patches.shape[-1], generator=torch.Generator().manual_seed(seed))
    return F.fold(patches[:, :, order.to(images.device)], images.shape[2:], patch_px, stride=patch_px)


RECORDS = (
    Published(
        name="d3", title="D3", paper="Yang et al. 2025, CVPR, arXiv:2404.04584", code="https://github.com/BigAandSmallq/D3",
        licence="none stated", trained_on="ForenSynths' ProGAN images and other generators' (the authors' eight)",
        architecture="CLIP ViT-L/14 of the image and of its shuffled patches, attention", millions=307.0, extra="peers",
        backbone="CLIP ViT-L/14 of OpenAI (open_clip)",
        files=(
            WeightFile(
                "classifier.pth", "ckpt/ of the authors' repository", ("https://raw.githubusercontent.com/BigAandSmallq/D3/main/ckpt/classifier.pth",),
                blob="06d99cf7212cf5c5dc81df87de6b691d4ccbc67f",
            ),
        ),
        build=lambda: D3(clip_vit_l14("d3", projected=False)), part="attention_head", prefixes=(("attention_head.", ""),),
        prepare=Input(crop=224, mean=CLIP_MEAN, std=CLIP_STD), compared=1e-5, note="Patches are shuffled in one order, seed 0",
    ),
)  # fmt: skip
