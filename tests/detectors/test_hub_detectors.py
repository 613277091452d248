"""Detectors as folders: saved, loaded again, sent to a server on loopback that answers like the Hub, and found without it."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from cnndetect.cli.main import main
from cnndetect.detectors import hub as hubs
from cnndetect.detectors.fusion import FusionRecord, Member
from cnndetect.detectors.hub import CARD, MANIFEST, push_detector, save_detector
from cnndetect.detectors.networks import build
from cnndetect.detectors.records import WeightsRecord, registered
from cnndetect.detectors.registry import load, name_of
from cnndetect.errors import DownloadError, ProtocolError, WeightsError
from cnndetect.files import sha256_of
from cnndetect.paths import weights_root
from cnndetect.transforms.preprocess import normalize

COMMIT = "b" * 40
IMAGES = torch.randn(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))


def draw(folder: Path, name: str = "mine", *, seed: int = 0, **fields) -> Path:
    """A weights file of the smallest architecture, and its record."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    path = folder / f"{name}.safetensors"
    save_file(build("tiny").state_dict(), path)
    known = {"network": "tiny", "licence": "MIT", "progan_only": True, "threshold_logit": 0.25, "training_data": "drawn | images"}
    WeightsRecord(name=name, file=path.name, sha256=sha256_of(path), **{**known, **fields}).save(folder)
    return path


def draw_sum(folder: Path, members: tuple[str, ...] = ("a.safetensors", "b.safetensors")) -> Path:
    paths = [draw(folder, name, seed=seed) for seed, name in enumerate("ab")]
    path = folder / "sum.fusion.json"
    digests = [sha256_of(one) for one in paths]
    FusionRecord(tuple(Member(m, d, 0.5) for m, d in zip(members, digests, strict=True)), 0.1, 0.0, 1.0).save(path)
    WeightsRecord(name="sum", file=path.name, sha256=sha256_of(path), network="fusion", licence="MIT").save(folder)
    return path


def test_a_saved_folder_gives_the_same_detector(tmp_path) -> None:
    source = draw(tmp_path / "source")
    folder = save_detector(source, tmp_path / "saved")
    assert sorted(path.name for path in folder.iterdir()) == [CARD, MANIFEST, "mine.json", "mine.safetensors"]
    first, again = load(source, device="cpu"), load(folder, device="cpu")
    assert (again.name, again.weights_sha256, again.threshold_logit, again.progan_only) == ("mine", sha256_of(source), 0.25, True)
    assert torch.equal(first.logits(IMAGES), again.logits(IMAGES)) and name_of(folder) == "mine"
    assert save_detector(source, folder) == folder  # a second time


def test_a_sum_takes_its_members_along(tmp_path) -> None:
    source = draw_sum(tmp_path / "source")
    folder = save_detector(source, tmp_path / "saved")
    assert torch.equal(load(source, device="cpu").logits(IMAGES), load(folder, device="cpu").logits(IMAGES))


def test_the_card_says_what_the_record_says(tmp_path) -> None:
    card = (save_detector(draw(tmp_path / "source", licence="My own terms"), tmp_path / "saved") / CARD).read_text()
    head = card.split("---")[1]
    assert "license: other" in head and 'license_name: "My own terms"' in head
    assert "| training images | drawn \\| images |" in card and "| threshold (logit) | 0.25 |" in card
    assert sha256_of(tmp_path / "source" / "mine.safetensors") in card and "ProGAN's alone" in card
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(head)["library_name"] == "cnndetect"


@pytest.mark.weights
def test_every_bundled_detector_can_be_saved(tmp_path) -> None:
    for name, record in registered().items():
        if (weights_root() / record.file).is_file():
            assert hubs.open_saved(str(save_detector(name, tmp_path / name))).record == record


def test_what_may_not_or_cannot_be_saved_is_refused(tmp_path) -> None:
    with pytest.raises(ProtocolError, match="their authors'"):
        save_detector("npr", tmp_path / "saved")
    with pytest.raises(ProtocolError, match="no licence"):
        save_detector(draw(tmp_path / "source", licence=""), tmp_path / "saved")
    (tmp_path / "source" / "mine.json").unlink()
    with pytest.raises(ProtocolError, match="detectors pack"):
        save_detector(tmp_path / "source" / "mine.safetensors", tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    with pytest.raises(ProtocolError, match="something else"):
        save_detector(draw(tmp_path / "source"), tmp_path)


@pytest.mark.parametrize("change", ["bytes", "record", "outside", "pickle", "sum"])
def test_a_folder_that_was_changed_is_refused(change, tmp_path) -> None:
    folder = save_detector(draw_sum(tmp_path / "source") if change == "sum" else draw(tmp_path / "source"), tmp_path / "saved")
    manifest = json.loads((folder / MANIFEST).read_text())
    if change == "bytes":
        with (folder / "mine.safetensors").open("ab") as file:
            file.write(b"\0")
    elif change == "record":
        manifest["files"].pop("mine.safetensors")
    elif change == "outside":
        manifest["files"]["../source/mine.safetensors"] = "0" * 64
    elif change == "pickle":
        manifest["files"]["mine.pth"] = "0" * 64
    else:  # a member that would import and call code of the reader's
        path = draw_sum(folder, ("os:getcwd", "b.safetensors"))
        manifest["files"] |= {path.name: sha256_of(path), "sum.json": sha256_of(folder / "sum.json")}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(WeightsError):
        load(folder, device="cpu")


class Hub:
    """What the server holds. files: of the one repository, by name."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.made: list[dict] = []
        self.server: ThreadingHTTPServer

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    drawn = Hub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.split("?")[0]
            if path == "/api/repos/create":
                drawn.made.append(json.loads(body))
                self.send_json({"url": f"http://{self.headers['Host']}/user/repo"})
            elif path == "/api/validate-yaml":
                self.send_json({"errors": [], "warnings": []})
            elif "/preupload/" in path:
                files = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in json.loads(body)["files"]]
                self.send_json({"files": files})
            elif "/commit/" in path:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        drawn.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                self.send_json(
                    {"commitUrl": f"http://{self.headers['Host']}/user/repo/commit/{COMMIT}", "commitOid": COMMIT, "success": True}
                )
            else:
                self.send_error(404)

        def do_HEAD(self) -> None:
            self.do_GET(body=False)

        def do_GET(self, body: bool = True) -> None:
            path = self.path.split("?")[0]
            found = re.fullmatch(r"/user/repo/resolve/[^/]+/(.+)", path)
            if found and found[1] in drawn.files:
                content = drawn.files[found[1]]
                self.send_content(content, body, {"X-Repo-Commit": COMMIT, "ETag": f'"{len(content)}-{found[1]}"'})
            elif path.startswith("/api/models/user/repo"):
                self.send_json({"id": "user/repo", "sha": COMMIT, "siblings": []}, body)
            else:
                self.send_content(b"", body, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, 404)

        def send_json(self, content: object, body: bool = True) -> None:
            self.send_content(json.dumps(content).encode(), body, {"Content-Type": "application/json"})

        def send_content(self, content: bytes, body: bool, headers: dict[str, str], status: int = 200) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

    drawn.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    drawn.server.daemon_threads = True
    threading.Thread(target=drawn.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{drawn.server.server_address[1]}")
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield drawn
    drawn.close()


def test_a_detector_goes_to_the_hub_and_comes_back_and_is_found_without_it(hub, tmp_path, capsys) -> None:
    source = draw(tmp_path / "source")
    assert main(["detectors", "push", str(source), "user/repo"]) == 0
    assert capsys.readouterr().out.strip() == "hf://user/repo"
    assert hub.made[0]["name"] == "repo" and set(hub.files) >= {CARD, MANIFEST, "mine.json", "mine.safetensors"}
    found = load("hf://user/repo", device="cpu")
    assert (found.name, found.weights_sha256, name_of("hf://user/repo")) == ("user/repo", sha256_of(source), "user/repo")
    assert torch.equal(found.logits(IMAGES), load(source, device="cpu").logits(IMAGES))
    hub.close()
    assert torch.equal(load("hf://user/repo", device="cpu").logits(IMAGES), found.logits(IMAGES))
    with pytest.raises(DownloadError, match="user/other"):
        load("hf://user/other", device="cpu")


def test_a_model_card_that_was_edited_is_sent_as_it_is(hub, tmp_path, monkeypatch) -> None:
    # Version 0.25 reads HF_ENDPOINT once, when it is imported, and checks the address of a commit against it.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", os.environ["HF_ENDPOINT"])
    folder = save_detector(draw(tmp_path / "source"), tmp_path / "saved")
    (folder / CARD).write_text("---\nlicense: mit\n---\nmine\n")
    assert push_detector(folder, "user/repo") == "hf://user/repo"
    assert hub.files[CARD].endswith(b"mine\n")


def test_a_repository_of_another_kind_is_refused(hub) -> None:
    hub.files["model.safetensors"] = b""
    with pytest.raises(WeightsError, match="own-model"):
        load("hf://user/repo", device="cpu")
    with pytest.raises(ProtocolError, match="Expected hf://USER/REPO"):
        load("hf://user", device="cpu")


def draw_classifier(labels: dict[int, str], **processor) -> tuple[object, dict[str, bytes]]:
    """A small model of transformers, and the files of its repository."""
    transformers = pytest.importorskip("transformers")
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 32,
        "patch_size": 8,
    }
    torch.manual_seed(0)
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**sizes, id2label=labels, num_labels=len(labels))).eval()
    config = {**model.config.to_dict(), "architectures": ["ViTForImageClassification"], "model_type": "vit"}
    stated = {"size": {"height": 32, "width": 32}, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, **processor}
    weights = {key: value.contiguous() for key, value in model.state_dict().items()}
    files = {"config.json": json.dumps(config, default=str).encode(), "preprocessor_config.json": json.dumps(stated).encode()}
    return model, {**files, "model.safetensors": save(weights, metadata={"format": "pt"})}


@pytest.mark.parametrize("labels", [{0: "artificial", 1: "human"}, {0: "Real", 1: "AI-generated"}])
def test_a_classifier_of_the_hub_is_a_detector_as_its_files_state(hub, labels) -> None:
    model, hub.files = draw_classifier(labels)
    found = load("hf://user/repo", device="cpu")
    pixels = torch.randint(0, 256, (3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        real, fake = model(pixel_values=(pixels[None] / 255 - 0.5) / 0.25).logits[0].tolist()[:: -1 if labels[1] == "human" else 1]
    assert found.name == "user/repo" and float(found.logits(normalize(pixels)[None])) == pytest.approx(fake - real, abs=1e-5)
    assert found.progan_only is None and found.record["labels"] == labels
    hub.close()
    assert load("hf://user/repo", device="cpu").identity == found.identity  # without the server


def test_a_classifier_that_does_not_say_what_is_fake_is_refused(hub) -> None:
    _, hub.files = draw_classifier({0: "LABEL_0", 1: "LABEL_1"})
    with pytest.raises(ProtocolError, match="do not say which one is fake"):
        load("hf://user/repo", device="cpu")


def test_a_classifier_without_safetensors_is_refused(hub) -> None:
    _, hub.files = draw_classifier({0: "real", 1: "fake"})
    hub.files.pop("model.safetensors")
    hub.files["pytorch_model.bin"] = b""  # a pickle is not fetched
    with pytest.raises(WeightsError, match="holds no model.safetensors"):
        load("hf://user/repo", device="cpu")
