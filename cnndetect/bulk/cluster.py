"""Bulk scoring on Ray Data: one row per unit, one task per block of units.

Only the names of images travel through Ray. The task reads, decodes and scores them where it runs, and writes its parts itself, so the
object store holds no pixels. Tasks have no state: when a worker or a machine dies, Ray runs its tasks elsewhere, and what they had
written is found and left as it is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from cnndetect.bulk.sources import Unit
from cnndetect.bulk.worker import Task
from cnndetect.errors import CnndetectError, DataError

# Each block of units is a task; more blocks than this cost the scheduler more than they even out.
_MOST_BLOCKS = 5000


def score_on_ray(units: Sequence[Unit], task: Task, workers: int | None, advance: Callable[[int], object]) -> None:
    """Score the units on the cluster that RAY_ADDRESS names, or on the cores of this machine.

    workers: tasks at once; None for as many as there is room for.  advance: told the number of units that were finished.
    Raises DataError with the first error that is not an image's.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise DataError(f"Ray is not installed ({error}). Get it with: python -m pip install 'cnndetect[ray]'") from error
    if not units:
        return
    started = not ray.is_initialized()
    if started:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = 0
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        rows = [{"unit": msgspec.json.encode(unit)} for unit in units]
        data = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS))
        gpus = 1.0 if _wants_gpu(task, ray.cluster_resources()) else None
        scored = data.map(_Mapped(task), num_cpus=1, num_gpus=gpus, concurrency=workers)
        for row in scored.iter_rows():
            if row["error"]:
                raise DataError(row["error"])
            advance(1)
    finally:
        if started:
            ray.shutdown()


def _wants_gpu(task: Task, resources: dict[str, Any]) -> bool:
    return task.device.startswith("cuda") if task.device else resources.get("GPU", 0) >= 1


class _Mapped:
    """The function that Ray calls for each row."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.__name__ = "score_unit"

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        try:
            self.task(msgspec.json.decode(row["unit"], type=Unit))
        except CnndetectError as error:
            return {"error": str(error) or type(error).__name__}
        return {"error": ""}
