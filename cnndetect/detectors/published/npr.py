"""NPR: the differences between neighbouring pixels inside each 2x2 cell, classified by a shallow residual network.

Tan et al., Rethinking the Up-Sampling Operations in CNN-based Generative Network for Generalizable Deepfake Detection,
CVPR 2024. An odd last row or column is cut; the authors' own network refuses such an image.
"""

from __future__ import annotations

from cnndetect.detectors.networks.npr import NeighbourResidualNetwork
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.transforms.inputs import Input

_CODE = "https://github.com/chuangchuangtan/NPR-DeepfakeDetection"
_RAW = "https://raw.githubusercontent.com/chuangchuangtan/NPR-DeepfakeDetection/main/"


def _record(name: str, file: WeightFile, note: str) -> Published:
    return Published(
        name=name, title="NPR", paper="Tan et al. 2024, CVPR, arXiv:2312.10461", code=_CODE, licence="none stated",
        trained_on="ForenSynths' ProGAN images of car, cat, chair, horse", progan_only=True, millions=1.44,
        architecture="ResNet-50 cut after layer 2 on x - up(down(x)), one logit", files=(file,),
        build=NeighbourResidualNetwork, prepare=Input(resize=(256, 256)), prefixes=(("fc1.", "fc."),),
        compared=1e-5, note=note,
    )  # fmt: skip


_TRANSFORM = (
    "The authors resize to 256x256 for ForenSynths and the diffusion sets, and take GANGen-Detection and AIGCDetectBenchmark as they are"
)

RECORDS = (
    _record(
        "npr", WeightFile("NPR.pth", "root of the authors' repository", (_RAW + "NPR.pth",), blob="2430d34a6d6a1143d46d4276a05536770b1a2a97"),
        _TRANSFORM,
    ),
    _record(
        "npr-3090",
        WeightFile(
            "model_epoch_last_3090.pth", "root of the authors' repository", (_RAW + "model_epoch_last_3090.pth",),
            blob="f3efe21a3cb98da75b50451c3891ad0d2fa9fb2b",
        ),
        f"A second training, on another GPU. {_TRANSFORM}",
    ),
)  # fmt: skip
