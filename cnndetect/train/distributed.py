"""Distributed training under torchrun: the rank of this process, its device, and the collective operations. One process needs none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from cnndetect.errors import ProtocolError


@dataclass(frozen=True)
class World:
    """Which process this is, out of how many, and the device it owns."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """The process that writes files and prints."""
        return self.rank == 0


@contextmanager
def join_world(device: str) -> Iterator[World]:
    """Join the other processes of a torchrun (gloo on CPU, nccl on GPU); alone when there are none."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
    if size == 1:
        yield World(rank=0, size=1, device=chosen)
        return

    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield World(rank=distributed.get_rank(), size=distributed.get_world_size(), device=chosen)
    finally:
        distributed.destroy_process_group()


def choose_device(device: str, *, local_rank: int = 0) -> torch.device:
    """'auto' takes a GPU when there is one; anything else is taken at its word or refused.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ProtocolError(f"Unknown device {device!r}. Expected auto, cpu, cuda or cuda:N.") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ProtocolError(f"Device {device!r} was asked for, but torch sees no GPU. Use --device cpu or auto.")
    return torch.device("cuda", local_rank) if chosen.type == "cuda" and chosen.index is None else chosen


def share_gradients(network: nn.Module, world: World, *, freeze_batchnorm: bool) -> nn.Module:
    """Let all processes step together; on GPU batch norm looks at the global batch (torch cannot on CPU)."""
    if world.size == 1:
        return network
    if world.device.type == "cuda" and not freeze_batchnorm:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    ids = [world.device.index] if world.device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=ids)


def batchnorm_kind(world: World, *, freeze_batchnorm: bool) -> str:
    """What the record says about batch norm: it is the one thing that more processes may change."""
    if freeze_batchnorm:
        return "frozen"
    if world.size == 1:
        return "over the batch"
    return "over the global batch" if world.device.type == "cuda" else f"over 1/{world.size} of the global batch"


def gather(value: Any, world: World) -> list[Any]:
    """The value of every process, by rank, in every process."""
    if world.size == 1:
        return [value]
    values: list[Any] = [None] * world.size
    distributed.all_gather_object(values, value)
    return values


def agree(decision: bool, world: World) -> bool:
    """What the first process decided, in every process."""
    if world.size == 1:
        return decision
    flag = torch.tensor([int(decision)], device=world.device)
    distributed.broadcast(flag, src=0)
    return bool(flag.item())
