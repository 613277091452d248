"""hf://user/name as a suite, from a server on loopback that answers like the Hub."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from drawn_suite import run
from loopback import png

from cnndetect.bench.suites import find_suites
from cnndetect.data.folders import scan
from cnndetect.errors import DataError, DownloadError

pa = pytest.importorskip("pyarrow")
pytest.importorskip("huggingface_hub")
COMMIT = "a" * 40


def shard(images: list[bytes], labels: list, names: list[str] | None = None) -> bytes:
    import pyarrow.parquet as parquet

    table = pa.table({"image": [{"bytes": image, "path": None} for image in images], "label": labels})
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


class Hub:
    def __init__(self, files: dict[str, bytes]):
        self.files, self.asked, self.gone = files, [], set()


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[Hub]:
    # Class names in an order that turns the numbers round: 0 is fake here.
    drawn = Hub({"data/test-0.parquet": shard([png(1), png(2)], [0, 1], ["fake", "real"]),
                 "data/test-1.parquet": shard([png(3), png(4)], [1, 0], ["fake", "real"]), "README.md": b"hello"})  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, body: bool) -> None:
            path = self.path.split("?")[0]
            name = path.partition(f"/resolve/{COMMIT}/")[2]
            drawn.asked.append((self.command, name or path))
            if path.startswith("/api/datasets/user/name"):
                siblings = [{"rfilename": file} for file in drawn.files]
                card = {"license": "cc-by-4.0"}
                content = json.dumps({"id": "user/name", "sha": COMMIT, "siblings": siblings, "cardData": card}).encode()
            elif name in drawn.files and name not in drawn.gone:
                content = drawn.files[name]
            else:
                self.send_error(404)
                return
            self.send_response(200)
            for key, value in {"Content-Length": str(len(content)), "X-Repo-Commit": COMMIT, "ETag": f'"{hash(content)}"',
                               "Content-Type": "application/json"}.items():  # fmt: skip
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    yield drawn
    server.shutdown()
    server.server_close()


def test_a_data_set_of_the_hub_is_a_suite(hub, tmp_path, capsys) -> None:
    (suite,) = find_suites("hf://user/name")
    assert suite.name == "user--name" and "licence cc-by-4.0" in capsys.readouterr().err
    found = {sample.path.read_bytes(): sample.label for sample in scan(suite.sets[0].root)}
    assert found == {png(1): 1, png(2): 0, png(3): 0, png(4): 1}  # by the names of the classes, not by their numbers
    assert not list(suite.sets[0].root.rglob("*.parquet")) and ("GET", "README.md") not in hub.asked
    hub.asked.clear()
    find_suites("hf://user/name")
    assert hub.asked == [] and len(run(suite.sets[0].root, tmp_path / "r").results) == 1


def test_an_interrupted_fetch_goes_on_with_the_next_shard(hub) -> None:
    hub.gone = {"data/test-1.parquet"}
    with pytest.raises(DownloadError, match="the same command continues"):
        find_suites("hf://user/name")
    hub.gone = set()
    hub.asked.clear()
    (suite,) = find_suites("hf://user/name")
    assert len(scan(suite.sets[0].root)) == 4 and ("GET", "data/test-0.parquet") not in hub.asked


def test_what_is_no_image_set_is_refused(hub) -> None:
    with pytest.raises(DataError, match="Expected hf://USER/NAME"):
        find_suites("hf://user")
    hub.files = {"a.csv": b"x"}
    with pytest.raises(DataError, match="has no Parquet file"):
        find_suites("hf://user/name")
    hub.files = {"a.parquet": shard([png(1)], ["cat"])}
    with pytest.raises(DataError, match=r"no row is real or fake by its label \(found: cat\)"):
        find_suites("hf://user/name")
