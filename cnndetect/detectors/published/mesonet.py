"""MesoNet: two small networks for faces of forged videos, Meso-4 and MesoInception-4, from their Keras files.

Afchar et al., MesoNet: a Compact Facial Video Forgery Detection Network, WIFS 2018. The output is the probability of a
real face: their folders are read in alphabetical order, forged before real.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnndetect.detectors.published.record import Published, State, WeightFile
from cnndetect.errors import WeightsError
from cnndetect.transforms.inputs import Input

_EPSILON = 1e-3  # Keras's, not PyTorch's


class _Stage(nn.Module):
    """Convolution, ReLU, normalisation, pooling."""

    def __init__(self, convolution: nn.Module, channels: int, pool: int = 2) -> None:
        super().__init__()
        self.convolution, self.norm, self.pool = convolution, nn.BatchNorm2d(channels, eps=_EPSILON), pool

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.norm(F.relu(self.convolution(x))), self.pool)


class _Inception(nn.Module):
    """1x1; 1x1 then 3x3; the same twice more with dilation 2 and 3.  widths: of the four branches."""

    def __init__(self, channels: int, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, widths[0], 1)
        self.reduce = nn.ModuleList(nn.Conv2d(channels, width, 1) for width in widths[1:])
        self.wide = nn.ModuleList(nn.Conv2d(width, width, 3, padding=gap, dilation=gap) for gap, width in enumerate(widths[1:], start=1))

    def forward(self, x: Tensor) -> Tensor:
        branches = [wide(F.relu(reduce(x))) for reduce, wide in zip(self.reduce, self.wide, strict=True)]
        return torch.cat([self.first(x), *branches], dim=1)


class MesoNet(nn.Module):
    """inception: MesoInception-4, else Meso-4.  [N, 3, 256, 256] in [0, 1] -> [N], high is real."""

    def __init__(self, *, inception: bool = False) -> None:
        super().__init__()
        if inception:
            first, second, channels = _Stage(_Inception(3, (1, 4, 4, 2)), 11), _Stage(_Inception(11, (2, 4, 4, 2)), 12), 12
        else:
            first, second, channels = _Stage(nn.Conv2d(3, 8, 3, padding=1), 8), _Stage(nn.Conv2d(8, 8, 5, padding=2), 8), 8
        third, fourth = _Stage(nn.Conv2d(channels, 16, 5, padding=2), 16), _Stage(nn.Conv2d(16, 16, 5, padding=2), 16, pool=4)
        self.stages = nn.Sequential(first, second, third, fourth)
        self.hidden, self.fc = nn.Linear(1024, 16), nn.Linear(16, 1)

    def forward(self, images: Tensor) -> Tensor:
        # Keras flattens with the channels last.
        features = self.stages(images).permute(0, 2, 3, 1).flatten(1)
        return self.fc(F.leaky_relu(self.hidden(features), 0.1)).squeeze(1)


def converted(network: nn.Module) -> Callable[[State], State]:
    """Keras's arrays by layer, in the order in which both frameworks made the layers, under PyTorch's names and axes."""
    layers: dict[str, list[str]] = {"conv2d": [], "batch_normalization": [], "dense": []}
    kinds = {nn.Conv2d: "conv2d", nn.BatchNorm2d: "batch_normalization", nn.Linear: "dense"}
    for name, module in network.named_modules():
        if type(module) in kinds:
            layers[kinds[type(module)]].append(name)
    layers["conv2d"].sort(key=_made)

    def convert(state: State) -> State:
        found: State = {}
        for kind, names in layers.items():
            theirs = sorted(
                {key.split("/")[0] for key in state if re.match(rf"{kind}_\d+/", key)}, key=lambda key: int(key.rsplit("_", 1)[1])
            )
            if len(theirs) != len(names):
                raise WeightsError(f"The file has {len(theirs)} layers called {kind}. Expected {len(names)}.")
            for ours, layer in zip(names, theirs, strict=True):
                for key, value in state.items():
                    if key.split("/")[0] == layer:
                        found[f"{ours}.{_PARTS[key.rsplit('/', 1)[1]]}"] = _turned(value)
        if len(found) != len(state):
            raise WeightsError(f"The file has {len(state)} arrays, and {len(found)} have a place. Expected Keras weights of MesoNet.")
        return found

    return convert


_PARTS = {
    "kernel:0": "weight", "bias:0": "bias", "gamma:0": "weight", "beta:0": "bias", "moving_mean:0": "running_mean",
    "moving_variance:0": "running_var",
}  # fmt: skip


def _turned(value: Tensor) -> Tensor:
    """[height, width, in, out] -> [out, in, height, width]; [in, out] -> [out, in]."""
    return value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T if value.ndim == 2 else value


def _made(name: str) -> tuple[int, int, int]:
    """Order of a convolution: by stage, then by branch, then 1x1 before 3x3."""
    stage = int(name.split(".")[1])
    branch = name.rsplit(".", 1)[1]
    return stage, int(branch) + 1 if branch.isdigit() else 0, int(".wide." in name)


def _build(inception: bool) -> Callable[[], MesoNet]:
    return lambda: MesoNet(inception=inception)


_RAW = "https://raw.githubusercontent.com/DariusAf/MesoNet/master/weights/"


def _record(name: str, title: str, trained_on: str, file: str, size: int, sha256: str) -> Published:
    inception = title == "MesoInception-4"
    return Published(
        name=name, title=title, paper="Afchar et al. 2018, WIFS, arXiv:1809.00888", code="https://github.com/DariusAf/MesoNet",
        licence="Apache-2.0", trained_on=trained_on, architecture=f"{title}, one output", millions=0.028,
        files=(WeightFile(file, "weights/ of the authors' repository", (_RAW + file,), size=size, sha256=sha256),), extra="peers",
        build=_build(inception), prepare=Input(resize=(256, 256), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), resampling="nearest"),
        output="logit-of-real", convert=converted(MesoNet(inception=inception)), compared=1e-5,
        note="Made for aligned faces of videos; on whole images it is outside of what it was made for",
    )  # fmt: skip


_DF, _F2F = "aligned faces of videos of the web, deepfakes and real", "faces of FaceForensics, Face2Face and real"

RECORDS = (
    _record("meso4-deepfakes", "Meso-4", _DF, "Meso4_DF.h5", 156_128, "036ed30d04ffd9c7506f825b97c86aa64915f5818931da96817b169aad790af5"),
    _record("meso4-face2face", "Meso-4", _F2F, "Meso4_F2F.h5", 156_128, "bcfda015d217b9f8d6557693edbdf9f4e79cfd22672541968dd0e2954462b5d7"),
    _record(
        "mesoinception4-deepfakes", "MesoInception-4", _DF, "MesoInception_DF.h5", 197_504,
        "234586d40058e76ef8b6f27ca4b63c06e31c2a5a69c0d8ba6f30b1468ab7bafa",
    ),
    _record(
        "mesoinception4-face2face", "MesoInception-4", _F2F, "MesoInception_F2F.h5", 197_504,
        "d4533ac8a3197dc35c47405d23d99e888c1d0135e267e03540c7451feaccff3f",
    ),
)  # fmt: skip
