"""``score_dataset``: bulk scoring in this process or on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cnndetect.bulk.cluster import score_on_ray
from cnndetect.bulk.parts import Parts, Run
from cnndetect.bulk.sources import find_units
from cnndetect.bulk.worker import Task, loaded
from cnndetect.errors import ProtocolError, lookup
from cnndetect.progress import bar
from cnndetect.scoring import BATCH_SIZE, PROTOCOL
from cnndetect.transforms.preprocess import PROTOCOLS

IMAGES_PER_PART = 512


@dataclass(frozen=True)
class Summary:
    """What a run came to."""

    out: str
    images: int
    """Rows of the folder, scored or failed."""
    failed: int
    found: int
    """Rows that were there before this run."""
    detector: str
    weights_sha256: str | None
    protocol: str


def score_dataset(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    detector: Any = None,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    device: str | None = None,
    backend: str = "auto",
    precision: str = "float32",
    protocol: str = PROTOCOL,
    batch_size: int = BATCH_SIZE,
    images_per_part: int = IMAGES_PER_PART,
    column: str | None = None,
    progress: bool = False,
) -> Summary:
    """Score more images than fit in memory, or on one machine, and write the scores as a folder of Parquet files.

    inputs: folders, image files, WebDataset tars, Parquet files with image bytes, patterns, or addresses of them that fsspec reads
    (s3://, gs://, memory://, ...).  out: a new folder or address. Columns: path, logit, fakeness, error, detector, weights_sha256,
    protocol. An image that fails keeps its row, with the reason in ``error`` and no logit.

    The same call continues an interrupted run. What is written is not scored again: a part of ``images_per_part`` images is lost at
    most, one for each worker.
    engine: "local", in this process; "ray", on the cluster that RAY_ADDRESS names, or on the cores of this machine.
    workers: tasks at once on Ray; None for one per core, or per GPU where the cluster has some.  detector, device, backend, precision,
    protocol, batch_size: as for ``score``.  column: of Parquet files.  progress: a bar on stderr.
    Raises LayoutError, ProtocolError, DataError.

    >>> import tempfile, PIL.Image
    >>> folder = tempfile.mkdtemp()
    >>> PIL.Image.new("RGB", (8, 8)).save(f"{folder}/a.png")
    >>> found = score_dataset(folder, f"{folder}/scores", detector=lambda batch: batch.mean((1, 2, 3)))
    >>> found.images, found.failed
    (1, 0)
    """
    if engine not in ("local", "ray"):
        raise ProtocolError(f"Got engine={engine!r}. Expected 'local' or 'ray'.")
    if images_per_part < 1:
        raise ProtocolError(f"Got images_per_part={images_per_part}. Expected a whole number >= 1.")
    lookup("protocol", PROTOCOLS, protocol)
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    units = find_units(given, images_per_part=images_per_part)
    ready = loaded(detector, device if engine == "local" else "cpu", backend, precision)
    run = Run(
        detector=ready.name,
        identity=ready.identity,
        weights_sha256=ready.weights_sha256,
        protocol=protocol,
        images_per_part=images_per_part,
        batch_size=batch_size,
        backend=backend,
        precision=precision,
    )
    parts = Parts(out)
    parts.prepare(run)
    left = parts.left_of(units)
    before, _ = parts.counts(parts.listed())
    task = Task(parts, run, detector, device, column)
    with bar(total=len(left), desc="score", unit="part", shown=progress) as shown:
        if engine == "ray":
            score_on_ray(left, task, workers, shown.update)
        else:
            for unit in left:
                task(unit)
                shown.update()
    parts.tidy()
    images, failed = parts.counts(parts.listed())
    return Summary(parts.out, images, failed, before, run.detector, run.weights_sha256, run.protocol)
