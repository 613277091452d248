"""A trained resynthesiser, which paints photographs again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from cnndetect.errors import WeightsError
from cnndetect.files import write_whole
from cnndetect.images import list_images, open_image
from cnndetect.packing import unpacked
from cnndetect.zoo.loop import generator_for
from cnndetect.zoo.photographs.free_photos import encode_png
from cnndetect.zoo.registry import NOT_A_GENERATOR
from cnndetect.zoo.resynthesis.config import DrivenConfig
from cnndetect.zoo.resynthesis.model import Resynthesiser
from cnndetect.zoo.resynthesis.training import MODE, WEIGHTS


@dataclass(frozen=True)
class Painter:
    """A trained resynthesiser. The same photograph and seed give the same image."""

    network: Resynthesiser
    config: DrivenConfig
    step: int
    device: str = "cpu"
    # l1, energy and sharpness on its last training crops, where its log lies beside it
    quality: dict[str, float] = field(default_factory=dict)

    @torch.no_grad()
    def paint(self, images: np.ndarray, names: Sequence[str], *, disturbed: bool = False) -> np.ndarray:
        """Photographs uint8 [N, H, W, 3] and their names (the seed of any noise) -> uint8, the same shape.

        disturbed: change what the encoder says first, see ``disturb``.
        """
        batch = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
        batch = batch.to(self.device).contiguous(memory_format=torch.channels_last)
        height, width = batch.shape[2:]
        # Sides that are no multiple of the depth are filled up and cut off again.
        extra = (-width % self.network.depth, -height % self.network.depth)
        if any(extra):
            batch = F.pad(batch, (0, extra[0], 0, extra[1]), mode="replicate")
        if disturbed or self._is_random():
            painted = torch.cat(
                [
                    self.network(one[None], generator_for(self.config.seed, _number(name)), disturbed=disturbed)
                    for one, name in zip(batch, names, strict=True)
                ]
            )
        else:
            painted = self.network(batch, torch.Generator())
        pixels = ((painted.float() + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
        return pixels[:, :, :height, :width].permute(0, 2, 3, 1).cpu().numpy()

    def described(self) -> dict[str, object]:
        """Family, architecture, seed and mode, for a record."""
        decoder, config = self.network.decoder, self.config
        return {
            "family": config.family,
            "mode": MODE,
            "seed": config.seed,
            "steps": self.step,
            "quality": self.quality,
            "depth": self.network.depth,
            "architecture": decoder.described(config),
            "config": asdict(config),
            "weights": sum(value.numel() for value in decoder.parameters()),
        }

    def _is_random(self) -> bool:
        return bool(self.config.noise) or bool(self.network.decoder.random)


def load_painter(path: str | Path, *, device: str = "cpu") -> Painter:
    """Read a ``resynthesiser.pt``. Raises WeightsError where it is something else."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        if content["mode"] != MODE:
            raise KeyError("mode")
        described: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content["config"].items() if key != "start"
        }
        config = DrivenConfig(**described)
        network = Resynthesiser(config)
        network.load_state_dict({key: unpacked(value) for key, value in content["weights"].items()})
    except NOT_A_GENERATOR as error:
        raise WeightsError(
            f"{path} cannot paint photographs. Expected a {WEIGHTS} made by: cnndetect zoo train FAMILY --from photographs ({error})"
        ) from error
    network = cast(Resynthesiser, network.to(device=torch.device(device)).to(memory_format=torch.channels_last).eval())  # type: ignore[call-overload]
    return Painter(network, config, int(content["step"]), device, _last_line(Path(path).with_name("log.jsonl")))


def paint_folder(painter: Painter, photos: Path, out: Path) -> int:
    """Paint every image of a folder again, each under its own name as PNG, and return their number. What is there is kept."""
    files = list_images(photos)
    for file in files:
        path = (out / file.relative_to(photos)).with_suffix(".png")
        if not path.exists():
            painted = painter.paint(np.asarray(open_image(file))[None], [file.stem])[0]
            write_whole(path, encode_png(Image.fromarray(painted)), flush=False)
    write_record(painter, out / "record.json")
    return len(files)


def write_record(painter: Painter, path: Path, **more: object) -> None:
    """What is known of a painter, as JSON."""
    write_whole(path, json.dumps({**painter.described(), **more}, indent=1) + "\n")


def _last_line(log: Path) -> dict[str, float]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return {name: value for name, value in json.loads(lines[-1]).items() if name in ("l1", "energy", "sharpness")} if lines else {}


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:3], "big")
