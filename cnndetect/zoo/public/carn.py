"""nmhkahn/CARN-pytorch: CARN-M x4 (Ahn et al. 2018), super-resolution learnt without an adversary."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch

from cnndetect.zoo.public.generator import Make, PublicGenerator, import_file, reduced, to_pixels, to_tensor
from cnndetect.zoo.public.origins import Repository

_CODE, _OPERATIONS, _WEIGHTS = "carn/model/carn_m.py", "carn/model/ops.py", "checkpoint/carn_m.pth"


def _load(root: Path) -> Make:
    operations = import_file(root / _OPERATIONS)
    beside = {"model": SimpleNamespace(ops=operations), "model.ops": operations}
    network = import_file(root / _CODE, beside=beside).Net(multi_scale=True, group=4).eval()
    network.load_state_dict(torch.load(root / _WEIGHTS, map_location="cpu", weights_only=True))
    return lambda photo, index: to_pixels(network(to_tensor(reduced(photo)), 4))


GENERATOR = PublicGenerator(
    name="carn",
    origin=Repository(
        "nmhkahn/CARN-pytorch",
        "40d3514f81cccd680d846cd5ab07af35f2c8e0e2",
        (_CODE, _OPERATIONS, _WEIGHTS),
        "875caf18496120aadb3637dae6c69a32b2323279ad32fb45f3689e5547c11882",
    ),
    licence="MIT",
    what="CARN-M x4 (pixel shuffle, L1 loss only): 32 px become 128 px",
    load=_load,
)
