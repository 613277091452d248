"""Batches on their way to the network: stacked and normalised, on a GPU copied while the batch before is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from cnndetect.scoring.loader import Loaded
from cnndetect.transforms.preprocess import normalize


def staged(batches: Iterable[list[Loaded]], device: str) -> Iterator[tuple[list[Loaded], Tensor | None]]:
    """Each batch with its images, float32 [N, 3, H, W] on the device; None for an image that could not be loaded.

    On a GPU one batch is ahead: it is copied as bytes from pinned memory, on a stream of its own, while the batch before it is
    computed. Its images are channels last there.
    """
    if torch.device(device).type != "cuda":
        for batch in batches:
            yield batch, None if batch[0].error is not None else stacked(batch)
        return
    copies = torch.cuda.Stream(device)
    waiting: tuple[list[Loaded], _Sent | None] | None = None
    for batch in batches:
        following = (batch, None if batch[0].error is not None else _sent(batch, device, copies))
        if waiting is not None:
            yield waiting[0], _arrived(waiting[1])
        waiting = following
    if waiting is not None:
        yield waiting[0], _arrived(waiting[1])


def stacked(batch: list[Loaded]) -> Tensor:
    """uint8 [H, W, 3] each -> normalised float32 [N, 3, H, W]."""
    pixels = torch.from_numpy(np.stack([one.array for one in batch]))  # [N, H, W, 3]
    return normalize(pixels.permute(0, 3, 1, 2).contiguous())


# uint8 [N, H, W, 3] on its way, and what happens when it has arrived.
_Sent = tuple[Tensor, "torch.cuda.Event"]


def _sent(batch: list[Loaded], device: str, copies: torch.cuda.Stream) -> _Sent:
    """Start the copy of a batch. torch keeps the pinned memory until it is done."""
    pinned = torch.empty((len(batch), *batch[0].array.shape), dtype=torch.uint8, pin_memory=True)
    np.stack([one.array for one in batch], out=pinned.numpy())
    with torch.cuda.stream(copies):
        return pinned.to(device, non_blocking=True), copies.record_event()


def _arrived(sent: _Sent | None) -> Tensor | None:
    """Normalised float32 [N, 3, H, W], once the copy is done."""
    if sent is None:
        return None
    pixels, done = sent
    current = torch.cuda.current_stream(pixels.device)
    current.wait_event(done)
    pixels.record_stream(current)
    return normalize(pixels.permute(0, 3, 1, 2))
