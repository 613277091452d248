"""Bulk scoring in one process: every kind of input, resuming, failures, and parts that belong to one run."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

import cnndetect
from cnndetect.cli.main import main
from cnndetect.detectors.base import Detector
from cnndetect.errors import DataError, LayoutError, ProtocolError

pyarrow = pytest.importorskip("pyarrow")
dataset = pytest.importorskip("pyarrow.dataset")
parquet = pytest.importorskip("pyarrow.parquet")


def _png(value: int, size: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((size, 8, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten images of two sizes, and one that is broken."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    for number in range(10):
        (root / ("sub" if number % 2 else ".") / f"{number}.png").write_bytes(_png(20 * number, 8 + number % 2))
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    return root


def _detector(seen: list[int] | None = None, *, stop_after: int | None = None) -> Detector:
    """The mean of an image. seen: grows by the size of every batch."""
    seen = [] if seen is None else seen

    def network(batch):
        if stop_after is not None and sum(seen) >= stop_after:
            raise KeyboardInterrupt
        seen.append(len(batch))
        return batch.mean((1, 2, 3))

    return Detector("mean", network, identity="mean-1")


def _rows(out: object) -> dict[str, dict]:
    rows = dataset.dataset(out, format="parquet").to_table().to_pylist()
    assert len({row["path"] for row in rows}) == len(rows), "an image was scored twice"
    return {row["path"]: row for row in rows}


def test_every_image_has_a_row_with_the_score_of_the_one_engine(photos: Path, tmp_path: Path) -> None:
    found = cnndetect.score_dataset(photos, tmp_path / "out", detector=_detector(), images_per_part=4)
    rows = _rows(tmp_path / "out")
    assert (found.images, found.failed, found.found) == (11, 1, 0) and len(rows) == 11
    broken = rows.pop(str(photos / "broken.png"))
    assert broken["logit"] is None and broken["fakeness"] is None and "broken.png" in broken["error"]
    expected = cnndetect.score([*rows], detector=_detector(), return_logit=True)
    assert [row["logit"] for row in rows.values()] == pytest.approx(expected.tolist(), abs=1e-6)
    one = next(iter(rows.values()))
    assert set(one) == {"path", "logit", "fakeness", "error", "detector", "weights_sha256", "protocol"}
    assert (one["detector"], one["protocol"], one["error"]) == ("mean", "nocrop", None)
    assert one["fakeness"] == pytest.approx(1 / (1 + np.exp(-one["logit"])))


def test_tars_parquet_and_addresses_give_the_scores_of_the_files(photos: Path, tmp_path: Path) -> None:
    files = sorted(photos.rglob("[0-9].png"))
    memory = fsspec.filesystem("memory")
    root = f"/bulk-{tmp_path.name}"
    for file in files:
        memory.pipe_file(f"{root}/plain/{file.name}", file.read_bytes())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            for name, content in ((f"{file.stem}.png", file.read_bytes()), (f"{file.stem}.json", b"{}")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    memory.pipe_file(f"{root}/shards/a.tar", buffer.getvalue())
    contents = [file.read_bytes() for file in files]
    parquet.write_table(pyarrow.table({"id": [*range(10)], "image": contents}), tmp_path / "flat.parquet", row_group_size=3)
    parquet.write_table(pyarrow.table({"image": [{"bytes": one, "path": "x"} for one in contents]}), tmp_path / "nested.parquet")

    want = [cnndetect.score(file, detector=_detector(), return_logit=True) for file in files]
    inputs = [f"memory:/{root}/plain", f"memory:/{root}/shards", tmp_path / "flat.parquet", tmp_path / "nested.parquet"]
    found = cnndetect.score_dataset(inputs, f"memory:/{root}/out", detector=_detector(), images_per_part=4)
    assert (found.images, found.failed) == (40, 0)
    names = memory.glob(f"{root}/out/*.parquet")
    rows = [row for name in names for row in parquet.read_table(memory.open(name)).to_pylist()]
    logits = {row["path"]: row["logit"] for row in rows}
    for place, file in enumerate(files):
        plain = f"memory://{root}/plain/{file.name}"
        member = f"tar://{file.name}::memory://{root}/shards/a.tar"
        for name in (plain, member, f"{tmp_path}/flat.parquet#{place}", f"{tmp_path}/nested.parquet#{place}"):
            assert logits[name] == pytest.approx(want[place], abs=1e-6), name
    with fsspec.open(member) as file:  # the name of a member opens it
        assert file.read() == contents[-1]


@pytest.mark.parametrize("kind", ["files", "tar", "parquet"])
def test_an_interrupted_run_goes_on_and_loses_at_most_a_part(kind: str, photos: Path, tmp_path: Path) -> None:
    given: Path = photos
    if kind == "tar":
        given = tmp_path / "a.tar"
        with tarfile.open(given, "w") as archive:
            archive.add(photos, "photos")
    if kind == "parquet":
        given = tmp_path / "a.parquet"
        contents = [file.read_bytes() for file in sorted(photos.rglob("*.png"))]
        parquet.write_table(pyarrow.table({"jpg": contents}), given, row_group_size=2)
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        cnndetect.score_dataset(given, tmp_path / "out", detector=_detector(seen, stop_after=6), images_per_part=3)
    assert 0 < len(_rows(tmp_path / "out")) < 11
    assert cnndetect.score_dataset(given, tmp_path / "out", detector=_detector(seen), images_per_part=3).images == 11
    assert sum(seen) <= 10 + 3 and len(_rows(tmp_path / "out")) == 11
    before = sum(seen)
    again = cnndetect.score_dataset(given, tmp_path / "out", detector=_detector(seen), images_per_part=3)
    assert (again.images, again.failed, again.found, sum(seen)) == (11, 1, 11, before)


def test_what_a_killed_worker_left_half_written_is_gone_at_the_end(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores"
    cnndetect.score_dataset(photos, out, detector=_detector(), images_per_part=4)
    part = sorted(out.glob("*.parquet"))[-1]
    half, other = out / f".{part.name}.0123.tmp", out / ".notes.tmp"
    half.write_bytes(part.read_bytes()[:10])
    other.touch()
    part.unlink()
    cnndetect.score_dataset(photos, out, detector=_detector(), images_per_part=4)
    assert part.exists() and not half.exists() and other.exists()


def test_images_that_join_a_folder_are_scored_alone(photos: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    cnndetect.score_dataset(photos, tmp_path / "out", detector=_detector(seen), images_per_part=4)
    for name in ("0a.png", "5a.png"):  # in the middle of the order, so that every part shifts
        (photos / name).write_bytes(_png(7))
    for _ in range(2):
        found = cnndetect.score_dataset(photos, tmp_path / "out", detector=_detector(seen), images_per_part=4)
        assert (found.images, sum(seen)) == (13, 12)
    assert len(_rows(tmp_path / "out")) == 13


def test_a_shard_that_breaks_off_is_counted_and_the_run_goes_on(photos: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.tar"
    with tarfile.open(whole, "w") as archive:
        archive.add(photos, "photos")
    (tmp_path / "torn.tar").write_bytes(whole.read_bytes()[:4000])
    (tmp_path / "none.parquet").write_bytes(b"no table")
    inputs = [tmp_path / name for name in ("torn.tar", "none.parquet", "whole.tar")]
    found = cnndetect.score_dataset(inputs, tmp_path / "out", detector=_detector())
    rows = _rows(tmp_path / "out")
    assert "breaks off after" in rows[str(tmp_path / "torn.tar")]["error"]
    assert "breaks off after 0 images" in rows[str(tmp_path / "none.parquet")]["error"]
    assert sum(f"::{whole}" in path for path in rows) == 11
    assert found.images == len(rows) and found.failed == sum(row["error"] is not None for row in rows.values())


def test_scores_of_two_runs_are_never_mixed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cnndetect.score_dataset(photos, out, detector=_detector())
    with pytest.raises(ProtocolError, match="identity 'mean-1', now 'mean-2'"):
        cnndetect.score_dataset(photos, out, detector=Detector("mean", _detector().network, identity="mean-2"))
    with pytest.raises(ProtocolError, match="protocol"):
        cnndetect.score_dataset(photos, out, detector=_detector(), protocol="crop224")
    with pytest.raises(ProtocolError, match="new or empty folder"):
        cnndetect.score_dataset(photos, photos, detector=_detector())
    cnndetect.score_dataset(photos, tmp_path / "other", detector=lambda batch: batch.mean((1, 2, 3)))
    with pytest.raises(ProtocolError, match="nothing proves"):
        cnndetect.score_dataset(photos, tmp_path / "other", detector=lambda batch: batch.mean((1, 2, 3)))


def test_bad_input_is_named(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for given, words in ((tmp_path / "missing", "does not exist"), (tmp_path / "empty", "nothing to score"), ("nofs://a/b", "fsspec")):
        with pytest.raises(LayoutError, match=words):
            cnndetect.score_dataset(given, tmp_path / "out", detector=_detector())
    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "text.parquet")
    with pytest.raises(DataError, match="no column of image bytes .found: text"):
        cnndetect.score_dataset(tmp_path / "text.parquet", tmp_path / "out", detector=_detector())


def test_the_command_counts_and_says_where(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    (tmp_path / "bulk_detector_for_tests.py").write_text("def make():\n    return lambda batch: batch.mean((1, 2, 3))\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = ["score", str(photos), "--detector", "bulk_detector_for_tests:make", "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "out"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["failed"]) == (11, 1)
    assert main([*words, "--engine", "local"]) == 2 and "--out DIR" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "out"), "--sort"]) == 2 and "--sort does not go" in capsys.readouterr().err
