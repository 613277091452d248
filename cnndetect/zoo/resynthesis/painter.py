"""A trained resynthesiser: photographs in, the same photographs painted again out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F

from cnndetect.errors import WeightsError
from cnndetect.zoo.loop import generator_for
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

    @torch.no_grad()
    def paint(self, images: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Photographs uint8 [N, H, W, 3] and their names (the seed of any noise) -> uint8, the same shape."""
        batch = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
        batch = batch.to(self.device).contiguous(memory_format=torch.channels_last)
        height, width = batch.shape[2:]
        # Sides that are no multiple of the depth are filled up and cut off again.
        extra = (-width % self.network.depth, -height % self.network.depth)
        if any(extra):
            batch = F.pad(batch, (0, extra[0], 0, extra[1]), mode="replicate")
        if self._is_random():
            painted = torch.cat(
                [self.network(one[None], generator_for(self.config.seed, _number(name))) for one, name in zip(batch, names, strict=True)]
            )
        else:
            painted = self.network(batch, torch.Generator())
        pixels = ((painted.float() + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
        return pixels[:, :, :height, :width].permute(0, 2, 3, 1).cpu().numpy()

    def described(self) -> dict[str, object]:
        """Family, architecture, seed and mode, for a record."""
        architecture = self.network.decoder.described() if hasattr(self.network.decoder, "described") else {}
        return {
            "family": self.config.family, "mode": MODE, "seed": self.config.seed, "steps": self.step, "depth": self.network.depth,
            "architecture": architecture or {key: getattr(self.config, key) for key in ("start_px", "channels", "slope", "first_kernel", "fade", "noise")},
            "config": asdict(self.config),
            "weights": sum(value.numel() for value in self.network.decoder.parameters()),
        }  # fmt: skip

    def _is_random(self) -> bool:
        return bool(self.config.noise) or bool(self.network.decoder.random)


def load_painter(path: str | Path, *, device: str = "cpu") -> Painter:
    """Read a ``resynthesiser.pt``. Raises WeightsError where it is something else."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        if content["mode"] != MODE:
            raise KeyError("mode")
        described = {key: tuple(value) if isinstance(value, list) else value for key, value in content["config"].items() if key != "start"}
        config = DrivenConfig(**described)
        network = Resynthesiser(config)
        network.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in content["weights"].items()})
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
        raise WeightsError(
            f"{path} cannot paint photographs. Expected a {WEIGHTS} made by: cnndetect zoo train FAMILY --from photographs ({error})"
        ) from error
    network = cast(Resynthesiser, network.to(device, memory_format=torch.channels_last).eval())
    return Painter(network, config, int(content["step"]), device)


def write_record(painter: Painter, path: Path, **more: object) -> None:
    """What is known of a painter, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**painter.described(), **more}, indent=1) + "\n", encoding="utf-8")


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:3], "big")
