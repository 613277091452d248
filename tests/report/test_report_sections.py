"""The sections that look at images and at degraded scores, on a drawn suite, and their words where inputs are absent."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from drawn_results import draw_results
from drawn_suite import draw_suite, named, run

from cnndetect.report import audit_section, errors_section, fakeness_section, spectra_section
from cnndetect.report.build import build_report
from cnndetect.report.inputs import Inputs, read_inputs

IMAGES = ("fakeness", "explain", "spectra", "audit")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    root = tmp_path_factory.mktemp("drawn")
    suite = draw_suite(root / "drawn", per_class=6)
    run(suite, root / "results")
    run(suite, root / "results", degradation="jpeg_50")
    return read_inputs(suite, protocol="nocrop", results=[root / "results"], draws=20)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_section_is_made_from_a_suite_and_its_scores(inputs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fakeness_section, "_has_features", lambda: False)
    monkeypatch.setattr(errors_section, "_loadable", lambda inputs: [named()])
    report = build_report(inputs, tmp_path, sections=["forest", "robustness", *IMAGES])
    assert report.failed == {} and report.missing == {}
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert {"robustness-ap", "shift-brightness", "sheet-crn", "sheet-reals-biggan", "fakeness-quality", "explain-biggan",
            "errors-reals", "errors-fakes", "spectra-1", "profile-crn", "audit-crn"} <= figures  # fmt: skip
    text = report.page.read_text(encoding="utf-8")
    assert "data:image/webp;base64," in text

    # A sheet goes from the least to the most fake, with stored logits.
    stored = inputs.rows["brightness"]["crn"].scores
    sheet = [(row["image"], float(row["logit"])) for row in rows_of(tmp_path / "data" / "sheet-crn.csv")]
    fakes = stored.labels == 1
    assert [logit for _, logit in sheet] == pytest.approx(sorted(stored.logits[fakes]))
    assert dict(sheet) == pytest.approx(dict(zip(stored.paths[fakes], stored.logits[fakes], strict=True)))

    degraded = rows_of(tmp_path / "data" / "robustness.csv")
    assert [row["degradation"] for row in degraded] == ["none", "jpeg_50"] and float(degraded[0]["real_shift"]) == 0
    verdicts = {row["test_set"]: row["verdict"] for row in rows_of(tmp_path / "data" / "audit.csv")}
    assert set(verdicts) == {"biggan", "crn"}
    # A press on a figure leads to the pictures behind it, with the stored logits.
    assert 'href="images/crn.html#brightness"' in text
    pictures = (tmp_path / "images" / "crn.html").read_text(encoding="utf-8")
    assert pictures.count("<li ") == 12 and f'data-logits="{stored.logits[0]:.4g}"' in pictures
    heat = [float(row["heat"]) for row in rows_of(tmp_path / "data" / "explain-crn.csv")]
    assert heat and np.isfinite(heat).all()


def test_what_was_computed_once_is_kept_and_gives_the_same_page(inputs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fakeness_section, "_has_features", lambda: False)
    monkeypatch.setattr(errors_section, "_loadable", lambda inputs: [named()])
    monkeypatch.setenv("CNNDETECT_KEPT", str(tmp_path / "kept"))
    first = build_report(inputs, tmp_path / "first", sections=IMAGES)
    kept = {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert {path.parent.name for path in kept} >= {"spectra", "quality", "audit"}

    def again(*args, **kwargs):
        raise AssertionError("computed twice")

    for module, name in ((fakeness_section, "quality_measures"), (audit_section, "audit_set"), (spectra_section, "set_spectra")):
        monkeypatch.setattr(module, name, again)
    second = build_report(inputs, tmp_path / "second", sections=IMAGES)
    assert first.failed == second.failed == {} and first.page.read_bytes() == second.page.read_bytes()
    # What is damaged is made again.
    monkeypatch.undo()
    monkeypatch.setenv("CNNDETECT_KEPT", str(tmp_path / "kept"))
    for path in kept:
        path.write_bytes(b"damaged")
    build_report(inputs, tmp_path / "third", sections=["spectra", "audit"])
    spoiled = [path for path in kept if path.parent.name in ("spectra", "audit") and path.read_bytes() == b"damaged"]
    assert not spoiled


def test_what_is_absent_is_said_with_the_command_that_makes_it(tmp_path) -> None:
    draw_results(tmp_path / "r", detectors=("good", "poor"))
    absent = read_inputs("drawn", protocol="nocrop", results=[tmp_path / "r"], draws=5)
    report = build_report(absent, tmp_path / "out", sections=["robustness", "ranks", *IMAGES])
    assert report.missing.keys() == {"robustness", "ranks", *IMAGES} and report.failed == {}
    assert "python -m cnndetect.bench robustness --suite drawn" in report.missing["robustness"]
    assert "--protocol crop224" in report.missing["ranks"]
    for anchor in ("fakeness", "explain", "spectra"):
        assert f"cnndetect report --section {anchor}" in report.missing[anchor]
    assert "cnndetect audit --suite" in report.missing["audit"]
    assert "not made" in report.page.read_text(encoding="utf-8")


def test_large_suites_are_left_to_their_commands(inputs) -> None:
    small = Inputs("my/folder", inputs.suite, inputs.base, inputs.runs, inputs.folders, 5, 0, most_images=10)
    words = small.no_images("cnndetect audit --suite {suite}")
    assert words is not None and words.startswith("24 images") and "--limit" in words and "cnndetect audit --suite my/folder`" in words
    assert inputs.no_images("") is None


def test_scores_of_other_images_fail_their_section_alone(inputs, tmp_path, monkeypatch) -> None:
    assert inputs.suite is not None
    victim = next((inputs.suite.sets[0].root / "1_fake").iterdir())
    kept = victim.read_bytes()
    victim.unlink()
    try:
        report = build_report(inputs, tmp_path, sections=["leaderboard", "fakeness"])
    finally:
        victim.write_bytes(kept)
    assert "another version of the set" in report.failed["fakeness"] and (tmp_path / "figures" / "leaderboard.png").is_file()


def test_only_a_detector_with_the_stored_weights_explains(inputs) -> None:
    # The registry does not know "brightness", and nothing else may speak for it.
    assert errors_section._loadable(inputs) == []


def test_sections_about_one_detector_are_made_for_every_one_that_is_asked_for(inputs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fakeness_section, "_has_features", lambda: False)
    assert inputs.shown == ("brightness",) and inputs.chosen == ()
    suite, results = Path(inputs.given), inputs.folders[0]
    run(suite, results, named(name="other"))
    asked = {"protocol": "nocrop", "results": [results], "draws": 20, "most_images": None}
    both = read_inputs(suite, **asked, detectors=["brightness", "other"])
    assert set(both.shown) == {"brightness", "other"}
    report = build_report(both, tmp_path, sections=["fakeness"])
    assert report.failed == {}
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert {"fakeness-quality-other", "fakeness-quality-brightness", "sheet-other-crn", "sheet-brightness-crn"} <= figures
