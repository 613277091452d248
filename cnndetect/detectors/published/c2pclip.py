"""C2P-CLIP: one linear layer on the normalised embedding of a CLIP image tower that was tuned with category prompts.

Tan et al., C2P-CLIP: Injecting Category Common Prompt in CLIP to Enhance Generalization in Deepfake Detection, AAAI 2025.
The file holds the tuned tower too, so nothing else is fetched.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.published.extras import need
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import CLIP_MEAN, CLIP_STD, Input


class C2PClip(nn.Module):
    """sizes: of the tower, by the names of transformers' CLIPVisionConfig; ViT-L/14 where none are given.  -> [N]."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__()
        transformers = need("transformers", extra="peers", what="c2p-clip")
        large = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14}
        config = transformers.CLIPVisionConfig(**{**large, "projection_dim": 768, **sizes})
        self.visual = transformers.CLIPVisionModelWithProjection(config)
        self.fc = nn.Linear(config.projection_dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(F.normalize(self.visual(pixel_values=images).image_embeds, dim=1)).squeeze(1)


RECORDS = (
    Published(
        name="c2p-clip", title="C2P-CLIP", paper="Tan et al. 2025, AAAI, arXiv:2408.09647",
        code="https://github.com/chuangchuangtan/C2P-CLIP-DeepfakeDetection", licence="none stated",
        trained_on="ForenSynths' ProGAN images", progan_only=True, architecture="CLIP ViT-L/14 tuned, L2-normalised, linear",
        millions=304.0, extra="peers",
        files=(WeightFile("C2P_CLIP_release_20240901.pth", "inside https://www.now61.com/f/95OefW/C2P_CLIP_release_20240901.zip"),),
        build=C2PClip, prepare=Input(resize=224, crop=224, mean=CLIP_MEAN, std=CLIP_STD), compared=1e-5,
        prefixes=(("model.fc.", "fc."), ("model.", "visual.")),
    ),
)  # fmt: skip
