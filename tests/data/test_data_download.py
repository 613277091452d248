"""One file over http and file addresses: resumed, checked, whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from loopback import Site, serving

from cnndetect.data.official import download as module
from cnndetect.data.official.download import Reader, check_room, download
from cnndetect.errors import DownloadError

CONTENT = random.Random(0).randbytes(700_000)
KNOWN = {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.001)


@pytest.fixture
def serve() -> Iterator:
    with ExitStack() as stack:
        yield lambda content=CONTENT, **how: stack.enter_context(serving(Site({"a.bin": content}, **how)))


def fetch(site_or_sites, path: Path, **known) -> Path:
    sites = site_or_sites if isinstance(site_or_sites, list) else [site_or_sites]
    return download([f"{site.url}/a.bin" for site in sites], path, progress=False, **known)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_alone(serve, tmp_path) -> None:
    site = serve()
    path = fetch(site, tmp_path / "deep" / "a.bin", **KNOWN, md5=hashlib.md5(CONTENT).hexdigest().upper())
    assert path.read_bytes() == CONTENT and left(path.parent) == ["a.bin"]
    fetch(site, path, **KNOWN)
    assert len(site.requests) == 1  # it is there and fits: nothing is asked
    path.write_bytes(b"other")
    assert fetch(site, path, **KNOWN).read_bytes() == CONTENT


def test_cut_connections_are_continued_where_they_broke(serve, tmp_path) -> None:
    site = serve(cuts=[300_000, 100_000, 5])
    assert fetch(site, tmp_path / "a.bin", **KNOWN).read_bytes() == CONTENT
    assert [request[1] for request in site.requests] == [None, "bytes=300000-", "bytes=400000-", "bytes=400005-"]
    assert {request[2] for request in site.requests[1:]} == {'"first"'} and site.sent == len(CONTENT)


def test_a_killed_download_is_continued_by_the_next_call(serve, tmp_path, monkeypatch) -> None:
    site = serve(cuts=[262_144 + 10])
    monkeypatch.setattr(module.time, "sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fetch(site, tmp_path / "a.bin")
    assert left(tmp_path) == ["a.bin.part", "a.bin.part.json"]
    # Without a checksum the server's own word, If-Range, is what allows to continue.
    assert fetch(site, tmp_path / "a.bin").read_bytes() == CONTENT and site.requests[-1][1:] == ("bytes=262154-", '"first"')


@pytest.mark.parametrize("known", [{}, KNOWN], ids=["unknown", "checksum"])
def test_a_file_that_changed_meanwhile_is_fetched_anew(serve, tmp_path, known) -> None:
    old, site = CONTENT[::-1], serve(etag='"second"')
    (tmp_path / "a.bin.part").write_bytes(old[:1000])
    (tmp_path / "a.bin.part.json").write_text(json.dumps({"url": f"{site.url}/a.bin", "validator": '"first"'}))
    assert fetch(site, tmp_path / "a.bin", **known).read_bytes() == CONTENT and site.requests[0][2] == '"first"'


def test_nothing_unchecked_is_continued_on_trust(serve, tmp_path) -> None:
    site = serve(etag=None)
    (tmp_path / "a.bin.part").write_bytes(b"of another file")
    assert fetch(site, tmp_path / "a.bin").read_bytes() == CONTENT and site.requests[0][1] is None


def test_a_part_that_is_longer_than_the_file_is_dropped(serve, tmp_path) -> None:
    site = serve()
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"x")
    assert fetch(site, tmp_path / "a.bin", sha256=KNOWN["sha256"]).read_bytes() == CONTENT


def test_a_complete_part_is_only_renamed(serve, tmp_path) -> None:
    site = serve()
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert fetch(site, tmp_path / "a.bin", **KNOWN).read_bytes() == CONTENT and site.requests == []
    (tmp_path / "b.bin.part").write_bytes(CONTENT)
    assert fetch(site, tmp_path / "b.bin", sha256=KNOWN["sha256"]).read_bytes() == CONTENT and site.sent == 0  # 416


def test_a_server_without_ranges_sends_all_again(serve, tmp_path) -> None:
    site = serve(ranges=False, cuts=[400_000])
    assert fetch(site, tmp_path / "a.bin", **KNOWN).read_bytes() == CONTENT and site.sent == 400_000 + len(CONTENT)


def test_a_server_that_always_breaks_is_given_up(serve, tmp_path) -> None:
    site = serve(ranges=False, cuts=[50, 30] * 40)
    with pytest.raises(DownloadError, match=r"(?s)continues.*connection ended after \d+ bytes"):
        fetch(site, tmp_path / "a.bin", **KNOWN)
    assert len(site.requests) <= 2 * module.ATTEMPTS and left(tmp_path) == ["a.bin.part", "a.bin.part.json"]


def test_wrong_bytes_never_get_the_name(serve, tmp_path) -> None:
    wrong = bytes(byte ^ 1 for byte in CONTENT)
    with pytest.raises(DownloadError, match=f"sha256 is {hashlib.sha256(wrong).hexdigest()}, expected {KNOWN['sha256']}; removed"):
        fetch(serve(wrong), tmp_path / "a.bin", **KNOWN)
    with pytest.raises(DownloadError, match="md5 is"):
        fetch(serve(wrong), tmp_path / "a.bin", md5=hashlib.md5(CONTENT).hexdigest())
    assert left(tmp_path) == []


def test_mirrors_are_tried_in_order(serve, tmp_path) -> None:
    other_size, wrong, gone, right = serve(b"short"), serve(CONTENT[::-1]), serve(), serve()
    gone.files = {}
    assert fetch([gone, other_size, wrong, right], tmp_path / "a.bin", **KNOWN).read_bytes() == CONTENT
    assert [len(site.requests) for site in (gone, other_size, wrong, right)] == [1, 1, 1, 1]
    with pytest.raises(DownloadError, match=r"(?s)404.*5 bytes there, expected 700000") as caught:
        fetch([gone, other_size], tmp_path / "b.bin", **KNOWN)
    assert gone.url in str(caught.value) and other_size.url in str(caught.value)


def test_bytes_of_two_mirrors_that_do_not_fit_are_fetched_from_one(serve, tmp_path) -> None:
    site = serve()
    (tmp_path / "a.bin.part").write_bytes(CONTENT[::-1][:1000])
    (tmp_path / "a.bin.part.json").write_text(json.dumps({"url": "http://elsewhere.invalid/a.bin", "validator": '"x"'}))
    assert fetch(site, tmp_path / "a.bin", **KNOWN).read_bytes() == CONTENT
    assert [request[1:] for request in site.requests] == [("bytes=1000-", None), (None, None)]


@pytest.mark.parametrize(("status", "times"), [(503, 2), (429, 1)])
def test_a_busy_server_is_asked_again(serve, tmp_path, status, times) -> None:
    site = serve(failures=[status] * times)
    assert fetch(site, tmp_path / "a.bin").read_bytes() == CONTENT and len(site.requests) == times + 1


def test_without_a_length_the_known_size_decides(serve, tmp_path) -> None:
    site = serve(length=False, etag=None, cuts=[1000])
    assert fetch(site, tmp_path / "a.bin", **KNOWN).read_bytes() == CONTENT and len(site.requests) == 2


def test_more_than_expected_is_refused(serve, tmp_path) -> None:
    with pytest.raises(DownloadError, match="more than the expected 10 bytes"):
        fetch(serve(length=False), tmp_path / "a.bin", size=10)
    assert not (tmp_path / "a.bin").exists()


def test_the_disk_is_asked_first(serve, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 1000))
    sites = [serve(), serve()]
    with pytest.raises(DownloadError, match="700.0 kB .*1.0 kB are free"):
        fetch(sites, tmp_path / "a.bin", **KNOWN)
    # Another mirror would not help, and nothing was written.
    assert len(sites[1].requests) == 0 and left(tmp_path) == []
    with pytest.raises(DownloadError, match="Make room"):
        check_room(tmp_path / "not" / "there", 2000, what="x")


def test_addresses_that_are_none(tmp_path) -> None:
    missing = (tmp_path / "no").as_uri()
    for url, words in (("ftp://x/y", "http://, https://"), (missing, "No such file"), ("http://127.0.0.1:1/", "connection")):
        with pytest.raises(DownloadError, match=words):
            download([url], tmp_path / "a", progress=False)
    with pytest.raises(DownloadError, match="no address was given"):
        download([], tmp_path / "a")


def test_a_file_address_is_continued_too(tmp_path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    (tmp_path / "a.part").write_bytes(CONTENT[:5])
    url = (tmp_path / "source").as_uri()
    assert download([url], tmp_path / "a", progress=False, **KNOWN).read_bytes() == CONTENT
    with closing(Reader(url, start=699_990)) as source:
        assert (source.position, source.read(100), source.total) == (699_990, CONTENT[-10:], 700_000)


def test_progress_goes_to_stderr_where_there_is_a_terminal(serve, tmp_path, capfd, monkeypatch) -> None:
    download([f"{serve().url}/a.bin"], tmp_path / "a.bin", **KNOWN)
    assert capfd.readouterr() == ("", "")  # no terminal, no bar
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    download([f"{serve().url}/a.bin"], tmp_path / "b.bin", **KNOWN)
    assert capfd.readouterr().err.count("700k") >= 1
