"""Engines that compute a detector's logits faster than torch does.

| backend     | float32                       | bfloat16             | int8 | installed with          |
|-------------|-------------------------------|----------------------|------|-------------------------|
| torch       | the reference                 | autocast             | no   | cnndetect               |
| onnxruntime | torch's within 1e-4           | no                   | yes  | cnndetect               |
| openvino    | torch's within 1e-4           | yes                  | yes  | cnndetect[openvino]     |
| compile     | torch's within 1e-4           | no                   | no   | a C++ compiler          |

``auto`` takes the first of PRECISIONS that is installed and has the network's operations. In float32 its logits are compared
with torch's on two fixed images when it is loaded, and torch takes its place where they differ by more than 1e-4. On a GPU, and
for a detector that is not a torch module, it is torch. What bfloat16 and int8 cost in average precision is in docs/performance.md.
"""

from __future__ import annotations

from cnndetect.backends.choose import BACKENDS, EXACT, PRECISIONS, accelerated
from cnndetect.backends.export import Exported, export_onnx

__all__ = ["BACKENDS", "EXACT", "PRECISIONS", "Exported", "accelerated", "export_onnx"]
