"""ClipBased-SID: a linear layer on the normalised features of CLIP before its projection, fitted on few images.

Cozzolino et al., Raising the Bar of AI-generated Image Detection with CLIP, CVPR workshops 2024.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.published.backbones import clip_vit_l14
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import CLIP_MEAN, CLIP_STD, Input


class ClipBased(nn.Module):
    """visual: [N, 3, 224, 224] -> [N, features], no projection; the whole: -> [N], a log-likelihood ratio."""

    def __init__(self, visual: nn.Module, features: int = 1024) -> None:
        super().__init__()
        self.visual, self.head = visual, nn.Module()
        self.head.fc = nn.Linear(features, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head.get_submodule("fc")(F.normalize(self.visual(images), dim=1)).squeeze(1)


def _build() -> ClipBased:
    return ClipBased(clip_vit_l14("clipbased", name="ViT-L-14", weights="commonpool_xl_s13b_b90k", projected=False))


_CODE = "https://github.com/grip-unina/ClipBased-SyntheticImageDetection"
_MEDIA = "https://media.githubusercontent.com/media/grip-unina/ClipBased-SyntheticImageDetection/main/weights/"


def _record(name: str, folder: str, size: int, sha256: str, trained_on: str) -> Published:
    place = f"weights/{folder} of the authors' repository (Git LFS)"
    return Published(
        name=name, title="ClipBased-SID", paper="Cozzolino et al. 2024, CVPRW, arXiv:2312.00195", code=_CODE, licence="Apache-2.0",
        trained_on=trained_on, architecture="CLIP ViT-L/14 features before the projection, L2-normalised, linear", millions=303.0,
        extra="peers", backbone="CLIP ViT-L/14 CommonPool-XL of LAION (open_clip)",
        files=(WeightFile("weights.pth", place, (f"{_MEDIA}{folder}/weights.pth",), size=size, sha256=sha256),),
        build=_build, part="head", prepare=Input(resize=224, crop=224, mean=CLIP_MEAN, std=CLIP_STD, resampling="bicubic"), compared=1e-5,
    )  # fmt: skip


_LATENT = "10,000 + 10,000 images of COCO and of latent diffusion"

RECORDS = (
    _record(
        "clipbased-latent10k", "clipdet_latent10k", 5_227, "04b022c6990709acb132337d7e432fc57090cec9db3869577111b031d40c19f9", _LATENT
    ),
    _record(
        "clipbased-latent10k-plus", "clipdet_latent10k_plus", 5_155,
        "1c9c9f48a47d975bde67e9924983aa4e4ccda96a15e7e983b6305f0c56d9ee18", f"{_LATENT}, compressed and resized",
    ),
)  # fmt: skip
