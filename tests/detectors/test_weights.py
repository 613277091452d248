"""Weights files: what is read, what is refused and by which words, and when a registered file is checked again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cnndetect.detectors.records import WeightsRecord
from cnndetect.detectors.weights import fit_state, load_state, registered_file
from cnndetect.errors import WeightsError
from cnndetect.files import sha256_of


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def record(name: str, sha256: str) -> WeightsRecord:
    return WeightsRecord(
        name=name,
        file=f"{name}.safetensors",
        sha256=sha256,
        threshold_logit=0.5,
    )


@pytest.mark.parametrize("name", ["a.safetensors", "b.pt", "c.pth", "D.PTH", "E.SafeTensors"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_kind_of_file_gives_float32(tmp_path, name, dtype) -> None:
    state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in small().state_dict().items()}
    if name.lower().endswith("safetensors"):
        save_file(state, tmp_path / name)
    else:
        torch.save({"model": state, "optimizer": {"state": {}}, "total_steps": 5} if name == "c.pth" else state, tmp_path / name)
    found = load_state(tmp_path / name)
    assert found.keys() == state.keys()
    for key, value in found.items():
        assert value.dtype == (torch.int64 if key.endswith("tracked") else torch.float32)
        assert torch.equal(value, state[key].to(value.dtype))


def test_a_fit_copies_every_entry_and_changes_nothing_on_refusal() -> None:
    source, target = small(), small()
    fit_state(target, source.state_dict(), source="file.pth")
    assert all(torch.equal(target.state_dict()[key], value) for key, value in source.state_dict().items())

    before = {key: value.clone() for key, value in target.state_dict().items()}
    state = {**source.state_dict(), "0.bias": torch.zeros(9), "extra": torch.zeros(1)}
    del state["1.running_mean"]
    with pytest.raises(WeightsError) as caught:
        fit_state(target, state, source="file.pth")
    for words in ("file.pth does not fit", "Missing (1): ['1.running_mean']", "Unexpected (1): ['extra']", "0.bias (9,) instead of (2,)"):
        assert words in str(caught.value)
    assert all(torch.equal(target.state_dict()[key], value) for key, value in before.items())


def test_old_files_without_batch_counters_fit() -> None:
    state = {key: value for key, value in small().state_dict().items() if not key.endswith("num_batches_tracked")}
    fit_state(small(), state, source="old.pth")


@pytest.mark.parametrize("content", [[1, 2], {}, {"model": {}}, {"model": {"epoch": 3}}, {"model": torch.zeros(2)}])
def test_what_is_no_state_is_refused(tmp_path, content) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match="odd.pth holds no state dict"):
        load_state(tmp_path / "odd.pth")


def test_a_cut_file_is_refused(tmp_path) -> None:
    save_file(small().state_dict(), tmp_path / "cut.safetensors")
    torch.save(small().state_dict(), tmp_path / "cut.pth")
    for name in ("cut.safetensors", "cut.pth"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(WeightsError, match=f"{name} cannot be read as weights"):
            load_state(path)
    with pytest.raises(WeightsError, match="does not exist"):
        load_state(tmp_path)


def test_a_registered_file_is_checked_again_when_it_changes(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CNNDETECT_WEIGHTS", str(tmp_path))
    path = tmp_path / "demo.safetensors"
    path.write_bytes(b"first content")
    known = record("demo", hashlib.sha256(b"first content").hexdigest())
    assert registered_file(known) == path

    # Unchanged, the file is not read a second time.
    with monkeypatch.context() as patched:
        patched.setattr("cnndetect.files.hashlib.file_digest", lambda *of: pytest.fail("read again"))
        assert registered_file(known) == path

    path.write_bytes(b"other content")  # the same length, another time
    os.utime(path, ns=(1, 1))
    with pytest.raises(WeightsError, match="demo.safetensors has SHA-256 .* Expected"):
        registered_file(known)
    path.unlink()
    with pytest.raises(WeightsError, match="Install the package again"):
        registered_file(known)


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path) -> None:
    content = bytes(range(256)) * 5000  # more than one block
    Path(tmp_path / "x").write_bytes(content)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(content).hexdigest()
