"""Sets of the catalogue over a loopback server and from a drawn hub: fetched, unpacked, checked; and the command."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
from drawn_official import files_below, write_members
from loopback import Site, make_zip, png, serving

from cnndetect.data.__main__ import main
from cnndetect.data.sets import rows as rows_module
from cnndetect.data.sets.fetch import check_set, fetch_set, unpack_archive
from cnndetect.data.sets.rows import SetFile, SetRow, find_row
from cnndetect.errors import DataError, DownloadError, ProtocolError

MEMBERS = {"a/0_real/1.png": png(1), "a/1_fake/1.png": png(2), "b/0_real/1.png": png(3), "b/1_fake/1.png": png(4)}


def row(**facts) -> SetRow:
    return SetRow(**{"id": "drawn", "title": "Drawn", "host": "http", "layout": "01", "licence": "none", "biases": ["Tiny."], **facts})


def test_a_set_comes_from_its_address_is_unpacked_and_checked(tmp_path) -> None:
    content = make_zip(MEMBERS)
    with serving(Site({"set.zip": content}, cuts=[100])) as site:
        file = SetFile("set.zip", hash=f"md5:{hashlib.md5(content).hexdigest()}", url=f"{site.url}/set.zip")
        drawn = row(files=[file], groups=["a", "b", "c"])
        folder = fetch_set(drawn, tmp_path / "out", progress=False)
        asked = len(site.requests)
        fetch_set(drawn, tmp_path / "out", progress=False)
        assert len(site.requests) == asked  # whole and unpacked: nothing is asked again
        wrong = row(files=[SetFile("set.zip", hash="md5:" + "0" * 32, url=f"{site.url}/set.zip")])
        with pytest.raises(DownloadError, match="md5 is"):
            fetch_set(wrong, tmp_path / "wrong", progress=False)
    assert {name: files_below(folder)[name] for name in MEMBERS} == MEMBERS
    (folder / "b" / "1_fake" / "2.png").write_bytes(b"no image")
    check = check_set(drawn, folder)
    assert check.counts == {"a": (1, 1), "b": (1, 2)} and check.absent == ("c",) and not check.is_right
    assert check.unreadable[0].startswith("b/1_fake/2.png")


def test_archives_that_lead_out_are_refused(tmp_path) -> None:
    (tmp_path / "a.zip").write_bytes(make_zip({"../evil.png": png(1)}))
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        info = tarfile.TarInfo("../evil.png")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    for name in ("a.zip", "b.tar", "c.tar"):
        with pytest.raises(DataError, match="lead out of the folder"):
            unpack_archive(tmp_path / name, tmp_path / "deep")
    assert not (tmp_path / "evil.png").exists() and not list((tmp_path / "deep").glob("*"))


def test_a_file_of_the_hub_goes_through_its_library(tmp_path, monkeypatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def from_folder(repo, name, *, repo_type, revision, local_dir, endpoint) -> str:
        asked.append((repo, name, repo_type, revision, endpoint))
        local_dir.mkdir(parents=True, exist_ok=True)
        (local_dir / name).write_bytes(make_zip(MEMBERS))
        return str(local_dir / name)

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    drawn = row(host="hub", repo="user/set", revision="abc", files=[SetFile("set.zip")])
    with monkeypatch.context() as patch:
        patch.setattr(hub, "hf_hub_download", from_folder)
        assert set(MEMBERS) <= set(files_below(fetch_set(drawn, tmp_path / "out")))
    assert asked == [("user/set", "set.zip", "dataset", "abc", "http://127.0.0.1:1")]
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DataError, match=r"cnndetect\[data\]"):
        fetch_set(drawn, tmp_path / "none")


def test_sets_that_only_a_person_gets_say_how() -> None:
    for name, words in (("genimage", "Only a browser"), ("chameleon", "Write to"), ("itw-sm", "on request")):
        with pytest.raises(ProtocolError, match=words):
            fetch_set(find_row(name))


def test_the_command_lists_informs_gets_verifies_and_arranges(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path))
    assert main(["ls"]) == 0 and "synthbuster" in (out := capsys.readouterr().out) and "browser only" in out
    assert main(["info", "genimage"]) == 0 and "CC BY-NC-SA 4.0" in (out := capsys.readouterr().out) and "Only a browser" in out
    assert main(["info", "univfd-diffusion", "--json"]) == 0 and json.loads(capsys.readouterr().out)["files"][0]["name"] == "Ojha.tar"
    assert main(["get", "genimage", "--yes"]) != 0 and "Only a browser" in capsys.readouterr().err
    with serving(Site({"set.zip": make_zip(MEMBERS)})) as site:
        drawn = row(files=[SetFile("set.zip", url=f"{site.url}/set.zip")], groups=["a", "b"])
        monkeypatch.setattr(rows_module, "set_rows", lambda: {"drawn": drawn})
        assert main(["get", "drawn"]) != 0 and "give --yes" in (err := capsys.readouterr().err) and "Tiny." in err and not site.requests
        assert main(["get", "drawn", "--yes"]) == 0
    assert main(["verify", str(tmp_path / "drawn"), "--suite", "drawn"]) == 0 and "a: 1 0_real, 1 1_fake" in capsys.readouterr().out
    write_members(tmp_path / "flat", {"gen/1.png": png(1), "reals/1.png": png(2)})
    words = ["arrange", "flat", str(tmp_path / "flat"), "--out", str(tmp_path / "bench")]
    assert main(words) != 0 and "--reals" in capsys.readouterr().err
    assert main([*words, "--reals", str(tmp_path / "flat" / "reals")]) == 0 and "gen: 1" in capsys.readouterr().out
    assert Path(tmp_path / "bench" / "gen" / "0_real.txt").is_file()


@pytest.mark.parametrize("name", rows_module.set_rows())
def test_every_row_answers_info_get_and_verify_without_a_network(name, tmp_path, monkeypatch, capsys) -> None:
    def offline(*_: object) -> Path:
        raise DownloadError(f"{name} could not be fetched")

    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path))
    monkeypatch.setattr("cnndetect.data.sets.fetch._from_hub", offline)
    monkeypatch.setattr("cnndetect.data.sets.fetch._from_address", offline)
    assert main(["info", name]) == 0
    shown = capsys.readouterr().out
    assert find_row(name).licence in shown and "how to get it" in shown and all(line in shown for line in find_row(name).biases)
    assert main(["get", name, "--yes"]) != 0
    error = capsys.readouterr().err
    wanted = find_row(name).repo or find_row(name).address or "Write to"
    assert "could not be fetched" in error or wanted in error
    assert main(["verify", str(tmp_path / name), "--suite", name]) != 0
    assert str(tmp_path / name) in "".join(capsys.readouterr())
