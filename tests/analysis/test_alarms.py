"""False alarms on real photographs at the frozen threshold."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from cnndetect.analysis.alarms import alarms_of, false_alarms
from cnndetect.bench.__main__ import main
from cnndetect.detectors.base import Detector
from cnndetect.errors import DataError, ProtocolError
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores


def brightness(threshold: float | None = 0.0) -> Detector:
    return Detector("brightness", lambda images: images.mean(dim=(1, 2, 3)), threshold_logit=threshold, identity="mean of pixels")


@pytest.fixture
def photos(tmp_path):
    for index in range(10):
        value = 250 if index in (3, 7) else 5
        folder = tmp_path / "camera" / "day"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + index, 32), (value,) * 3).save(folder / f"{index:05d}.png")
    return tmp_path / "camera"


def test_the_share_is_counted_by_degradation_and_kept(photos, tmp_path):
    clean, dark = false_alarms(brightness(), [photos], degradations=["none", "jpeg_75"], results=tmp_path / "results")
    assert (clean.images, clean.failed, clean.called_fake) == (10, 0, 0.2) and clean.low < 0.2 < clean.high
    assert dark.degradation == "jpeg_75" and dark.called_fake == 0.2

    def broken(images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("scored again")

    kept = Detector("brightness", broken, threshold_logit=0.0, identity="mean of pixels")
    assert false_alarms(kept, [photos], results=tmp_path / "results")[0] == clean
    # Another threshold needs no new scores; other pixels do.
    lenient = Detector("brightness", broken, threshold_logit=-9.0, identity="mean of pixels")
    assert false_alarms(lenient, [photos], degradations=["none"], results=tmp_path / "results")[0].called_fake == 1.0
    Image.new("RGB", (32, 32), (250,) * 3).save(photos / "day" / "00000.png")
    assert false_alarms(brightness(), [photos], degradations=["none"], results=tmp_path / "results")[0].called_fake == 0.3


def test_a_photograph_that_cannot_be_read_is_named_and_counts_as_an_alarm(photos, tmp_path, capsys):
    (photos / "day" / "00010.png").write_bytes(b"no image")
    (found,) = false_alarms(brightness(), [photos], degradations=["none"], results=tmp_path / "results")
    assert (found.images, found.failed) == (11, 1) and found.called_fake == pytest.approx(3 / 11)
    assert "camera/day/00010.png" in capsys.readouterr().err


def test_the_interval_counts_photographs_and_not_their_crops():
    def scores(clusters: list[str]) -> Scores:
        count = len(clusters)
        provenance = Provenance(detector="d", identity=None, fingerprint="", protocol="nocrop")
        logits = np.array([1.0, -1.0] * (count // 2))
        return Scores(np.array(clusters), np.array(clusters), np.zeros(count, np.int8), logits, np.array([""] * count), provenance)

    alone = alarms_of(scores([str(i) for i in range(40)]), threshold=0.0)
    crops = alarms_of(scores([str(i // 10) for i in range(40)]), threshold=0.0)
    assert alone.called_fake == crops.called_fake == 0.5
    # Fake means strictly above, as everywhere.
    assert alarms_of(scores([str(i) for i in range(40)]), threshold=1.0).called_fake == 0.0
    assert crops.photographs == 4 and crops.high - crops.low > 2 * (alone.high - alone.low)


def test_what_is_missing_is_said(photos, tmp_path):
    with pytest.raises(ProtocolError, match="no frozen threshold"):
        false_alarms(brightness(None), [photos], results=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        false_alarms(brightness(), [tmp_path / "empty"], results=tmp_path)
    with pytest.raises(DataError, match="Give each folder once"):
        false_alarms(brightness(), [photos, photos], results=tmp_path)


def test_the_command_prints_a_table_or_json(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("cnndetect.detectors.registry.load", lambda name, device: brightness())
    command = ["alarms", "--photos", str(photos), "--results", str(tmp_path / "r"), "--degradation", "none", "--limit", "5"]
    assert main([*command, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["images"] == 5 and row["threshold_logit"] == 0.0
    assert main([*command[:3], "--split", "test", *command[3:-2]]) == 0
    assert "| brightness | none" in capsys.readouterr().out.replace("  ", " ")
