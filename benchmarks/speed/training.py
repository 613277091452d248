"""Images per second of a recipe's data pipeline alone, of its step alone and of both, and the profile that shows the limit.

    python benchmarks/speed/training.py --recipe wang2020-blur-jpeg-0.5 --workers 0 --workers 2
    python benchmarks/speed/training.py --data DATA --recipe mini-npr --crop-px 64 --trace trace.json
    python benchmarks/speed/training.py --recipe wang2020-blur-jpeg-0.5 --device cuda --amp bf16 --channels-last --workers 16

Images are decoded anew at every use (--cache-mb keeps them decoded), as in a training set that does not fit into memory.
Without --data, photographs of --size-px are drawn: smooth content and noise, so that their PNG files are as large as real ones.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.profiler import ProfilerActivity, profile, record_function

from cnndetect.images import open_image
from cnndetect.train.config import TrainConfig
from cnndetect.train.data import Batch, Split, load_splits, scan_split, train_batches
from cnndetect.train.distributed import World, choose_device
from cnndetect.train.loop import _step
from cnndetect.train.options import parse
from cnndetect.train.record import device_words
from cnndetect.train.run_state import Run, start_or_resume
from cnndetect.train.stages import set_training
from cnndetect.transforms.augment import AugmentConfig, apply, blur, draw, jpeg, resize

PREFETCHED = 2  # batches that a worker has ready; those are not timed


def draw_photographs(root: Path, *, size_px: int, count: int = 16) -> Path:
    """ROOT/{train,val}/drawn/{0_real,1_fake}: ``count`` images each in train, 2 in val."""
    rng = np.random.default_rng(0)
    for split, images in (("train", count), ("val", 2)):
        for label in ("0_real", "1_fake"):
            folder = root / split / "drawn" / label
            folder.mkdir(parents=True)
            for index in range(images):
                coarse = Image.fromarray(rng.integers(0, 256, (size_px // 16, size_px // 16, 3), dtype=np.uint8))
                smooth = np.asarray(coarse.resize((size_px, size_px), Image.Resampling.BICUBIC))
                noisy = smooth + rng.normal(0, 6, smooth.shape)
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
    return root


def enlarge(split: Split, images: int) -> Split:
    """The same samples again and again, until there are ``images``: one epoch is then long enough to time."""
    times = -(-images // len(split.samples))
    return Split(split.samples * times, split.cached * times, split.augment)


def batches_of(run: Run, split: Split, *, workers: int, count: int) -> Iterator[Batch]:
    """``count`` batches in steady state: what the workers had ready at the start is passed over first."""
    config, skipped = run.config, 1 + PREFETCHED * workers
    enough = enlarge(split, (count + skipped) * config.batch_size)
    batches = train_batches(
        enough, seed=0, epoch=0, batch_size=config.batch_size, first_step=0, rank=0, world_size=1, workers=workers, balance=config.balance
    )
    for _ in range(skipped):
        next(batches)
    for _ in range(count):
        yield next(batches)


def images_per_second(run: Run, batches: Iterator[Batch] | list[Batch], use: Callable[[Batch], Any]) -> float:
    """Take batch after batch and use it; the first one is not timed."""
    seen, started = 0, 0.0
    for number, batch in enumerate(batches):
        use(batch)
        if number == 0:
            _wait(run)
            started = time.perf_counter()
        else:
            seen += len(batch.labels)
    _wait(run)
    return round(seen / (time.perf_counter() - started), 2)


def milliseconds_per_image(split: Split, augment: AugmentConfig, *, images: int) -> dict[str, float]:
    """Processor time of each part of the pipeline by itself, on one core; blur and JPEG as often as the recipe draws them."""
    clock = dict.fromkeys(("decode", "resize", "blur", "jpeg", "rest"), 0.0)

    def timed(part: str, work: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = work()
        clock[part] += time.process_time() - started
        return result

    for index in range(images):
        sample = split.samples[index % len(split.samples)]
        image = timed("decode", lambda path=sample.path: open_image(path))
        array = timed("resize", lambda given=image: resize(given, augment.resize_px))
        choice = draw(augment, *array.shape[:2], rng=np.random.default_rng(index))
        if choice.sigma_px is not None:
            timed("blur", lambda a=array, sigma=choice.sigma_px: blur(a, sigma))
        if choice.quality is not None:
            timed("jpeg", lambda a=array, quality=choice.quality: jpeg(a, quality))
        plain = type(choice)(None, None, choice.top, choice.left, choice.flip, choice.colour)
        timed("rest", lambda a=array, c=plain: torch.from_numpy(apply(a, c, crop_px=augment.crop_px).transpose(2, 0, 1).copy()))
    return {part: round(1000 * seconds / images, 3) for part, seconds in clock.items()}


def profile_both(run: Run, split: Split, *, workers: int, count: int, trace: Path | None) -> dict[str, Any]:
    """Steps with their data under torch's profiler: share of time that waits for data, and the dearest operators."""
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if run.world.device.type == "cuda" else [])
    batches, waited, worked = batches_of(run, split, workers=workers, count=count), 0.0, 0.0
    with profile(activities=kinds) as found:
        while True:
            started = time.perf_counter()
            with record_function("training: wait for data"):
                batch = next(batches, None)
            waited += time.perf_counter() - started
            if batch is None:
                break
            started = time.perf_counter()
            with record_function("training: step"):
                _step(run, batch)
                _wait(run)
            worked += time.perf_counter() - started
    key = "self_device_time_total" if run.world.device.type == "cuda" else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=key, row_limit=15, max_name_column_width=48), file=sys.stderr)
    if trace is not None:
        found.export_chrome_trace(str(trace))
    rows = sorted((row for row in found.key_averages() if not row.key.startswith("training:")), key=lambda row: -getattr(row, key))
    total = sum(getattr(row, key) for row in rows) or 1
    return {
        "share_waiting_for_data": round(waited / (waited + worked), 3),
        "operators": [{"name": row.key, "share": round(getattr(row, key) / total, 3), "calls": row.count} for row in rows[:10]],
    }


def measure(config: TrainConfig, split: Split, run: Run, *, batches: int, workers: list[int], trace: Path | None) -> dict[str, Any]:
    """All figures of one recipe on this machine."""
    set_training(run.network, freeze_batchnorm=config.freeze_batchnorm)
    pipeline, both = {}, {}
    (fixed,) = batches_of(run, split, workers=0, count=1)
    step = images_per_second(run, [fixed] * (batches + 1), lambda batch: _step(run, batch))
    for count in workers:
        pipeline[str(count)] = images_per_second(run, batches_of(run, split, workers=count, count=batches + 1), lambda batch: None)
        both[str(count)] = images_per_second(run, batches_of(run, split, workers=count, count=batches + 1), lambda batch: _step(run, batch))
    parts = milliseconds_per_image(split, config.augment, images=max(32, 2 * config.batch_size))
    alone = 1000 / sum(parts.values())
    return {
        "recipe": config.recipe, "arch": config.arch, "device": device_words(run.world.device), "batch_size": config.batch_size,
        "crop_px": config.augment.crop_px, "amp": config.amp, "channels_last": config.channels_last,
        "threads": torch.get_num_threads(), "torch": torch.__version__,
        "images_per_second": {"step": step, "pipeline_by_workers": pipeline, "both_by_workers": both},
        "pipeline_ms_per_image_and_core": parts,
        "cores_to_feed_the_step": round(step / alone, 2),
        "limit": {count: "pipeline" if pipeline[count] < step else "step" for count in pipeline},
        "profile": profile_both(run, split, workers=workers[-1], count=max(3, min(batches, 8)), trace=trace),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Measure, print JSON; the profiler's table goes to stderr. Options that are not named here are those of the trainer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--data", type=Path, metavar="ROOT", help="folder with train/ and val/ (default: drawn photographs)")
    parser.add_argument("--size-px", type=int, default=256, help="of the drawn photographs (default %(default)s)")
    parser.add_argument("--batches", type=int, default=20, help="timed in each measurement (default %(default)s)")
    parser.add_argument("--workers", type=int, action="append", metavar="N", help="decoding processes, repeatable (default: 0)")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="also write a trace for chrome://tracing")
    options, words = parser.parse_known_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = options.data or draw_photographs(Path(folder) / "photographs", size_px=options.size_px)
        given = ["--data", str(root), "--name", "speed", "--out", folder, "--init", "random", "--cache-mb", "0", *words]
        config = parse(given)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        samples = {split: scan_split(root, split, ()) for split in ("train", "val")}
        split = load_splits({"train": samples["train"]}, config.augment, cache_mb=config.cache_mb)["train"]
        world = World(rank=0, size=1, device=choose_device(config.device))
        run = start_or_resume(config, world, samples, started=time.monotonic())
        found = measure(config, split, run, batches=options.batches, workers=options.workers or [0], trace=options.trace)
        print(json.dumps(found, indent=2))


def _wait(run: Run) -> None:
    # A GPU works on after the call has returned.
    if run.world.device.type == "cuda":
        torch.cuda.synchronize(run.world.device)


if __name__ == "__main__":
    main()
