"""Two gloo processes on the CPU train the same network as one process at the same global batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from drawn_training_set import draw_training_set

from cnndetect.errors import ProtocolError
from cnndetect.train.__main__ import main
from cnndetect.train.checkpoint import load_checkpoint
from cnndetect.train.distributed import World, agree, batchnorm_kind, choose_device, gather


@pytest.mark.slow
def test_two_processes_equal_one_after_twenty_steps(tmp_path: Path) -> None:
    # 77 images: nine batches of 8 and one of 5, of which the processes get 3 and 2; two epochs are 20 steps.
    root = draw_training_set(tmp_path / "data", per_folder=39, classes=("cat",))
    (root / "train" / "cat" / "1_fake" / "000.png").unlink()
    words = ["--data", str(root), "--name", "run", "--arch", "tiny", "--init", "random", "--recipe", "mini-blur-jpeg-0.5"]
    words += ["--crop-px", "24", "--batch-size", "8", "--max-epochs", "2", "--device", "cpu", "--lr", "1e-3"]
    words += ["--freeze-batchnorm", "--threads", "1", "--out"]
    assert main([*words, str(tmp_path / "one")]) == 0

    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cnndetect.train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launcher, *words, str(tmp_path / "two")]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert finished.returncode == 0, finished.stderr

    one, two = (load_checkpoint(tmp_path / name / "run" / "last.ckpt") for name in ("one", "two"))
    assert (one["facts"]["processes"], two["facts"]["processes"]) == (1, 2)
    assert sum(row["steps"] for row in two["history"]) == 20
    for key, value in one["model"].items():
        torch.testing.assert_close(two["model"][key], value, rtol=0, atol=1e-5)

    # Validation is shared out too, and every process sees all of its figures.
    for ours, theirs in zip(one["history"], two["history"], strict=True):
        assert theirs["val_ap"] == pytest.approx(ours["val_ap"], abs=1e-6)
        assert theirs["val_loss"] == pytest.approx(ours["val_loss"], abs=1e-5)
    record = json.loads((tmp_path / "two" / "run" / "record.json").read_text())
    assert (record["processes"], record["batchnorm"], record["epochs"]) == (2, "frozen", 2)


def test_one_process_needs_no_group() -> None:
    alone = World(rank=0, size=1, device=torch.device("cpu"))
    assert gather({"a": 1}, alone) == [{"a": 1}]
    assert agree(True, alone) and not agree(False, alone)


def test_the_record_says_what_batch_norm_saw() -> None:
    def kind(size: int, device: str, frozen: bool = False) -> str:
        return batchnorm_kind(World(rank=0, size=size, device=torch.device(device)), freeze_batchnorm=frozen)

    assert kind(1, "cpu") == "over the batch"
    assert kind(2, "cpu") == "over 1/2 of the global batch"
    assert kind(2, "cuda") == "over the global batch"
    assert kind(2, "cpu", frozen=True) == "frozen"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(ProtocolError, match="--device cpu"):
        choose_device("cuda")
    with pytest.raises(ProtocolError, match="Expected auto, cpu"):
        choose_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto", local_rank=3) == torch.device("cuda", 3)
    assert choose_device("cuda:1", local_rank=3) == torch.device("cuda", 1)
