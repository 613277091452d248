"""Official weights: fetched on request from a server on loopback, proved, stripped, loaded by name; refusals that say what to do."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from official_checkpoint import random_resnet50, save_official
from safetensors import safe_open

from cnndetect.detectors import official, registry
from cnndetect.detectors.__main__ import main
from cnndetect.detectors.official import OFFICIAL, fetch_official, find_official, is_fetched, recognise
from cnndetect.errors import DownloadError, ProtocolError, WeightsError

NAME, STEM = "wang2020-blur-jpg-0.1", "blur_jpg_prob0.1"


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return random_resnet50()


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory) -> Path:
    return save_official(tmp_path_factory.mktemp("server") / f"{STEM}.pth", network, adam=True)


@pytest.fixture(scope="module")
def digests(checkpoint) -> dict[str, str]:
    content = checkpoint.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "md5": hashlib.md5(content).hexdigest()}


@pytest.fixture
def server(checkpoint):
    """Address of the checkpoint, and the requests that came."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            asked.append(str(arguments[0]))

    serving = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(checkpoint.parent)))
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}/{checkpoint.name}", asked
    serving.shutdown()
    serving.server_close()


@pytest.fixture
def drawn(checkpoint, digests, tmp_path, monkeypatch):
    """The record of a checkpoint that a test can have: its own size and checksums, an address that is dead."""
    size = checkpoint.stat().st_size
    record = replace(OFFICIAL[NAME], urls=("http://127.0.0.1:9/dead.pth",), size=size, **digests)
    monkeypatch.setattr(official, "_SIZES", range(size, size + 1))
    monkeypatch.setitem(OFFICIAL, NAME, record)
    monkeypatch.setenv("CNNDETECT_OFFICIAL", str(tmp_path / "official"))
    monkeypatch.setattr("cnndetect.data.official.download.PAUSE_SECONDS", 0.0)
    return record


def test_the_records_are_the_published_ones() -> None:
    first, second = OFFICIAL[NAME], OFFICIAL["wang2020-blur-jpg-0.5"]
    assert (first.size, first.sha256) == (282_442_597, "a73295ac66f9cb74d558ce3ade46f75e2f2997ed05eeed0f4b774623372058ea")
    # The other's SHA-256 is not published; the record says so, and has what is.
    assert second.sha256 is None and second.size is None and "no SHA-256" in second.proof and len(second.md5 or "") == 32
    for record in OFFICIAL.values():
        assert record.licence == "CC BY-NC-SA 4.0" and record.progan_only
        assert record.urls[0].startswith("https://www.dropbox.com/") and record.urls[0].endswith(f"{record.file}?dl=1")
        assert find_official(record.stem) is find_official(record.file) is find_official(record.name) is record


def test_absent_weights_say_how_to_get_them(drawn, capsys) -> None:
    assert NAME not in registry.list_detectors() and registry.name_of(STEM) == NAME
    for name in (NAME, STEM):
        with pytest.raises(WeightsError, match=f"CC BY-NC-SA 4.0.*cnndetect detectors get {STEM}"):
            registry.load(name, device="cpu")
    assert main(["ls"]) == 0
    assert f"cnndetect detectors get {NAME}" in capsys.readouterr().out


def test_nothing_is_fetched_before_the_licence_is_accepted(drawn, checkpoint, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["get", STEM, "--from-file", str(checkpoint)]) == 2
    shown = capsys.readouterr().err
    assert "NonCommercial-ShareAlike" in shown and "--yes" in shown
    assert not is_fetched(drawn)
    with pytest.raises(ProtocolError, match="accept_licence"):
        fetch_official(drawn, accept_licence=False, source=checkpoint)


def test_one_command_fetches_strips_and_makes_it_loadable(drawn, server, checkpoint, network, tmp_path, monkeypatch, capsys) -> None:
    url, asked = server
    record = replace(drawn, urls=("http://127.0.0.1:9/dead.pth", url))  # the first address is dead
    monkeypatch.setitem(OFFICIAL, NAME, record)
    assert main(["get", STEM, "--yes", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    path = Path(answer["file"])
    assert path == tmp_path / "official" / f"{STEM}.safetensors" and answer["bytes"] == path.stat().st_size
    # The optimiser's state (of two parts of the network, in this checkpoint) is gone; the network is whole.
    assert 94.0e6 < path.stat().st_size < 94.4e6 < checkpoint.stat().st_size - 1.5e6
    with safe_open(path, "pt") as stripped:
        assert len(stripped.keys()) == 320 and stripped.metadata()["licence"] == "CC BY-NC-SA 4.0"

    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    loaded = registry.load(NAME, device="cpu")
    with torch.no_grad():
        assert torch.allclose(loaded.logits(images), network(images).squeeze(1), atol=1e-5)
    # Results know the checkpoint, whoever stripped it, and whether it came by name or by file.
    from_file = registry.load(checkpoint, device="cpu")
    assert loaded.identity == loaded.weights_sha256 == from_file.weights_sha256 == record.sha256
    assert torch.equal(from_file.logits(images), loaded.logits(images))
    assert loaded.progan_only is True and from_file.progan_only is True and loaded.threshold_logit is None
    assert NAME in registry.list_detectors()

    # A second call asks nobody, and neither does one that only lost the stripped file.
    count = len(asked)
    assert main(["get", NAME, "--yes"]) == 0 and len(asked) == count
    path.unlink()
    assert not is_fetched(record)
    assert main(["get", NAME, "--yes"]) == 0 and len(asked) == count and is_fetched(record)

    # A file that was changed is not loaded.
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="was changed"):
        registry.load(NAME, device="cpu")


def test_a_file_fetched_by_hand_is_proved(drawn, checkpoint, tmp_path) -> None:
    target = fetch_official(drawn, accept_licence=True, source=checkpoint, folder=tmp_path / "by-hand")
    assert target.is_file() and checkpoint.is_file() and not (tmp_path / "by-hand" / checkpoint.name).exists()
    (tmp_path / "short.pth").write_bytes(b"short")
    for wrong, record, words in (
        (tmp_path / "absent.pth", drawn, "does not exist"),
        (tmp_path / "short.pth", drawn, "5 bytes. Expected"),
        (checkpoint, replace(drawn, sha256="0" * 64), "sha256"),
        (checkpoint, replace(drawn, sha256=None, md5="0" * 32), "md5"),
    ):
        with pytest.raises(WeightsError, match=words):
            fetch_official(record, accept_licence=True, source=wrong, folder=tmp_path / "elsewhere")
    assert not list((tmp_path / "elsewhere").glob("*.safetensors"))


def test_a_wrong_download_never_gets_a_name(drawn, server, tmp_path) -> None:
    record = replace(drawn, urls=(server[0],), sha256="0" * 64)
    with pytest.raises(DownloadError, match="sha256"):
        fetch_official(record, accept_licence=True)
    assert not list((tmp_path / "official").glob("*.safetensors")) and not (tmp_path / "official" / record.file).exists()


def test_a_checkpoint_is_known_by_its_bytes_alone(drawn, checkpoint, tmp_path, monkeypatch) -> None:
    digest = drawn.sha256 or ""
    assert recognise(checkpoint, digest) == drawn and recognise(checkpoint, "0" * 64) is None
    with monkeypatch.context() as patch:
        patch.setattr(official, "_SIZES", range(282_000_000, 283_000_000))
        assert recognise(checkpoint, digest) is None  # of no size that an official checkpoint has
    # By MD5 where no SHA-256 is known; never by name.
    monkeypatch.setitem(OFFICIAL, NAME, replace(drawn, sha256=None))
    assert recognise(checkpoint, digest) == OFFICIAL[NAME]
    (tmp_path / checkpoint.name).write_bytes(b"not the one")
    assert recognise(tmp_path / checkpoint.name, digest) is None


def test_what_weights_only_refuses_is_an_error_of_ours(network, tmp_path) -> None:
    # A step count that numpy made needs a global that torch 2.6 and later do not allow.
    torch.save({"model": network.fc.state_dict(), "optimizer": {}, "total_steps": np.float64(5)}, tmp_path / "numpy.pth")
    with pytest.raises(WeightsError, match="numpy.pth cannot be read as weights"):
        registry.load(tmp_path / "numpy.pth", device="cpu")


def test_the_commands_print_what_they_know(capsys) -> None:
    assert main(["info", "blur_jpg_prob0.5"]) == 0
    text = capsys.readouterr().out
    assert "sha256           not known" in text and "dkarageo/sidbench" in text
    assert main(["info", NAME, "--json"]) == 0 and json.loads(capsys.readouterr().out)["size"] == 282_442_597
    assert main(["get", NAME, "--dry-run"]) == 0
    assert "282.4 MB" in (plan := capsys.readouterr().out) and OFFICIAL[NAME].urls[1] in plan
    assert main(["get", "blur_jpg_prob0.3"]) == 2 and "Did you mean" in capsys.readouterr().err
    assert main(["get", "progan8-r50-bj01"]) == 2 and "nothing to fetch" in capsys.readouterr().err
    assert "Copyright (c) 2020" in official.LICENCE
