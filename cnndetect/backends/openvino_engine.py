"""OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import openvino
import torch
from torch import Tensor

# Kernels that are kept for sizes seen before, some fifty for each size; every entry costs memory.
KERNELS_KEPT = 1000


def openvino_engine(model: bytes, *, bfloat16: bool = False) -> Callable[[Tensor], Tensor]:
    """A function float32 [N, 3, H, W] -> float32 [N] that runs an ONNX model of any size on as many threads as torch has."""
    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "CPU_RUNTIME_CACHE_CAPACITY": KERNELS_KEPT,
    }
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()

    def run(images: Tensor) -> Tensor:
        logits = request.infer({0: images.contiguous().numpy()}, share_inputs=True)[0]
        return torch.from_numpy(logits.copy())

    return run
