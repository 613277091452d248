"""The JSON answers: what one picture, a batch and a refusal look like; scores are those of ``cnndetect.score``."""

from __future__ import annotations

import io
import re
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from drawn_networks import detector
from PIL import Image
from served import Tiny, form, png, serving, tiny

import cnndetect
from cnndetect.backends import EXACT
from cnndetect.detectors.base import Detector
from cnndetect.serve import answers
from cnndetect.serve.limits import Limits
from cnndetect.serve.openapi import PATHS
from cnndetect.serve.pictures import score_one
from cnndetect.serve.shelf import Shelf
from cnndetect.serve.uploads import Upload
from cnndetect.serve.views import examine

LIMITS = Limits(file_bytes=200_000, batch_bytes=500_000, batch_files=5, decoded_pixels=1_000_000, scored_pixels=40_000)


@pytest.fixture(scope="module")
def server():
    with serving(tiny(), LIMITS) as running:
        yield running


def test_one_picture_has_the_score_of_the_library(server) -> None:
    content = png((48, 40), seed=1)
    raw = msgspec.json.decode(server.send("/api/score?name=a.png", content).body, type=answers.ScoreAnswer)
    logit = cnndetect.score(content, detector=tiny(), return_logit=True)
    assert raw.image.logit == pytest.approx(logit, abs=1e-6) and raw.image.name == "a.png" and raw.image.piece is None
    assert raw.image.verdict == tiny().verdict(logit) and raw.detector.name == "tiny" and raw.detector.band is not None
    posted = msgspec.json.decode(server.form("/api/score", [("a.png", content)]).body, type=answers.ScoreAnswer)
    assert posted == raw


def test_a_detector_with_weights_is_scored_by_a_fast_engine_and_its_map_by_torch() -> None:
    reference, upload = detector("resnet18"), Upload("a.png", png(seed=1))
    ready = Shelf(reference, device="cpu").first
    assert ready.backend == "onnxruntime"
    fast = score_one(upload, ready, LIMITS).image.logit
    shown = examine(upload, ready, LIMITS)
    assert shown.heat is not None and shown.heat.method == "cam" and shown.image.logit == pytest.approx(fast, abs=EXACT)
    assert fast == pytest.approx(cnndetect.score(upload.content, detector=reference, return_logit=True, backend="torch"), abs=EXACT)


def test_a_batch_scores_what_it_can_and_names_the_rest_in_order(server) -> None:
    files = [("a", png(seed=1)), ("text", b"hello"), ("b", png(seed=2, kind="JPEG")), ("cut", png(seed=3)[:-300])]
    answer = msgspec.json.decode(server.form("/api/batch", files).body, type=answers.BatchAnswer)
    assert [one.name for one in answer.images] == ["a", "b"]
    assert [(one.name, one.error) for one in answer.failed] == [("text", "not_an_image"), ("cut", "damaged_image")]
    assert answer.images[0].logit == pytest.approx(cnndetect.score(files[0][1], detector=tiny(), return_logit=True), abs=1e-6)


def test_a_large_picture_gives_its_middle_and_says_so(server) -> None:
    content = png((400, 200), deviation=5)
    answer = msgspec.json.decode(server.send("/api/score", content).body, type=answers.ScoreAnswer)
    piece = answer.image.piece
    assert (
        piece is not None and piece.width * piece.height <= LIMITS.scored_pixels and (answer.image.width, answer.image.height) == (400, 200)
    )
    array = np.asarray(Image.open(io.BytesIO(content)))
    cut = array[piece.top : piece.top + piece.height, piece.left : piece.left + piece.width]
    assert answer.image.logit == pytest.approx(cnndetect.score(cut, detector=tiny(), return_logit=True), abs=1e-6)


def test_the_map_is_exact_and_the_spectrum_has_two_pictures(server) -> None:
    answer = msgspec.json.decode(server.send("/api/examine", png((96, 80), seed=4)).body, type=answers.ExamineAnswer)
    assert answer.heat is not None and answer.heat.method == "cam" and answer.heat.low <= answer.image.logit <= answer.heat.high
    assert answer.spectrum is not None and answer.spectrum.side_px == 64 and len(answer.spectrum.profile.frequency) == 32
    for uri in (answer.preview, answer.heat.layer, answer.spectrum.picture):
        assert re.match(r"data:image/(png|webp);base64,", uri)


def test_redelivery_begins_with_the_picture_as_it_is(server) -> None:
    answer = msgspec.json.decode(server.send("/api/redelivery", png(seed=5)).body, type=answers.RedeliveryAnswer)
    assert answer.rows[0].name == "none" and answer.rows[0].change == 0
    assert answer.rows[0].logit == pytest.approx(cnndetect.score(png(seed=5), detector=tiny(), return_logit=True), abs=1e-5)
    assert {row.name for row in answer.rows} >= {"jpeg_75", "webp_80", "resize_0.5"}


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "error", "words"),
    [
        ("/api/score", b"hello", "image/png", 415, "not_an_image", "Expected PNG, JPEG"),
        ("/api/score", b"", "image/png", 415, "not_an_image", "picture is empty"),
        ("/api/score", b"{}", "application/json", 415, "unsupported_body", "Expected multipart/form-data"),
        ("/api/score", png()[:-100], "image/png", 422, "damaged_image", "cannot be decoded"),
        ("/api/score", png((1100, 1000), deviation=0), "image/png", 422, "too_many_pixels", "Expected at most 1,000,000"),
        ("/api/score?detector=tony", png(), "image/png", 422, "unknown_detector", "Did you mean 'tiny'?"),
        ("/api/score?detector=/etc/passwd", png(), "image/png", 422, "unknown_detector", "Unknown detector"),
        ("/api/score?detector=os:getcwd", png(), "image/png", 422, "unknown_detector", "Unknown detector"),
        ("/api/score", form([]), "multipart/form-data; boundary=line", 422, "no_file", "Expected a field"),
        ("/api/batch", form([("a", b"x")] * 6), "multipart/form-data; boundary=line", 422, "too_many_files", "at most 5"),
        ("/api/score", b"--line\r\nnonsense", "multipart/form-data; boundary=line", 422, "no_file", "holds no file"),
        ("/api/score", b"xx", "multipart/form-data", 400, "broken_form", "boundary"),
        ("/api/score", bytes(300_000), "image/png", 413, "too_large", "at most 0.2 MB"),
        ("/api/scor", b"", "image/png", 404, "not_found", "/openapi.json"),
    ],
)
def test_refusals_say_what_was_given_and_what_to_do(server, path, body, kind, status, error, words) -> None:
    answer = server.send(path, body, kind)
    assert (answer.status, answer.json["error"]) == (status, error), answer.body
    assert words in answer.json["message"]
    assert server.get("/api/health").json["busy"] == 0


def test_other_sites_get_nothing(server) -> None:
    assert server.send("/api/score", png(), sec_fetch_site="cross-site").status == 403
    misled = server.get("/api/health", host="evil.example")
    assert (misled.status, misled.json["error"]) == (400, "unknown_host") and "'evil.example'" in misled.json["message"]
    policy = server.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "http" not in policy


def test_the_queue_is_bounded_and_a_place_is_free_again_afterwards() -> None:
    gate = threading.Event()

    class Waiting(Tiny):
        def forward(self, images):
            assert gate.wait(30)
            return super().forward(images)

    with serving(Detector("slow", Waiting()), Limits(places=2)) as server:
        statuses: list[int] = []
        askers = [threading.Thread(target=lambda: statuses.append(server.send("/api/score", png()).status)) for _ in range(2)]
        for asker in askers:
            asker.start()
        while server.get("/api/health").json["busy"] < 2:
            time.sleep(0.01)
        refused = server.send("/api/score", png())
        assert refused.status == 429 and refused.json["error"] == "busy" and int(refused.headers["retry-after"]) > 0
        gate.set()
        for asker in askers:
            asker.join(30)
        assert statuses == [200, 200] and server.send("/api/score", png()).status == 200


def test_a_slow_upload_gives_its_place_back() -> None:
    import socket

    with serving(tiny(), Limits(places=1, upload_seconds=0.3)) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
            slow.sendall(b"POST /api/score HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 5000\r\n\r\nab")
            assert b" 408 " in slow.recv(4000)
        assert server.send("/api/score", png()).status == 200


def test_a_detector_that_fails_is_a_refusal_not_a_crash() -> None:
    def broken(images):
        raise RuntimeError("no kernel")

    with serving(Detector("broken", broken)) as server:
        for path in ("/api/score", "/api/examine", "/api/redelivery"):
            answer = server.send(path, png())
            assert answer.status == 422 and "no kernel" in answer.json["message"]
        assert len(server.form("/api/batch", [("a", png())]).json["failed"]) == 1


def test_a_detector_without_threshold_or_map_still_answers() -> None:
    with serving(Detector("plain", lambda images: images.mean((1, 2, 3)))) as server:
        answer = msgspec.json.decode(server.send("/api/examine", png((20, 12))).body, type=answers.ExamineAnswer)
    assert answer.image.verdict is None and answer.detector.band is None and answer.heat is not None and answer.heat.method == "occlusion"
    assert answer.spectrum is None and any("No spectrum" in note for note in answer.notes)


def test_openapi_lists_every_endpoint(server) -> None:
    document = server.get("/openapi.json").json
    routes = {route.path for route in server.app.routes if route.path.startswith("/api/")}
    assert set(document["paths"]) == routes == set(PATHS) and document["openapi"].startswith("3.1")
    text = str(document)
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in document["components"]["schemas"]
    assert {"413", "415", "422", "429"} <= set(document["paths"]["/api/score"]["post"]["responses"])


def test_nothing_is_written(server, tmp_path, monkeypatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))  # a file there would fail
    noisy = png((230, 230))
    assert 100_000 < len(noisy) < LIMITS.file_bytes
    assert server.form("/api/score", [("a.png", noisy)]).status == 200


def test_health_and_detectors(server) -> None:
    assert server.get("/api/health").json == {
        "status": "ok", "version": cnndetect.__version__, "detector": "tiny", "busy": 0, "places": LIMITS.places,
    }  # fmt: skip
    rows = server.get("/api/detectors").json["detectors"]
    assert rows[0] == {"name": "tiny", "title": "a drawn one", "default": True} and len(rows) == 1 + len(cnndetect.list_detectors())


def test_colours_are_those_of_the_report() -> None:
    style = pytest.importorskip("cnndetect.report.figures.style")
    sheet = (Path(__file__).parents[2] / "cnndetect/serve/page/style.css").read_text(encoding="utf-8")
    assert style.css_variables(dark=False).split(" --f-series")[0] in " ".join(sheet.split())
    dark = {name: value for name, _, value in (pair.partition(": ") for pair in style.css_variables(dark=True).split("; "))}
    for name in ("--f-ink", "--f-muted", "--f-grid", "--f-surface", "--f-real", "--f-fake"):
        assert sheet.count(f"{name}: {dark[name]};") == 2
