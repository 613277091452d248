"""The store: every writer below one results folder, read by every reader; stored formats come back to the byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_results import draw_results
from drawn_suite import brightness, draw_suite, named, run
from PIL import Image

from cnndetect.analysis.alarms import false_alarms
from cnndetect.analysis.robustness import degraded_scores
from cnndetect.bench.archives import pack
from cnndetect.bench.results import read_result
from cnndetect.bench.run import Options
from cnndetect.bench.store import Condition, read_runs, result_files, result_path
from cnndetect.errors import DataError
from cnndetect.files import plain
from cnndetect.paths import reference_results_root
from cnndetect.report.inputs import read_inputs
from cnndetect.scoring.scores import read_scores
from cnndetect.train.options import parse


def test_false_alarms_in_the_same_folder_do_not_disturb_the_analyses(tmp_path: Path) -> None:
    run(draw_suite(tmp_path / "suite"), tmp_path / "r")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 32)).save(tmp_path / "photos" / "0.png")
    (counted,) = false_alarms(named(), [tmp_path / "photos"], degradations=["none"], results=tmp_path / "r")
    assert counted.images == 1 and len(list(tmp_path.glob("r/alarms/**/*.npz"))) == 1
    assert list(degraded_scores(tmp_path / "r", "brightness")["none"]) == ["biggan", "crn"]


@pytest.mark.parametrize("folder", ["runs", "train"])
def test_training_runs_in_the_same_folder_do_not_disturb_the_report(tmp_path: Path, folder: str) -> None:
    draw_results(tmp_path)
    (tmp_path / folder / "mine").mkdir(parents=True)
    (tmp_path / folder / "mine" / "record.json").write_text('{"arch": "npr"}')
    assert len(read_inputs("drawn", protocol="nocrop", results=[tmp_path]).detectors) == 3


def test_training_keeps_its_runs_in_a_sub_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNDETECT_RESULTS", str(tmp_path))
    config = parse(["--data", str(tmp_path), "--name", "mine"])
    assert config.out == tmp_path / "runs"


def test_stored_results_come_back_to_the_byte(tmp_path: Path) -> None:
    files = result_files(reference_results_root())
    for path in files[:: max(1, len(files) // 7)]:
        result = read_result(path)
        result.save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
        assert read_scores(path.with_suffix(".npz")).provenance == result.provenance


def test_a_folder_of_an_older_version_is_read_and_keeps_its_layout(tmp_path: Path) -> None:
    old, new = draw_results(tmp_path / "old", detectors=("a",)), tmp_path / "new"
    assert list(read_runs([old])[Condition("drawn@1", "nocrop")]) == ["a"]
    assert result_path(old, "b", "crn", Options()) == old / "b" / "crn.nocrop.json"
    assert result_path(new, "b", "crn", Options()) == new / "results" / "b" / "crn.nocrop.json"
    # A detector that is called like another writer is not mistaken for it.
    assert result_path(old, "alarms", "crn", Options()) == old / "results" / "alarms" / "crn.nocrop.json"


@pytest.mark.parametrize(
    "damage", [{"extra": 1}, {"n_real": "four"}, {"detector": "other"}, {"metrics": {}}, {"provenance": {"detector": "good"}}]
)
def test_a_result_that_does_not_validate_is_named(tmp_path: Path, damage: dict) -> None:
    path = draw_results(tmp_path, detectors=("good",), families=("crn",)) / "good" / "crn.nocrop.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(DataError, match="crn.nocrop.json is not a result"):
        read_result(path)


def test_an_archive_stands_for_the_folder_of_a_detector(tmp_path: Path) -> None:
    loose = draw_results(tmp_path / "loose", detectors=("a", "b"), degradations=("none", "jpeg_50"))
    mixed = tmp_path / "mixed"
    shutil.copytree(loose / "b", mixed / "b", ignore=shutil.ignore_patterns("*jpeg_50*"))
    pack(loose / "a", mixed / "a.tar.xz")
    pack(loose / "b", mixed / "b.tar.xz", list((loose / "b").glob("*jpeg_50*")))
    one, other = read_runs([loose]), read_runs([mixed])
    assert set(other) == set(one) == {Condition("drawn@1", "nocrop"), Condition("drawn@1", "nocrop", "jpeg_50")}
    for condition, rows in one.items():
        for detector, name in ((detector, name) for detector, row in rows.items() for name in row):
            this, that = other[condition][detector][name], rows[detector][name]
            assert plain(this.result) == plain(that.result) and np.array_equal(this.scores.logits, that.scores.logits)
    pack(loose / "a", tmp_path / "again.tar.xz")
    assert (tmp_path / "again.tar.xz").read_bytes() == (mixed / "a.tar.xz").read_bytes()
    # It keeps the layout of the folders beside it.
    assert result_path(mixed, "new", "crn", Options()) == mixed / "new" / "crn.nocrop.json"


def test_the_bench_goes_on_from_an_archive_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    suite, calls = draw_suite(tmp_path / "suite"), []

    def network(images: torch.Tensor) -> torch.Tensor:
        calls.append(len(images))
        return brightness(images)

    detector = named(network, "mine")
    first = run(suite, tmp_path / "r", detector)
    pack(tmp_path / "r" / "results" / "mine", tmp_path / "r" / "results" / "mine.tar.xz")
    shutil.rmtree(tmp_path / "r" / "results" / "mine")
    packed, images = (tmp_path / "r" / "results" / "mine.tar.xz").read_bytes(), sum(calls)
    again = run(suite, tmp_path / "r", detector)
    assert (again.aps.values == first.aps.values).all() and sum(calls) == images == 16
    assert not (tmp_path / "r" / "results" / "mine").exists()
    # Other intervals are made from the scores of the archive, and lie beside it.
    assert run(suite, tmp_path / "r", detector, draws=7).results[0].draws == 7 and sum(calls) == images
    assert len(read_runs([tmp_path / "r"])[Condition("suite@0", "nocrop")]["mine"]) == 2
    (tmp_path / "r" / "results" / "mine.tar.xz").write_bytes(packed[:50])
    with pytest.raises(DataError, match="no archive of results"):
        read_runs([tmp_path / "r"])
