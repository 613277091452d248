"""Detectors are compared and calibrated on validation images alone, and their verdict keeps its word under every condition."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnndetect.data.test_only import MARK, refuse_test_images
from cnndetect.detectors.base import Detector
from cnndetect.errors import MetricError, ProtocolError
from cnndetect.fitting import choice
from cnndetect.fitting.choice import compare_detectors, shown
from cnndetect.fitting.validation import validation_logits
from cnndetect.metrics.calibration import fit_verdict
from cnndetect.paths import mini_root


@pytest.fixture
def val(tmp_path: Path) -> Path:
    """Two classes of flat images: reals dark, fakes bright, but for one fake of class b."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        for label, level in (("0_real", 60), ("1_fake", 180)):
            folder = tmp_path / "val" / name / label
            folder.mkdir(parents=True)
            for index in range(4):
                dark = name == "b" and label == "1_fake" and index == 0
                array = np.full((32, 32, 3), 10 if dark else level + index, np.uint8)
                Image.fromarray(array + rng.integers(0, 2, array.shape, dtype=np.uint8)).save(folder / f"{index}.png")
    return tmp_path / "val"


def test_the_better_detector_comes_first(val: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "bright": Detector("bright", lambda images: images.mean(dim=(1, 2, 3))),
        "dark": Detector("dark", lambda images: -images.mean(dim=(1, 2, 3))),
    }
    monkeypatch.setattr(choice, "load", lambda name, device=None: made[name])
    found = compare_detectors(["dark", "bright"], val, conditions=("none", "resize_0.5"))
    assert [one.name for one in found] == ["bright", "dark"]
    assert found[0].by_class == {"a": 1.0, "b": 0.75} and found[0].by_condition["none"][1] == pytest.approx(1 - 8 / 64)
    assert "resize_0.5" in shown(found)


def test_a_test_suite_may_not_choose(val: Path) -> None:
    with pytest.raises(ProtocolError, match="test suite"):
        refuse_test_images(mini_root() / "progan", purpose="choosing")
    refuse_test_images(val, purpose="choosing")
    (val.parent / MARK).touch()
    with pytest.raises(ProtocolError, match="test suite"):
        refuse_test_images(val / "a", purpose="choosing")


@pytest.mark.parametrize("place", ["catalogue", "holds", "below"])
def test_a_set_of_the_catalogue_may_not_choose_wherever_it_is_seen_from(
    val: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path / "data"))
    suite = tmp_path / "data" / "genimage"
    shutil.copytree(val, suite)
    (val / "a" / MARK).touch() if place == "below" else None
    root = {"catalogue": suite / "a", "holds": tmp_path / "data", "below": val}[place]
    with pytest.raises(ProtocolError, match="belongs to the test suite"):
        refuse_test_images(root, purpose="choosing")


def test_reals_that_a_list_takes_from_a_test_suite_are_refused(val: Path, tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    shutil.copytree(val / "a" / "0_real", tmp_path / "suite" / "0_real")
    (tmp_path / "suite" / MARK).touch()
    shutil.rmtree(val / "a" / "0_real")
    (val / "a" / "0_real.txt").write_text("\n".join(f"../../suite/0_real/{i}.png" for i in range(2)))
    refuse_test_images(val, purpose="choosing")
    with pytest.raises(ProtocolError, match="belongs to the test suite suite"):
        validation_logits(Detector("bright", lambda images: images.mean(dim=(1, 2, 3))), val)


def test_a_verdict_keeps_its_shares_under_every_condition() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 500)
    conditions = [(labels, rng.normal(shift + 2 * labels, 1)) for shift in (0.0, 0.7, -0.4)]
    low, high = fit_verdict(conditions, max_false_alarms=0.02, max_misses=0.1)
    assert low < high
    for y, x in conditions:
        assert (x[y == 0] > high).mean() <= 0.02 and (x[y == 1] < low).mean() <= 0.1
    assert max((x[y == 0] > high).mean() for y, x in conditions) > 0.01  # no stricter than it must be


def test_a_verdict_that_can_always_tell_has_no_gap() -> None:
    low, high = fit_verdict([([0, 0, 1, 1], [-3.0, -2.0, 2.0, 3.0])])
    assert low == high == -2.0
    with pytest.raises(MetricError):
        fit_verdict([([0, 0], [1.0, 2.0])])
