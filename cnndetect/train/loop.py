"""The training loop. It writes OUT/NAME/{best.safetensors, last.ckpt, log.jsonl, record.json}."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from cnndetect.data.folders import Sample, spread
from cnndetect.data.test_only import refuse_test_images, refuse_test_samples
from cnndetect.detectors.run_record import RECORD, RunRecord
from cnndetect.errors import WeightsError, lookup
from cnndetect.files import sha256_of
from cnndetect.progress import bar, say
from cnndetect.train.architectures import ARCHITECTURES
from cnndetect.train.board import Board, open_board, summary_writer
from cnndetect.train.checkpoint import save_json, save_json_lines, save_weights
from cnndetect.train.conditions import validate_conditions
from cnndetect.train.config import TrainConfig, as_plain
from cnndetect.train.data import (
    Batch,
    Split,
    describe,
    load_splits,
    scan_split,
)
from cnndetect.train.distributed import agree, choose_device, join_world
from cnndetect.train.epochs import epoch_batches, epoch_order
from cnndetect.train.pairs import check_pairs, limit_pairs
from cnndetect.train.record import make_record
from cnndetect.train.run_state import BEST, LAST, LOG, Run, begin_epoch, save, start_or_resume
from cnndetect.train.stages import next_rate, set_training
from cnndetect.train.validate import autocast, to_network, validate


def train(config: TrainConfig, *, progress: bool = False, rerun: bool = False, grow: bool = False) -> RunRecord:
    """Train until the learning rate, the epochs or the seconds run out; continue where a killed run stopped.

    ``progress`` writes a bar and one line per epoch to stderr; ``rerun`` starts over; ``grow`` takes in classes that were
    added to the data since the run began.
    A finished run is not repeated, its record is returned.
    """
    started = time.monotonic()
    samples = check(config)
    with join_world(config.device) as world, torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        if config.pairs is not None:
            # Averages of vanishing weights become denormal numbers, which are slow on a CPU.
            torch.set_flush_denormal(True)
        if world.is_first:
            config.folder.mkdir(parents=True, exist_ok=True)
            if rerun:
                _forget(config.folder)
        agree(True, world)  # nobody looks for a checkpoint before the first process has cleared the folder

        run = start_or_resume(config, world, samples, started=started, grow=grow)
        run.stop_reason = _limit_reached(run)
        _report(run)
        if run.stop_reason is None:
            _train_to_the_end(run, samples, progress=progress and world.is_first)
        return make_record(run)


def check(config: TrainConfig) -> dict[str, tuple[Sample, ...]]:
    """Find every mistake that can be found before the slow part; returns the samples of both splits."""
    lookup("architecture", ARCHITECTURES, config.arch)
    choose_device(config.device)
    if config.tensorboard:
        summary_writer()
    if config.init not in ("imagenet", "random") and not Path(config.init).is_file():
        raise WeightsError(f"init={config.init!r} is no file. Expected 'imagenet', 'random' or a weights file.")
    for split in ("train", "val"):
        refuse_test_images(Path(config.data) / split, purpose="training")
    samples = {split: scan_split(Path(config.data), split, config.classes) for split in ("train", "val")}
    for found in samples.values():
        refuse_test_samples(found, purpose="training")
    limits = {"train": config.max_images, "val": config.max_val_images}
    if config.pairs is not None:
        return {split: limit_pairs(check_pairs(found), limits[split]) for split, found in samples.items()}
    return {split: spread(found, limits[split]) for split, found in samples.items()}


def plan(config: TrainConfig) -> str:
    """What ``train`` would do, without doing it: images, steps, options, begin or continue."""
    samples = check(config)
    counts = {split: describe(found) for split, found in samples.items()}
    words = [f"{split}: {count['real']} real, {count['fake']} fake" for split, count in counts.items()]
    state = "continues" if (config.folder / LAST).is_file() else "begins"
    split = Split(samples["train"], (None,) * len(samples["train"]), config.augment)
    steps = len(epoch_order(config, split, epoch=0))
    options = json.dumps(as_plain(config), indent=2, sort_keys=True)
    return "\n".join([*words, f"{steps} steps per epoch", f"{state} {config.folder}", options])


def _train_to_the_end(run: Run, samples: dict[str, tuple[Sample, ...]], *, progress: bool) -> None:
    splits = load_splits(samples, run.config.augment, cache_mb=run.config.cache_mb, progress=progress)
    with open_board(run.config, run.world) as board:
        while run.stop_reason is None:
            _train_epoch(run, splits["train"], progress=progress)
            _finish_epoch(run, splits["val"], board, progress=progress)


def _train_epoch(run: Run, split: Split, *, progress: bool) -> None:
    """Steps of the current epoch that are not done yet, with a checkpoint now and then."""
    config, world = run.config, run.world
    set_training(run.network, freeze_batchnorm=config.freeze_batchnorm)
    for group in run.optimizer.param_groups:
        group["lr"] = run.plateau.lr

    total = len(epoch_order(config, split, epoch=run.epoch, world_size=world.size))
    batches = epoch_batches(config, split, epoch=run.epoch, first_step=run.step, rank=world.rank, world_size=world.size)
    before, clock = run.seconds_in_epoch, time.monotonic()
    with bar(total=total, initial=run.step, desc=f"epoch {run.epoch}", unit="step", shown=progress) as shown:
        for batch in batches:
            run.loss_sum += _step(run, batch)
            run.images_seen += len(batch.labels)
            run.step += 1
            run.seconds_in_epoch = before + time.monotonic() - clock
            shown.update()
            if run.step < total and _out_of_time(run):
                run.stop_reason = "max_seconds"
                break
            if run.step < total and _checkpoint_due(run):
                save(run)


def _step(run: Run, batch: Batch) -> torch.Tensor:
    """One step of the optimiser; returns the summed loss of the images seen."""
    images = to_network(batch.images, run.config, run.world)
    labels = batch.labels.to(run.world.device)
    with autocast(run.config, run.world):
        logits = run.parallel(images)  # [N, 3, H, W] -> [N]
    loss_sum = binary_cross_entropy_with_logits(logits.float(), labels, reduction="sum")

    # Processes average their gradients: the scaled sum over a share becomes the mean over the global batch.
    run.optimizer.zero_grad(set_to_none=True)
    (loss_sum * (run.world.size / batch.global_size)).backward()
    run.optimizer.step()
    if run.average is not None:
        run.average.update_parameters(run.network)
    return loss_sum.detach().double()


def _finish_epoch(run: Run, split: Split, board: Board, *, progress: bool) -> None:
    """Validate, keep the weights if they are the best so far, move the learning rate, write it all down."""
    measure = validate_conditions if run.config.conditions else validate
    result = measure(run.kept, split, run.config, run.world)
    row = {
        "epoch": run.epoch,
        "partial": run.stop_reason is not None,
        "steps": run.step,
        "lr": run.plateau.lr,
        "train_loss": float(run.loss_sum) / max(run.images_seen, 1),
        **result.row(),
        "images_seen": run.images_total,
        "seconds": round(run.seconds_in_epoch, 3),
        "images_per_second": round(run.images_seen * run.world.size / max(run.seconds_in_epoch, 1e-9), 1),
    }
    run.history.append(row)

    # Strictly better than every epoch so far, also across falls of the learning rate.
    if run.best is None or result.rank > tuple(run.best["rank"]):
        run.best = {"rank": list(result.rank), "row": row, "sha256": _save_best(run)}

    # A partial epoch is continued when the run gets more time; only a whole one moves the learning rate.
    if run.stop_reason is None:
        run.plateau = next_rate(run.config, run.plateau, finished_epoch=run.epoch, score=result.accuracy)
        run.images_before = run.images_total
        run.epoch, run.step, run.images_seen, run.seconds_in_epoch = run.epoch + 1, 0, 0, 0.0
        begin_epoch(run)
        run.loss_sum.zero_()
        run.stop_reason = _limit_reached(run)

    # The checkpoint comes first: what is derived from it is written again on resume.
    save(run)
    _report(run)
    board.write(row)
    if progress:
        say(epoch_line(row))


def epoch_line(row: dict) -> str:
    """One line of fixed columns for one epoch."""
    return (
        f"epoch {row['epoch']:>3}  lr {row['lr']:.0e}  loss {row['train_loss']:.4f}  "
        f"val loss {row['val_loss']:.4f}  acc {row['val_accuracy']:.4f} "
        f"real {row['val_accuracy_real']:.3f} fake {row['val_accuracy_fake']:.3f}  ap {row['val_ap']:.4f}   "
        f"{row['seconds']:.0f} s  {row['images_per_second']:.0f} images/s"
        f"{'   (partial)' if row['partial'] else ''}"
    )


def _out_of_time(run: Run) -> bool:
    if run.config.max_seconds is None:
        return False
    return agree(run.seconds >= run.config.max_seconds, run.world)


def _limit_reached(run: Run) -> str | None:
    """Why the run is over at the end of an epoch; a limit that was raised since lets it go on."""
    if run.plateau.stopped:
        return "learning rate below stop_below_lr"
    if run.config.max_epochs is not None and run.epoch >= run.config.max_epochs:
        return "max_epochs"
    return "max_seconds" if _out_of_time(run) else None


def _checkpoint_due(run: Run) -> bool:
    steps = run.config.checkpoint_steps
    by_step = steps is not None and run.step % steps == 0
    return by_step or time.monotonic() - run.saved >= run.config.checkpoint_seconds


def _save_best(run: Run) -> str | None:
    if not run.world.is_first:
        return None
    path = run.config.folder / BEST
    save_weights(path, run.kept, note={"cnndetect": f"run {run.config.name}, epoch {run.epoch}"})
    return sha256_of(path)


def _report(run: Run) -> None:
    if run.world.is_first:
        save_json_lines(run.config.folder / LOG, run.history)
        save_json(run.config.folder / RECORD, make_record(run).as_json())


def _forget(folder: Path) -> None:
    for name in (LAST, BEST, LOG, RECORD):
        (folder / name).unlink(missing_ok=True)
