"""The makers of one family's fakes in a suite: a trained generator, or decoders that paint photographs again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from cnndetect.images import open_image
from cnndetect.zoo.registry import Generator
from cnndetect.zoo.resynthesis.painter import Painter
from cnndetect.zoo.resynthesis.training import MODE


class Maker(Protocol):
    """family: name of the family.  needs_photo: whether a fake starts from a photograph."""

    @property
    def family(self) -> str: ...
    @property
    def needs_photo(self) -> bool: ...
    def make(self, index: int, seed: int, file: Path | None) -> np.ndarray:
        """Fake number ``index``, uint8 [128, 128, 3], made of the image in ``file`` where it needs one."""

    def record(self) -> dict[str, object]:
        """What is known of the weights, for record.json. mode: "noise", "translation" or "resynthesised"."""


@dataclass(frozen=True)
class Made:
    """A generator of the registry, from noise or from a photograph."""

    generator: Generator

    @property
    def family(self) -> str:
        return self.generator.family.name

    @property
    def needs_photo(self) -> bool:
        return self.generator.family.kind != "unconditional"

    def make(self, index: int, seed: int, file: Path | None) -> np.ndarray:
        return self.generator.fake(index, seed=seed, photo=None if file is None else np.asarray(open_image(file)))

    def record(self) -> dict[str, object]:
        mode = "translation" if self.needs_photo else "noise"
        return {"family": self.family, "mode": mode, "config": asdict(self.generator.config)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class Painted:
    """Decoders of one family that paint photographs again, in turns."""

    painters: tuple[Painter, ...]

    @property
    def family(self) -> str:
        return self.painters[0].config.family

    @property
    def needs_photo(self) -> bool:
        return True

    def make(self, index: int, seed: int, file: Path | None) -> np.ndarray:
        assert file is not None
        return self.painters[index % len(self.painters)].paint(np.array(open_image(file))[None], [f"{seed}/{file.stem}"])[0]

    def record(self) -> dict[str, object]:
        return {"family": self.family, "mode": MODE, "decoders": [painter.described() for painter in self.painters]}
