"""Write the epoch log as TensorBoard curves where --tensorboard is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cnndetect.errors import ProtocolError
from cnndetect.train.config import TrainConfig
from cnndetect.train.distributed import World


class Board:
    """Writes the numbers of a row as curves over epochs, or nowhere."""

    def __init__(self, writer: Any = None) -> None:
        self.writer = writer

    def write(self, row: dict[str, Any]) -> None:
        """Add one point per number of the row."""
        if self.writer is None:
            return
        for key, value in row.items():
            if key not in ("epoch", "partial"):
                self.writer.add_scalar(key, value, row["epoch"])
        self.writer.flush()


@contextmanager
def open_board(config: TrainConfig, world: World) -> Iterator[Board]:
    """A board in OUT/NAME/tensorboard for the first process, when asked for."""
    if not (config.tensorboard and world.is_first):
        yield Board()
        return
    writer = summary_writer()(str(config.folder / "tensorboard"))
    try:
        yield Board(writer)
    finally:
        writer.close()


def summary_writer() -> Any:
    """torch's SummaryWriter class; an error with the next step when TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ProtocolError(
            "--tensorboard needs a package that is not installed. Run: pip install tensorboard "
            "(or leave the flag out; log.jsonl holds the same numbers)."
        ) from error
    return SummaryWriter
