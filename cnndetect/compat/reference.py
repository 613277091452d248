"""What the original commands share: how they name a checkpoint, and the four figures that they print."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from cnndetect.detectors.base import Detector
from cnndetect.detectors.official import official_names
from cnndetect.detectors.registry import load
from cnndetect.errors import ProtocolError
from cnndetect.metrics import accuracy_at, average_precision, impute_failures
from cnndetect.transforms.preprocess import PROTOCOLS, Protocol

DEFAULT_MODEL = "weights/blur_jpg_prob0.5.pth"

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class ReferenceFigures:
    """What the original validation prints, as fractions: average precision and accuracy at a probability above 0.5."""

    ap: float
    accuracy: float
    accuracy_real: float
    accuracy_fake: float


def reference_figures(labels: Sequence[int] | np.ndarray, logits: Sequence[float] | np.ndarray) -> ReferenceFigures:
    """The figures of the original code: it ranks by the float32 sigmoid, so that logits above 17 tie.

    labels: [N] of 0/1.  logits: [N], NaN for an image that failed; it counts at its worst.  Raises MetricError.

    >>> reference_figures([0, 1, 1], [-2.0, 3.0, -0.5])
    ReferenceFigures(ap=1.0, accuracy=0.6666666666666666, accuracy_real=1.0, accuracy_fake=0.5)
    """
    y = np.asarray(labels)
    probability = torch.from_numpy(np.asarray(logits, dtype=np.float32)).sigmoid().double().numpy()
    ranked = impute_failures(y, probability, np.isnan(probability))
    real, fake = accuracy_at(y, ranked, 0.5)
    accuracy = (real * (y == 0).sum() + fake * (y == 1).sum()) / len(y)
    return ReferenceFigures(average_precision(y, ranked), float(accuracy), real, fake)


def load_model(model_path: str, *, use_cpu: bool = False) -> Detector:
    """The detector of ``-m``: a weights file, or a checkpoint of the authors under its file name once it was fetched.

    ``weights/blur_jpg_prob0.5.pth`` need not exist: its name is enough. Raises WeightsError, UnknownNameError.
    """
    path, device = Path(model_path), "cpu" if use_cpu else None
    stem = path.name.removesuffix(".pth")
    return load(stem if not path.exists() and stem in official_names() else model_path, device=device)


def crop_protocol(crop_px: int | None) -> Protocol:
    """The protocol of ``-c``: the whole image, or the middle square of this size.

    >>> crop_protocol(224).name, crop_protocol(96).crop_px, crop_protocol(None).name
    ('crop224', 96, 'nocrop')
    """
    if crop_px is None:
        return PROTOCOLS["nocrop"]
    if crop_px < 1:
        raise ProtocolError(f"-c got {crop_px}. Expected the side of a square, 1 pixel or more.")
    return Protocol(f"crop{crop_px}", crop_px)


def ahead(function: Callable[[In], Out], items: Sequence[In], *, workers: int) -> Iterator[Out]:
    """``map`` in threads, in order, few results ahead; without threads for ``workers=0``.

    >>> list(ahead(abs, [-1, 2], workers=2))
    [1, 2]
    """
    if workers < 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Out]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
