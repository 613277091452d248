"""Checkpoints of a run: a file on disk is always complete, the old one or the new one."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes
from torch import nn

from cnndetect.errors import DataError
from cnndetect.files import write_whole


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; ``load_checkpoint`` reads them without running code from the file."""
    write_whole(path, lambda temporary: torch.save(state, temporary))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """State written by ``save_checkpoint``, on the CPU."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"The checkpoint {path} cannot be read ({error}). Restore it, or start over with --rerun.") from error


def save_weights(path: Path, network: nn.Module, *, note: dict[str, str]) -> None:
    """Weights as safetensors, fp32, with a few words of where they come from."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    write_whole(path, safetensors_bytes(state, metadata=note))


def save_json(path: Path, value: Any) -> None:
    """One JSON document with sorted keys."""
    write_whole(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def save_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """One JSON object per line, all lines anew, so that a replayed epoch is never in the file twice."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_whole(path, text)
