"""Rows that somebody sends: right ones pass, and every way to be wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from drawn_suite import draw_suite, named, run

from cnndetect.bench import verify as module
from cnndetect.bench.archives import pack
from cnndetect.bench.results import read_result
from cnndetect.bench.store import keep
from cnndetect.bench.suites import Suite, TestSet
from cnndetect.bench.verify import verify
from cnndetect.cli.main import main
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.published.loading import known_sha256
from cnndetect.errors import DataError
from cnndetect.scoring.scores import read_scores


@pytest.fixture
def row(tmp_path, monkeypatch) -> Path:
    """Results of a detector on a drawn suite that is installed under the name it has in them."""
    root = draw_suite(tmp_path / "suite")
    run(root, tmp_path / "r", named(progan_only=None))
    suite = Suite("suite", 0, tuple(TestSet(name, root / name) for name in ("biggan", "crn")))
    monkeypatch.setattr(module, "_installed", lambda title: suite if title == suite.title else None)
    return tmp_path / "r"


def stored(row: Path) -> Path:
    return next(row.rglob("crn.nocrop.json"))


def changed(path: Path, **fields) -> None:
    """Write a result again with other fields, and its scores with its provenance."""
    result = msgspec.structs.replace(read_result(path), **fields)
    result.save(path)
    scores = read_scores(path.with_suffix(".npz"))
    type(scores)(scores.paths, scores.clusters, scores.labels, scores.logits, scores.errors, result.provenance).save(
        path.with_suffix(".npz")
    )


def test_what_the_bench_wrote_passes(row, capsys) -> None:
    found = verify([row])
    assert (found.files, found.problems, found.notes) == (2, (), ())
    assert main(["leaderboard", "verify", str(row)]) == 0 and "2 results, 0 problems" in capsys.readouterr().out


def test_a_figure_that_its_scores_do_not_give(row, capsys) -> None:
    path = stored(row)
    content = json.loads(path.read_text())
    content["metrics"]["ap"]["value"] += 1e-6
    path.write_text(json.dumps(content))
    (problem,) = verify([row]).problems
    assert "crn.nocrop.json" in problem and problem.endswith("do not give: ap")
    assert main(["leaderboard", "verify", str(row), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"] == [problem]


def test_scores_that_were_changed_with_their_figures_left(row) -> None:
    path = stored(row).with_suffix(".npz")
    scores = read_scores(path)
    logits = np.where(scores.labels == 1, scores.logits + 10, scores.logits)
    type(scores)(scores.paths, scores.clusters, scores.labels, logits, scores.errors, scores.provenance).save(path)
    assert any("do not give" in problem for problem in verify([row]).problems)


def test_other_images_than_those_of_the_suite(row, monkeypatch) -> None:
    path = stored(row)
    provenance = msgspec.structs.replace(read_result(path).provenance, fingerprint="0" * 64)
    changed(path, provenance=provenance)
    assert any("not made from the images of suite@0" in problem for problem in verify([row]).problems)
    # Of a suite that every user builds, the names are what must agree.
    monkeypatch.setattr(module, "BUILT", "suite@0")
    found = verify([row], rescore=1)
    assert found.problems == () and any("built on another processor" in note for note in found.notes)
    scores = read_scores(path.with_suffix(".npz"))
    names = np.char.add(scores.paths, "x")
    type(scores)(names, scores.clusters, scores.labels, scores.logits, scores.errors, scores.provenance).save(path.with_suffix(".npz"))
    assert any("not made from the images of suite@0" in problem for problem in verify([row]).problems)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"limit": 2}, "a trial"),
        ({"identity": None}, "nothing proves"),
        ({"identity": "e" * 64}, "other weights"),
        ({"test_set": "san"}, "has no test set"),
    ],
)
def test_a_provenance_that_makes_no_row(row, fields, words) -> None:
    path = stored(row)
    changed(path, provenance=msgspec.structs.replace(read_result(path).provenance, **fields))
    assert any(words in problem for problem in verify([row]).problems)


def test_a_detector_whose_record_says_otherwise(tmp_path) -> None:
    detector = named(name="tiny-ladeda-wildrf", weights_sha256="f" * 64, progan_only=True)
    run(draw_suite(tmp_path / "suite", families=("crn",)), tmp_path / "r", detector)
    found = verify([tmp_path / "r"])
    assert any("those of tiny-ladeda-wildrf have 5e063100" in problem for problem in found.problems)
    assert any("saw ProGAN images alone, and its record does not" in problem for problem in found.problems)


def test_the_digest_of_a_detector_is_that_of_all_its_files_and_of_what_ships_for_it(tmp_path) -> None:
    known = known_sha256(PUBLISHED["clip-progan"])
    assert known not in (None, PUBLISHED["clip-progan"].files[0].sha256)
    assert known_sha256(PUBLISHED["npr"]) is None and known_sha256(PUBLISHED["tiny-ladeda-wildrf"]).startswith("5e063100")
    suite = draw_suite(tmp_path / "suite", families=("crn",))
    run(suite, tmp_path / "right", named(name="clip-progan", weights_sha256=known, progan_only=True))
    assert not verify([tmp_path / "right"]).problems
    run(suite, tmp_path / "wrong", named(name="clip-progan", weights_sha256="f" * 64, progan_only=True))
    assert any(f"those of clip-progan have {known}" in problem for problem in verify([tmp_path / "wrong"]).problems)


def test_a_problem_in_an_archive_is_named_by_the_archive(tmp_path) -> None:
    detector = named(name="tiny-ladeda-wildrf", weights_sha256="f" * 64, progan_only=True)
    run(draw_suite(tmp_path / "suite", families=("crn",)), tmp_path / "r", detector)
    (tmp_path / "packed").mkdir()
    pack(tmp_path / "r" / "results" / "tiny-ladeda-wildrf", tmp_path / "packed" / "tiny-ladeda-wildrf.tar.xz")
    found = verify([tmp_path / "packed"])
    assert found.problems and all(f"{tmp_path}/packed/tiny-ladeda-wildrf.tar.xz/crn.nocrop.json" in one for one in found.problems)


def test_a_suite_that_is_not_here_is_a_note_and_the_word_of_a_sender_too(tmp_path) -> None:
    run(draw_suite(tmp_path / "suite", families=("crn",)), tmp_path / "r")
    found = verify([tmp_path / "r"])
    assert not found.problems and any("suite@0 is not installed" in note for note in found.notes)
    assert any("brightness: no record says" in note for note in found.notes)


def test_scores_that_the_detector_does_not_give_are_found_by_scoring_again(row, monkeypatch) -> None:
    monkeypatch.setattr(module, "load", lambda name: named(progan_only=None))
    assert not verify([row], rescore=2).problems
    path = stored(row)
    scores = read_scores(path.with_suffix(".npz"))
    again = type(scores)(scores.paths, scores.clusters, scores.labels, scores.logits + 0.5, scores.errors, scores.provenance)
    keep(path, again, draws=50, seed=0)  # the figures are those of the scores
    assert not verify([row]).problems
    (problem,) = verify([row], rescore=2).problems
    assert "brightness does not give" in problem
    monkeypatch.setattr(module, "load", lambda name: named(weights_sha256="a" * 64))
    assert all("other weights" in problem for problem in verify([row], rescore=2).problems)


def test_missing_scores_are_named_and_an_empty_folder_is_an_error(row, tmp_path) -> None:
    stored(row).with_suffix(".npz").unlink()
    assert any("not a file of scores" in problem for problem in verify([row]).problems)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no results"):
        verify([tmp_path / "empty"])
