"""Other people's test sets: rows that say what they must, and every layout on a tiny drawn set."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from drawn_official import write_members
from drawn_suite import named
from loopback import png

from cnndetect.bench.run import Options, run_suite
from cnndetect.bench.suites import find_suites, list_suites
from cnndetect.data.folders import class_of, clusters, contents, scan
from cnndetect.data.sets.arrange import arrange_csv, arrange_flat, arrange_parquet, arrange_webdataset, label_of
from cnndetect.data.sets.rows import find_row, how_to_get, notes, set_rows
from cnndetect.errors import DataError, LayoutError, UnknownNameError


def labels(root: Path) -> dict[str, int]:
    return {sample.relative: sample.label for sample in scan(root)}


def test_every_row_says_where_the_set_is_and_what_is_wrong_with_it(tmp_path) -> None:
    assert {"univfd-diffusion", "gangen-detection", "diffusion-forensics", "aigcdetect-16", "synthbuster", "genimage", "wildrf", "chameleon",
            "community-forensics-eval", "opensdi", "dda-coco"} <= set(set_rows())  # fmt: skip
    for row in set_rows().values():
        assert row.licence and notes(row)[0] == f"licence: {row.licence}"
        assert row.repo if row.host == "hub" else row.page if row.host == "browser" else row.how or row.files, row.id
        assert all(group in row.groups for names in row.shared_reals for group in names)
        text = how_to_get(row, tmp_path)
        assert ("Only a browser" in text) == (row.host == "browser") and ("on request" in text) == (row.gated and row.host == "hub")
    with pytest.raises(UnknownNameError, match="Did you mean 'genimage'"):
        find_row("genimages")


def test_layouts_that_are_read_where_they_lie(tmp_path) -> None:
    for real, fake in (("nature", "ai"), ("real", "fake")):
        write_members(tmp_path / fake, {f"adm/val/{real}/a.png": png(1), f"adm/val/{fake}/a.png": png(2), f"adm/val/{fake}/b.png": png(3)})
        found = scan(tmp_path / fake / "adm")
        assert [(s.relative, s.label) for s in found] == [(f"val/{real}/a.png", 0), (f"val/{fake}/a.png", 1), (f"val/{fake}/b.png", 1)]
        assert {class_of(sample) for sample in found} == {"val"}
        assert [test_set.name for test_set in find_suites(tmp_path / fake)[0].sets] == ["adm"]
    # One class alone is no test set: a folder may be called real for any reason.
    write_members(tmp_path / "half", {"x/real/a.png": png(1)})
    with pytest.raises(LayoutError, match=r"found: x\)\. Expected 0_real/ and 1_fake/.*nature/ and ai/"):
        find_suites(tmp_path / "half")


def test_flat_fakes_with_separate_reals_share_them(tmp_path) -> None:
    write_members(tmp_path / "in", {"dalle2/a.png": png(1), "firefly/a.png": png(2), "raise/r1.png": png(3), "raise/r2.png": png(4)})
    assert arrange_flat(tmp_path / "in", tmp_path / "in" / "raise", tmp_path / "out") == {"dalle2": 1, "firefly": 1}
    sets = {test_set.name: scan(test_set.root) for test_set in find_suites(tmp_path / "out")[0].sets}
    drawn = {name: clusters(found, contents(found)) for name, found in sets.items()}
    assert [sample.label for sample in sets["dalle2"]] == [0, 0, 1]
    assert drawn["dalle2"][:2] == drawn["firefly"][:2] and drawn["dalle2"][2] != drawn["firefly"][2]
    arrange_flat(tmp_path / "in", tmp_path / "in" / "raise", tmp_path / "out")  # again, nothing in the way
    with pytest.raises(LayoutError, match="holds no image"):
        arrange_flat(tmp_path / "in", _empty(tmp_path / "none"), tmp_path / "out")


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_csv_names_files_labels_and_generators(tmp_path) -> None:
    write_members(tmp_path / "in", {f"pics/{k}.png": png(k) for k in range(4)})
    table = tmp_path / "in" / "list.csv"
    table.write_text("file,type,gen\npics/0.png,real,flux\npics/1.png,fake,flux\npics/2.png,tampered,flux\npics/3.png,1,flux\n")
    counts = arrange_csv(table, tmp_path / "out", path="file", label="type", group="gen")
    assert counts == {"flux/0_real": 1, "flux/1_fake": 2, "left out": 1} and sorted(labels(tmp_path / "out" / "flux").values()) == [0, 1, 1]
    with pytest.raises(DataError, match="no column label. It has: file, type, gen"):
        arrange_csv(table, tmp_path / "no", path="file")
    table.write_text("path,label\npics/9.png,0\n")
    with pytest.raises(DataError, match=r"line 2: pics/9.png does not exist"):
        arrange_csv(table, tmp_path / "no")


@pytest.mark.parametrize("as_struct", [True, False])
def test_parquet_rows_become_files_unchanged(tmp_path, as_struct) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    images = [png(k) for k in range(5)]
    column = [{"bytes": image, "path": None} for image in images] if as_struct else images
    parquet.write_table(pa.table({"image": column, "label": [0, 1, 1, 0, 2]}), tmp_path / "a.parquet")
    counts = arrange_parquet([tmp_path / "a.parquet"], tmp_path / "out")
    assert counts == {"0_real": 2, "1_fake": 2, "left out": 1}
    found = {sample.relative: sample.path.read_bytes() for sample in scan(tmp_path / "out")}
    assert found == {"0_real/000000.png": images[0], "1_fake/000001.png": images[1], "1_fake/000002.png": images[2],
                     "0_real/000003.png": images[3]}  # fmt: skip
    with pytest.raises(DataError, match="no column picture"):
        arrange_parquet([tmp_path / "a.parquet"], tmp_path / "no", image="picture")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(DataError, match="Expected a Parquet file"):
        arrange_parquet([tmp_path / "cut.parquet"], tmp_path / "no")


def _tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_webdataset_shards_with_either_kind_of_label(tmp_path) -> None:
    first = _tar(tmp_path / "0.tar", {"../../evil.png": png(1), "../../evil.cls": b"1", "b.png": png(2), "b.cls": b"0"})
    second = _tar(tmp_path / "1.tar", {"b.png": png(3), "b.json": json.dumps({"label": "fake"}).encode()})
    assert arrange_webdataset([first, second], tmp_path / "deep" / "out") == {"1_fake": 2, "0_real": 1}
    assert sorted(labels(tmp_path / "deep" / "out").values()) == [0, 1, 1] and not list(tmp_path.glob("*evil*"))
    with pytest.raises(DataError, match=r"has no label. Expected KEY.cls"):
        arrange_webdataset([_tar(tmp_path / "2.tar", {"a.png": png(1)})], tmp_path / "no")
    with pytest.raises(DataError, match=r"no row is real or fake by its label \(found: cat\)"):
        arrange_webdataset([_tar(tmp_path / "3.tar", {"a.png": png(1), "a.cls": b"cat"})], tmp_path / "no")
    assert (label_of("Nature"), label_of("AI"), label_of(2)) == (0, 1, None)


def test_a_set_of_the_catalogue_is_a_suite_with_its_licence_and_biases(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CNNDETECT_MINI", str(tmp_path / "none"))
    with pytest.raises(LayoutError, match=r"(?s)genimage is not in .*Only a browser can fetch it.*drive.google.com"):
        find_suites("genimage")
    write_members(tmp_path / "data" / "genimage", {f"{g}/val/{c}/a.png": png(k) for k, (g, c) in enumerate(
        (g, c) for g in ("ADM", "Wukong") for c in ("ai", "nature"))})  # fmt: skip
    assert list_suites() == ["genimage"]
    (suite,) = find_suites("genimage")
    assert suite.title == "genimage@1" and [one.name for one in suite.sets] == ["ADM", "Wukong"]
    text = run_suite(named(), suite, Options(draws=0), results=tmp_path / "r").table("github")
    assert "licence: CC BY-NC-SA 4.0" in text and "format and size alone tell them apart" in text
