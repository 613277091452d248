"""The selection log: a result says which choices were made on which data, and takes no new scoring to learn it."""

from __future__ import annotations

import pytest
from drawn_suite import draw_suite, named, run

from cnndetect.bench.results import read_result
from cnndetect.bench.selection import UNSAID, selection_lines, selection_of

FITTED = {"fingerprint": "ab" * 32, "degradations": ["none", "jpeg_75"], "data": "val", "images": 20, "max_false_alarms": 0.05}
WORDS = "20 logits of validation images val (none, jpeg_75), at most 5 % false alarms"


def detector(**record):
    return named(threshold_logit=0.1, temperature=2.0, record=record)


def test_every_choice_names_its_data() -> None:
    found = selection_of(detector(fitted_on=FITTED, recipe="r", training_data="photographs of a", network="tiny"))
    assert {choice.what: choice.on for choice in found} == {"threshold": WORDS, "temperature": WORDS, "checkpoint": "photographs of a"}
    assert found[0].fingerprint == FITTED["fingerprint"]
    assert selection_lines(found) == [f"threshold, temperature: {WORDS}", "checkpoint: photographs of a"]
    fused = selection_of(detector(fitted_on=FITTED, network="fusion", verdict={"real_below_logit": 0, "fake_above_logit": 1}))
    assert [choice.what for choice in fused] == ["threshold", "temperature", "verdict", "fusion"]
    assert selection_of(detector())[0].on == UNSAID


def test_a_result_carries_the_log_and_an_older_one_learns_it(tmp_path) -> None:
    suite = draw_suite(tmp_path / "suite", families=("crn",))
    run(suite, tmp_path / "r", named())
    path = tmp_path / "r" / "results" / "brightness" / "crn.nocrop.json"
    assert [choice.on for choice in read_result(path).selection] == [UNSAID]
    before = (read_result(path).time, path.with_suffix(".npz").read_bytes())
    known = named(lambda images: pytest.fail("scored again"), record={"fitted_on": FITTED})
    again = run(suite, tmp_path / "r", known)
    assert [choice.on for choice in read_result(path).selection] == [WORDS]
    assert before == (read_result(path).time, path.with_suffix(".npz").read_bytes())
    assert f"- threshold: {WORDS}" in again.table()
