"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import onnxruntime
import torch
from torch import Tensor


def onnxruntime_engine(model: bytes) -> Callable[[Tensor], Tensor]:
    """A function float32 [N, 3, H, W] -> float32 [N] that runs an ONNX model of any size on as many threads as torch has."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; its warnings are about shapes, and come in colour
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait would take the processor from those that decode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the largest buffers of every size it has seen.
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.contiguous().numpy()})[0])

    return run
