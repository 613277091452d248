"""UnivFD: a linear layer on the image embedding of CLIP, which is not normalised.

Ojha et al., Towards Universal Fake Image Detectors that Generalize Across Generative Models, CVPR 2023.
"""

from __future__ import annotations

from torch import Tensor, nn

from cnndetect.detectors.published.backbones import clip_vit_l14
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import CLIP_MEAN, CLIP_STD, Input


class UnivFD(nn.Module):
    """visual: [N, 3, 224, 224] -> [N, features]; the whole: -> [N]."""

    def __init__(self, visual: nn.Module, features: int = 768) -> None:
        super().__init__()
        self.visual, self.fc = visual, nn.Linear(features, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.visual(images)).squeeze(1)


RECORDS = (
    Published(
        name="univfd", title="UnivFD", paper="Ojha et al. 2023, CVPR, arXiv:2302.10174",
        code="https://github.com/WisconsinAIVision/UniversalFakeDetect", licence="MIT", trained_on="ForenSynths' ProGAN images",
        progan_only=True, architecture="CLIP ViT-L/14 image embedding, linear", millions=304.0, extra="peers",
        backbone="CLIP ViT-L/14 of OpenAI (open_clip)",
        files=(
            WeightFile(
                "fc_weights.pth", "pretrained_weights/ of the authors' repository",
                ("https://raw.githubusercontent.com/WisconsinAIVision/UniversalFakeDetect/main/pretrained_weights/fc_weights.pth",),
                size=4_083, sha256="477100745713bcc957beb2b40859536859b6483fd6301b3b9293151b194c7847",
            ),
        ),
        build=lambda: UnivFD(clip_vit_l14("univfd")), part="fc", prepare=Input(crop=224, mean=CLIP_MEAN, std=CLIP_STD), compared=1e-5,
    ),
)  # fmt: skip
