"""A run that was killed goes on as if nothing had happened: same weights to the bit, same log, nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from drawn_training_set import SMALL_CROP, draw_training_set, small_config
from safetensors.torch import load_file

from cnndetect.errors import DataError
from cnndetect.train import loop, run_state
from cnndetect.train.checkpoint import load_checkpoint, write_whole
from cnndetect.train.config import TrainConfig
from cnndetect.train.loop import train
from cnndetect.train.options import parse


class Killed(BaseException):
    """Stands in for a kill inside this process: nothing in the package may catch it."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_training_set(tmp_path_factory.mktemp("data"))


def _same_end(first: TrainConfig, second: TrainConfig) -> None:
    """Final weights, best weights, optimizer and log are equal to the bit; times may differ."""
    ends = [load_checkpoint(config.folder / "last.ckpt") for config in (first, second)]
    assert ends[0]["model"].keys() == ends[1]["model"].keys()
    assert all(torch.equal(value, ends[1]["model"][key]) for key, value in ends[0]["model"].items())
    for index, moments in ends[0]["optimizer"]["state"].items():
        assert all(torch.equal(value, ends[1]["optimizer"]["state"][index][key]) for key, value in moments.items())
    for key in ("epoch", "step", "plateau", "stop_reason"):
        assert ends[0][key] == ends[1][key]

    best = [load_file(config.folder / "best.safetensors") for config in (first, second)]
    assert all(torch.equal(value, best[1][key]) for key, value in best[0].items())
    rows = [[json.loads(line) for line in (config.folder / "log.jsonl").read_text().splitlines()] for config in (first, second)]
    timeless = [[{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in log] for log in rows]
    assert timeless[0] == timeless[1]
    records = [json.loads((config.folder / "record.json").read_text()) for config in (first, second)]
    assert records[0]["weights_sha256"] == records[1]["weights_sha256"]


def test_kill_9_in_the_middle_of_an_epoch(data: Path, tmp_path: Path) -> None:
    # The command line's own configuration, so that the killed process and this one do the same run.
    words = ["--data", str(data), "--arch", "tiny", "--init", "random", "--device", "cpu", "--threads", "1", "--lr", "0.01"]
    words += ["--recipe", "mini-blur-jpeg-0.5", "--crop-px", "24", "--batch-size", "2", "--max-epochs", "10"]
    words += ["--name", "run", "--out"]
    command = [sys.executable, "-m", "cnndetect.train", *words, str(tmp_path / "killed"), "--checkpoint-steps", "3"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    last = tmp_path / "killed" / "run" / "last.ckpt"
    deadline = time.monotonic() + 60
    while not last.exists() or (state := load_checkpoint(last))["epoch"] < 1 or state["step"] == 0:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    # The kill left the middle of an epoch; steps after the last checkpoint are lost and done again.
    state = load_checkpoint(last)
    assert 0 < state["step"] < 20 and state["epoch"] < 10

    killed, whole = (parse([*words, str(tmp_path / out)]) for out in ("killed", "whole"))
    train(killed)
    train(whole)
    _same_end(whole, killed)


@pytest.mark.parametrize("lives", [1, 4, 5, 6, 9, 14])
def test_a_kill_at_any_step(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives: int) -> None:
    whole = small_config(data, tmp_path / "whole", max_epochs=3)
    killed = replace(whole, out=tmp_path / "killed", checkpoint_steps=2)
    train(whole)

    # Killed again and again: every start makes a few steps.
    steps_left = 0
    true_step = loop._step

    def step_or_die(run: run_state.Run, batch: object) -> torch.Tensor:
        nonlocal steps_left
        steps_left -= 1
        if steps_left < 0:
            raise Killed
        return true_step(run, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_step", step_or_die)
    for start in range(40):
        # At least two steps after the first start, so that every start reaches a new checkpoint.
        steps_left = lives if start == 0 else max(lives, 2)
        try:
            train(killed)
            break
        except Killed:
            continue
    _same_end(whole, killed)


@pytest.mark.parametrize("moment", ["after best", "before the move", "after the checkpoint"])
def test_a_kill_at_the_end_of_an_epoch(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    whole = small_config(data, tmp_path / "whole", max_epochs=3)
    killed = replace(whole, out=tmp_path / "killed")
    train(whole)

    def die(*given: object, **options: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        if moment == "after best":
            patch.setattr(loop, "save", die)
        elif moment == "before the move":
            patch.setattr("cnndetect.files.os.replace", lambda part, path: die() if "last" in str(path) else part.rename(path))
        else:
            true_report, calls = loop._report, []
            patch.setattr(loop, "_report", lambda run: die() if calls.append(1) or len(calls) == 3 else true_report(run))
        train(killed)
    train(killed)
    _same_end(whole, killed)


def test_a_half_written_file_never_takes_the_place(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")

    def break_off(part: Path) -> None:
        part.write_text("ne")
        raise Killed

    with pytest.raises(Killed):
        write_whole(path, break_off)
    assert path.read_text() == "old"


def test_another_configuration_is_named(data: Path, tmp_path: Path) -> None:
    config = small_config(data, tmp_path, max_epochs=1)
    train(config)
    changed = replace(config, lr=0.02, augment=replace(SMALL_CROP, flip=False))
    with pytest.raises(DataError, match=r"augment.flip: True -> False; lr: 0.01 -> 0.02.*--rerun"):
        train(changed)
    train(changed, rerun=True)
    assert json.loads((config.folder / "record.json").read_text())["config"]["lr"] == 0.02


def test_changed_images_are_noticed(tmp_path: Path) -> None:
    root = draw_training_set(tmp_path / "data")
    config = small_config(root, tmp_path / "out", max_epochs=1)
    train(config)
    (root / "train" / "cat" / "0_real" / "000.png").unlink()
    with pytest.raises(DataError, match="data.train.classes.cat.real: 10 -> 9"):
        train(config)


def test_a_damaged_checkpoint_is_named(data: Path, tmp_path: Path) -> None:
    config = small_config(data, tmp_path, max_epochs=1)
    train(config)
    (config.folder / "last.ckpt").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(DataError, match="last.ckpt cannot be read.*--rerun"):
        train(config)


def test_a_finished_run_is_not_repeated_but_can_be_extended(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(data, tmp_path / "short", max_epochs=1)
    first = train(config)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_train_epoch", None)
        again = train(config)
    assert again.best == first.best and again.stop_reason == "max_epochs"

    longer, whole = replace(config, max_epochs=3), replace(config, out=tmp_path / "whole", max_epochs=3)
    train(longer)
    train(whole)
    _same_end(whole, longer)


def test_a_time_budget_ends_in_validated_weights(data: Path, tmp_path: Path) -> None:
    config = small_config(data, tmp_path, max_epochs=None, max_seconds=1e-6)
    record = train(config)
    # The budget is over before the first step: a limit that leaves nothing to keep.
    assert (record.stop_reason, record.epochs, record.weights_sha256) == ("max_seconds", 0, None)


def test_a_budget_in_the_middle_of_an_epoch(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small_config(data, tmp_path / "whole", max_epochs=2)
    train(whole)
    config = replace(whole, out=tmp_path / "cut", max_seconds=1000.0)
    clock = iter([0.0, 0.0, 0.0, 2000.0])
    with monkeypatch.context() as patch:
        patch.setattr(run_state.Run, "seconds", property(lambda run: next(clock, 2000.0)))
        record = train(config)
    assert record.stop_reason == "max_seconds" and record.epochs == 0 and record.max_seconds == 1000.0
    assert record.best["partial"] and 0 < record.best["steps"] < 5 and record.weights_sha256 is not None

    # With more time it goes on where it was cut, and ends in the same weights.
    train(replace(config, max_seconds=5000.0))
    ends = [load_checkpoint(c.folder / "last.ckpt")["model"] for c in (whole, config)]
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())
