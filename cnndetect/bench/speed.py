"""How many images a detector scores in a second: measured by a command, stored as a record, never estimated."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from cnndetect.detectors.base import Detector
from cnndetect.errors import DataError, ProtocolError
from cnndetect.files import read_record, versions, write_json
from cnndetect.paths import SPEEDS
from cnndetect.transforms.preprocess import normalize


class Speed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measurement. On a CPU a second is a second of one core, so that other programs do not change the figure."""

    detector: str
    identity: str | None
    """What proves which weights were timed; see Detector."""
    device: str
    """cpu or cuda."""
    processor: str
    """Model of the processor or of the GPU."""
    size: int
    """Side of the square images in pixels."""
    batch: int
    """Images in a batch."""
    images: int
    """Images that were timed, the first batch left out."""
    seconds: float
    """CPU seconds of one thread; on a GPU, seconds of the clock."""
    parameters: int | None
    """Numbers in the network's parameters; None where the network is a plain function."""
    versions: dict[str, str]
    """Of Python and of the packages that compute."""
    time: str
    """When it was measured, UTC."""

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds


def measure_speed(detector: Detector, *, size: int = 256, batch: int = 8, seconds: float = 5.0) -> Speed:
    """Time a detector on drawn images, everything after decoding included: preparation, network, one logit each.

    size: side in pixels.  seconds: how long to measure at least, after one batch that is not timed.
    Raises ProtocolError for a size, a batch or a time that is not positive.

    >>> mean = Detector("mean", lambda images: images.mean(dim=(1, 2, 3)))
    >>> measure_speed(mean, size=16, batch=2, seconds=0.001).images_per_second > 0
    True
    """
    if size < 1 or batch < 1 or seconds <= 0:
        raise ProtocolError(f"Got size={size}, batch={batch}, seconds={seconds}. Expected positive numbers.")
    device = torch.device(detector.device).type
    images = _drawn(size, batch)
    with _one_thread():
        detector.logits(images)
        count, start = 0, _now(device)
        while (taken := _now(device) - start) < seconds:
            detector.logits(images)
            count += batch
    return Speed(
        detector=detector.name,
        identity=detector.identity,
        device=device,
        processor=_processor(device),
        size=size,
        batch=batch,
        images=count,
        seconds=taken,
        parameters=parameters_of(detector.network),
        versions=versions(),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def parameters_of(network: object) -> int | None:
    """Numbers in the parameters of a network, None for a plain function.

    >>> parameters_of(nn.Linear(3, 1))
    4
    """
    return sum(one.numel() for one in network.parameters()) if isinstance(network, nn.Module) else None


def keep_speed(root: str | Path, speed: Speed) -> Path:
    """Write a measurement to ``ROOT/speed/DETECTOR.DEVICE.json``; the newer one replaces the older."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", speed.detector)
    path = Path(root) / SPEEDS / f"{name}.{speed.device}.json"
    write_json(path, speed)
    return path


def read_speeds(root: str | Path, *, device: str = "cpu") -> dict[tuple[str, str | None], Speed]:
    """(detector, identity) -> its measurement, of one kind of device. Raises DataError for a damaged file."""
    found = {}
    for path in sorted((Path(root) / SPEEDS).glob(f"*.{device}.json")):
        speed = read_record(path, Speed, what="a measured speed", advice="Measure it again with: cnndetect detectors speed.")
        if not speed.seconds > 0:
            raise DataError(f"{path} says {speed.seconds} seconds. Expected a positive number; measure it again.")
        found[speed.detector, speed.identity] = speed
    return found


def _drawn(size: int, batch: int) -> Tensor:
    pixels = torch.randint(0, 256, (batch, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return normalize(pixels)


def _now(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _processor(device: str) -> str:
    if device != "cpu":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
