"""Generators out of a remote zip: by range, resumed, checked by CRC, and never outside of the folder."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from drawn_official import files_below, small_dataset, small_members
from loopback import Site, in_seven_zip, make_zip, png, serving

from cnndetect.data.__main__ import main
from cnndetect.data.official import download as download_module
from cnndetect.data.official import unpack as unpack_module
from cnndetect.data.official.archive import open_zip
from cnndetect.data.official.catalog import DATASETS, Counts, File, Group, find_dataset, find_groups
from cnndetect.data.official.fetch import fetch
from cnndetect.data.official.range_file import SKIP_BYTES, RangeFile
from cnndetect.errors import DataError, DownloadError, UnknownNameError

NAME = "CNN_synth_testset.zip"
MEMBERS = small_members()


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(download_module, "PAUSE_SECONDS", 0.001)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")  # nothing listens: no test may reach a network
    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path / "data"))


@pytest.fixture
def site(monkeypatch) -> Iterator[Site]:
    _, content = small_dataset(monkeypatch, make_zip(MEMBERS, padding=30_000))
    with serving(Site({NAME: content})) as site:
        yield site


def of(*groups: str) -> dict[str, bytes]:
    return {name: content for name, content in MEMBERS.items() if name.split("/")[0] in groups}


def get(site: Site, folder: Path, *names: str, **more):
    return fetch(find_dataset("forensynths"), only=names or None, dest=folder, mirrors=[site.url], progress=False, **more)


def test_the_drawn_archive_is_like_the_released_one(site) -> None:
    content = site.files[NAME]
    assert content[-22:-18] == b"PK\x05\x06" and content[-42:-38] == b"PK\x06\x07"  # zip64 end records
    assert all(info.compress_type == zipfile.ZIP_DEFLATED and info.extra[:2] in (b"", b"\x01\x00")
               for info in zipfile.ZipFile(io.BytesIO(content)).infolist() if not info.filename.startswith("padding/"))  # fmt: skip


def test_two_generators_cross_the_network_and_no_more(site, tmp_path) -> None:
    done = get(site, tmp_path, "biggan", "san")
    assert files_below(tmp_path) == of("biggan", "san") and (done.written, done.kept, done.failed) == (14, 0, ())
    assert done.bytes == sum(map(len, of("biggan", "san").values()))
    # 13 generators' images, with what lies between them, are 4 MB; reading on is one connection per stretch.
    assert site.sent < len(site.files[NAME]) / 3 and len(site.requests) < 12


def test_all_of_it_is_one_stretch(site, tmp_path) -> None:
    get(site, tmp_path)
    assert files_below(tmp_path) == MEMBERS and len(site.requests) < 12


def test_cut_connections_are_continued(site, tmp_path) -> None:
    site.cuts = [22, 20, 56, 3000, 10_000, 1, 20_000, 70_000]
    get(site, tmp_path, "progan")
    assert files_below(tmp_path) == of("progan") and site.cuts == []


def test_a_kill_loses_one_file_at_most(site, tmp_path, monkeypatch) -> None:
    real_replace, count = unpack_module.os.replace, iter(range(100))

    def killed(*names) -> None:
        if next(count) == 5:
            raise KeyboardInterrupt
        real_replace(*names)

    monkeypatch.setattr(unpack_module.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        get(site, tmp_path, "stylegan")
    assert len(files_below(tmp_path)) == 5
    monkeypatch.undo()
    small_dataset(monkeypatch, site.files[NAME])
    done = get(site, tmp_path, "stylegan")
    assert (done.kept, done.written) == (5, 16) and files_below(tmp_path) == of("stylegan")


def test_a_damaged_file_that_is_there_is_written_again(site, tmp_path) -> None:
    get(site, tmp_path, "biggan")
    victim = tmp_path / "biggan" / "1_fake" / "00001.png"
    victim.write_bytes(bytes(len(victim.read_bytes())))  # of the same size
    done = get(site, tmp_path, "biggan")
    assert (done.kept, done.written) == (6, 1) and files_below(tmp_path) == of("biggan")


def _with_wrong_bytes(content: bytes, member: str) -> bytes:
    info = zipfile.ZipFile(io.BytesIO(content)).getinfo(member)
    at = info.header_offset + 30 + len(member) + 20 + info.compress_size // 2
    return content[:at] + bytes(byte ^ 0xFF for byte in content[at : at + 8]) + content[at + 8 :]


def test_wrong_bytes_are_named_and_never_written(site, tmp_path) -> None:
    site.files[NAME] = _with_wrong_bytes(site.files[NAME], "biggan/0_real/00002.png")
    done = get(site, tmp_path, "biggan", "crn")
    expected = of("biggan", "crn")
    del expected["biggan/0_real/00002.png"]
    assert files_below(tmp_path) == expected and len(done.failed) == 1 and done.failed[0].startswith("biggan/0_real/00002.png: the bytes")


def test_wrong_bytes_are_taken_from_the_next_mirror(site, tmp_path) -> None:
    with serving(Site({NAME: _with_wrong_bytes(site.files[NAME], "crn/1_fake/00000.png")})) as wrong:
        done = fetch(find_dataset("forensynths"), only=["crn"], dest=tmp_path, mirrors=[wrong.url, site.url], progress=False)
        assert files_below(tmp_path) == of("crn") and not done.failed and wrong.requests and site.requests


def test_mirrors_are_tried_in_order(site, tmp_path) -> None:
    with serving(Site({})) as gone, serving(Site({NAME: b"short"})) as other, serving(Site(site.files, ranges=False)) as plain:
        mirrors = [gone.url, other.url, plain.url, f"{site.url}/{NAME}"]
        fetch(find_dataset("forensynths"), only=["biggan"], dest=tmp_path / "a", mirrors=mirrors, progress=False)
        assert files_below(tmp_path / "a") == of("biggan") and len(gone.requests) == len(other.requests) == 1
        with pytest.raises(DownloadError, match="No mirror could be read") as caught:
            fetch(find_dataset("forensynths"), only=["biggan"], dest=tmp_path / "b", mirrors=mirrors[:3], progress=False)
    for words in ("404 Not Found", "5 bytes there, expected", "whole files only", "127.0.0.1:1/datasets"):
        assert words in str(caught.value)


def test_a_file_that_changes_underneath_is_noticed(site) -> None:
    file = RangeFile([f"{site.url}/{NAME}"], size=len(site.files[NAME]))
    assert file.read(10) == site.files[NAME][:10]
    site.etag = '"second"'
    file.seek(SKIP_BYTES * 2 if len(site.files[NAME]) > SKIP_BYTES * 2 else -5, 0 if len(site.files[NAME]) > SKIP_BYTES * 2 else 2)
    with file, pytest.raises(DownloadError, match="changed there meanwhile"):
        file.read(5)


def test_a_server_without_ranges_is_read_whole_on_request(site, tmp_path) -> None:
    site.ranges = False
    get(site, tmp_path, "biggan", whole=True)
    assert files_below(tmp_path) == {**of("biggan"), NAME: site.files[NAME]}


def test_the_disk_is_asked_before_anything_is_written(site, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 1000))
    with pytest.raises(DownloadError, match="Unpacking 7 files needs .* kB .*1.0 kB are free"):
        get(site, tmp_path / "new", "biggan")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../biggan/0_real/a.png", "biggan/0_real/../../../a.png", "/biggan/0_real/a.png",
                                  "biggan\\0_real\\a.png", "C:/biggan/0_real/a.png"])  # fmt: skip
def test_names_that_lead_out_are_refused(tmp_path, monkeypatch, name) -> None:
    _, content = small_dataset(monkeypatch, make_zip({**MEMBERS, name: b"x"}))
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(DataError, match="may lead out of the folder. Nothing was written"):
        fetch(find_dataset("forensynths"), dest=tmp_path / "out", from_archive=tmp_path / NAME, progress=False)
    assert not (tmp_path / "out").exists() and not (tmp_path / "a.png").exists()


def test_links_are_refused(tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("biggan/0_real/a.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="holds the link"):
        fetch(find_dataset("forensynths"), only=["biggan"], dest=tmp_path / "out", from_archive=tmp_path / "a.zip", progress=False)


def test_folders_around_the_generators_do_not_matter(tmp_path, monkeypatch) -> None:
    small_dataset(monkeypatch)
    (tmp_path / "a.zip").write_bytes(make_zip({f"some/where/{name}": content for name, content in MEMBERS.items()}))
    fetch(find_dataset("forensynths"), only=["progan", "sitd"], dest=tmp_path / "out", from_archive=tmp_path / "a.zip", progress=False)
    assert files_below(tmp_path / "out") == of("progan", "seeingdark")


def test_archives_that_are_others(tmp_path, monkeypatch) -> None:
    small_dataset(monkeypatch)
    for content, words in ((b"<html>quota exceeded</html>", "is not a zip file"), (make_zip(of("biggan"))[:-30], "is not a zip file"),
                           (make_zip(of("biggan")), "does not hold crn")):  # fmt: skip
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(DataError, match=words):
            fetch(find_dataset("forensynths"), only=["biggan", "crn"], dest=tmp_path, from_archive=tmp_path / "a.zip", progress=False)
    with pytest.raises(DataError, match="no such file"):
        fetch(find_dataset("forensynths"), dest=tmp_path, from_archive=tmp_path / "none.zip")


def _training(monkeypatch, *, volumes: int = 3) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """A small training archive, stored in a 7z of several volumes: its members and its files."""
    names = [f"{category}/{label}/{k}.png" for category in ("train", "cat", "horse") for label in ("0_real", "1_fake") for k in (0, 1)]
    members = {name: png(seed) for seed, name in enumerate(names)}
    content = in_seven_zip(make_zip({f"train/{name}": member for name, member in members.items()}))
    step = len(content) // volumes + 1
    parts = {f"progan_train.7z.{k + 1:03d}": content[k * step : (k + 1) * step] for k in range(volumes)}
    groups = {name: Group(name, name, "GAN", "LSUN", {"": Counts(2, 2)}) for name in ("train", "cat", "horse")}
    files = tuple(File(name, len(part), None) for name, part in parts.items())
    monkeypatch.setitem(DATASETS, "progan-train", replace(DATASETS["progan-train"], groups=groups, parts=files))
    return members, parts


def test_a_category_comes_out_of_the_volumes_of_a_7z(tmp_path, monkeypatch) -> None:
    members, parts = _training(monkeypatch)
    with serving(Site(parts, cuts=[40, 500])) as site:
        fetch(find_dataset("progan-train"), only=["horse", "train"], dest=tmp_path / "a", mirrors=[site.url], progress=False)
    wanted = {name: content for name, content in members.items() if not name.startswith("cat/")}
    assert files_below(tmp_path / "a") == wanted
    for name, content in parts.items():
        (tmp_path / name).write_bytes(content)
    first = tmp_path / "progan_train.7z.001"
    fetch(find_dataset("progan-train"), dest=tmp_path / "b", from_archive=first, progress=False)
    assert files_below(tmp_path / "b") == members
    (tmp_path / "progan_train.7z.002").unlink()
    with pytest.raises(DataError, match=r"7z\.002: no such file"):
        fetch(find_dataset("progan-train"), dest=tmp_path / "c", from_archive=first)


def test_other_7z_archives_are_refused() -> None:
    with pytest.raises(DataError, match="store mode. Unpack it with: 7z x"):
        open_zip([io.BytesIO(in_seven_zip(b"compressed" * 10))])
    damaged = bytearray(in_seven_zip(make_zip({"a": b"b"})))
    damaged[13] ^= 1
    with pytest.raises(DataError, match="header of the 7z archive is damaged"):
        open_zip([io.BytesIO(bytes(damaged))])
    with pytest.raises(DataError, match="A part is missing or cut"):
        open_zip([io.BytesIO(in_seven_zip(make_zip({"a": b"b"}))[:-150])])


def test_the_command_shows_the_licence_and_wants_it_accepted(site, tmp_path, capsys, monkeypatch) -> None:
    words = ["get", "forensynths", "--only", "biggan", "--out", str(tmp_path / "d"), "--mirror", site.url]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(words) == 2 and "CC BY-NC-SA 4.0" in (shown := capsys.readouterr().err) and "give --yes" in shown
    assert site.requests == [] and not (tmp_path / "d").exists()
    terminal = io.StringIO("no\n")
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(words) == 2 and "not accepted" in capsys.readouterr().err
    assert main([*words, "--yes", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["written"], answer["failed"], answer["groups"]) == (7, [], ["biggan"]) and files_below(tmp_path / "d") == of("biggan")
    site.files[NAME] = _with_wrong_bytes(site.files[NAME], "crn/1_fake/00000.png")
    assert main(["get", "forensynths", "--only", "crn", "--mirror", site.url, "--yes"]) == 1
    out = capsys.readouterr().out
    assert "6 files written" in out and "1 failed" in out and re.search(r"crn/1_fake/00000.png: the bytes are wrong", out)
    assert len(files_below(tmp_path / "data" / "forensynths" / "crn")) == 6


def test_misspelt_names_are_met_before_the_network(site, capsys) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'stylegan"):
        find_groups(DATASETS["forensynths"], ["styelgan"])
    assert main(["get", "forensynths", "--only", "biggann", "--mirror", site.url, "--yes"]) == 2
    assert "biggan" in capsys.readouterr().err and site.requests == []
