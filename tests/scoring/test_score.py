"""score(): one meaning for every kind of image, whatever the batch, the order and the sizes."""

from __future__ import annotations

import inspect
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import cnndetect.scoring
from cnndetect.detectors.base import Detector
from cnndetect.errors import CnndetectError, ImageError, ProtocolError
from cnndetect.scoring import engine, load_detector, loader, score, score_stream
from cnndetect.transforms.preprocess import to_tensor

SIZES = [(16, 16), (9, 20), (16, 16), (1, 1), (9, 20), (16, 16), (30, 7), (16, 16)]


def _photos(sizes: list[tuple[int, int]] = SIZES) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in sizes]


def mean(batch: torch.Tensor) -> torch.Tensor:
    """A detector that can be checked by hand."""
    return batch.mean((1, 2, 3))


def _network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 1)).eval()


def test_one_image_gives_a_float_a_sequence_gives_float64() -> None:
    photo = _photos()[0]
    one = score(photo, detector=mean)
    assert type(one) is float and 0 < one < 1
    many = score([photo], detector=mean)
    assert isinstance(many, np.ndarray) and many.dtype == np.float64 and many.tolist() == [one]
    empty = score([], detector=mean)
    assert empty.shape == (0,) and empty.dtype == np.float64


def test_the_number_is_the_sigmoid_of_the_logit_at_native_size() -> None:
    for photo in _photos():
        expected = float(to_tensor(photo).mean())
        logit = score(photo, detector=mean, return_logit=True)
        assert logit == pytest.approx(expected, abs=1e-6)
        assert score(photo, detector=mean) == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-12)


def test_the_network_sees_every_image_whole() -> None:
    seen = []

    def detector(batch: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(batch.shape[1:]))
        return mean(batch)

    score(_photos(), detector=detector)
    assert sorted(set(seen)) == sorted({(3, height, width) for height, width in SIZES})


def test_kinds_may_be_mixed_and_agree(tmp_path: Path) -> None:
    photo = _photos()[1]
    Image.fromarray(photo).save(tmp_path / "a.png")
    kinds = [
        tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(photo), photo, photo / 255,
        torch.from_numpy(photo.transpose(2, 0, 1).copy()), torch.from_numpy((photo / 255).transpose(2, 0, 1).copy()),
    ]  # fmt: skip
    together = score(kinds, detector=mean)
    assert len(set(together.tolist())) == 1
    assert [score(kind, detector=mean) for kind in kinds] == together.tolist()
    grey = photo[:, :, 0]
    assert score([grey, grey[:, :, None]], detector=mean).tolist() == [score(np.dstack([grey] * 3), detector=mean)] * 2


@pytest.mark.parametrize("kind", [list, tuple])
def test_batch_size_and_order_do_not_matter(kind: type) -> None:
    photos, network = _photos(), _network()
    alone = np.array([score(photo, detector=network, return_logit=True) for photo in photos])
    assert len(np.unique(alone)) == len(photos)
    for batch_size in (1, 2, 3, 5, 32):
        got = score(kind(photos), detector=network, return_logit=True, batch_size=batch_size)
        assert np.abs(got - alone).max() < 1e-6
    shuffled = np.random.default_rng(5).permutation(len(photos))
    got = score([photos[index] for index in shuffled], detector=network, return_logit=True)
    assert np.abs(got - alone[shuffled]).max() < 1e-6


def test_images_of_equal_size_share_a_batch_and_no_batch_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def detector(batch: torch.Tensor) -> torch.Tensor:
        counts.append(len(batch))
        return mean(batch)

    score(_photos([(8, 8), (4, 4)] * 10), detector=detector, batch_size=5)
    assert counts == [5, 5, 5, 5]
    counts.clear()
    monkeypatch.setattr(engine, "BATCH_PIXELS", 3 * 64)
    score(_photos([(8, 8)] * 7 + [(40, 40)] * 2), detector=detector, batch_size=5)
    assert counts == [3, 3, 1, 1, 1]


@pytest.mark.parametrize("kind", ["one odd size", "all sizes differ"])
def test_a_long_stream_is_decoded_only_a_little_ahead(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "all sizes differ":
        monkeypatch.setattr(engine, "WINDOW_PIXELS", 6 * 64)
        monkeypatch.setattr(loader, "AHEAD_PIXELS", 1)
    decoded = 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal decoded
        for index in range(300):
            decoded += 1
            width = 8 + index if kind == "all sizes differ" else 8 + (index == 0)
            yield np.zeros((8, width, 3), np.uint8)

    order, ahead = [], []
    for scored in score_stream(stream(), detector=Detector("mean", mean), batch_size=4):
        order.append(scored.index)
        ahead.append(decoded - scored.index)
    assert order == list(range(300)) and max(ahead) <= 8 * 4 + 1 + 2 * loader.MOST_THREADS


def test_a_bad_image_is_named_by_index_and_file(tmp_path: Path) -> None:
    good, bad = _photos()[0], tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"Image 2 of 4: .*bad\.png"):
        score([good, good, bad, good], detector=mean)
    with pytest.raises(ImageError, match=r"^(?!Image).*bad\.png"):
        score(bad, detector=mean)
    with pytest.raises(ImageError, match="Image 1 of 2: .*NaN"):
        score([good, np.full((4, 4), np.nan)], detector=mean)
    outcomes = list(score_stream([good, bad, good], detector=Detector("mean", mean)))
    assert [one.error is None for one in outcomes] == [True, False, True]
    assert outcomes[0].logit == outcomes[2].logit and np.isnan(outcomes[1].logit)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_logit_that_is_not_finite_is_an_error(value: float) -> None:
    with pytest.raises(ImageError, match="Image 1 of 2: .*8x16.*logit (nan|inf)"):
        score(
            [np.zeros((8, 8, 3), np.uint8), np.zeros((16, 8, 3), np.uint8)],
            detector=lambda batch: mean(batch) if batch.shape[2] == 8 else mean(batch) * 0 + value,
        )


def test_only_the_image_that_breaks_the_detector_fails() -> None:
    def detector(batch: torch.Tensor) -> torch.Tensor:
        if (batch.amax((1, 2, 3)) > 2.5).any():
            raise RuntimeError("out of memory")
        return mean(batch)

    dark, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    outcomes = list(score_stream([dark, white, dark], detector=Detector("fragile", detector)))
    assert [one.error is None for one in outcomes] == [True, False, True]
    assert "out of memory" in str(outcomes[1].error)


def test_misuse_is_an_error_that_says_so() -> None:
    photo = _photos()[0]
    with pytest.raises(ProtocolError, match="batch_size=0"):
        score(photo, detector=mean, batch_size=0)
    with pytest.raises(CnndetectError, match="Expected"):
        score(photo, detector=lambda batch: batch)
    with pytest.raises(CnndetectError, match="no-such"):
        score(photo, detector="no-such-detector")
    with pytest.raises(TypeError):
        score(photo, mean)  # type: ignore[call-overload]


def test_a_verdict_follows_the_frozen_thresholds() -> None:
    photos = [np.full((4, 4, 3), value, np.uint8) for value in (0, 128, 255)]
    one = Detector("mean", mean, threshold_logit=1.0)
    assert one.score(photos, verdict=True).tolist() == ["real", "real", "fake"] and one(photos[2], verdict=True) == "fake"
    two = Detector("mean", mean, record={"verdict": {"real_below_logit": -1.0, "fake_above_logit": 1.0}})
    assert two(photos, verdict=True).tolist() == ["real", "unsure", "fake"]
    with pytest.raises(ProtocolError, match="has no threshold"):
        score(photos, detector=mean, verdict=True)


def test_a_detector_is_called_like_score_and_prints_one_line() -> None:
    photos, detector = _photos(), Detector("mine", _network(), weights_sha256="ab" * 32)
    assert detector(photos, return_logit=True).tolist() == score(photos, detector=detector, return_logit=True).tolist()
    assert "\n" not in repr(detector) and "mine" in repr(detector) and len(repr(detector)) < 120


def test_strong_fakes_do_not_tie_as_logits() -> None:
    photos = [np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)]
    assert (score(photos, detector=lambda batch: mean(batch) + 900) == 1).all()
    assert np.diff(score(photos, detector=lambda batch: mean(batch) + 900, return_logit=True)) > 0
    assert (score(photos, detector=lambda batch: mean(batch) - 900) == 0).all()


def test_a_loaded_detector_is_used_as_it_is_and_a_file_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Detector("mean", mean)
    assert load_detector(detector, device=None) is detector
    loads = []
    monkeypatch.setattr(cnndetect.scoring.stream.registry, "load", lambda given, *, device: loads.append(given) or detector)
    path = tmp_path / "weights.pth"
    path.write_bytes(b"1")
    for _ in range(3):
        load_detector(path, device="cpu")
    assert loads == [path]
    os.utime(path, ns=(1, 1))
    load_detector(path, device="cpu")
    assert loads == [path, path]


def test_the_docstring_says_what_the_number_is_not() -> None:
    text = " ".join(inspect.getdoc(score).split())
    assert "NOT the probability" in text and "nocrop" in text and "native size" in text
    assert list(inspect.signature(score).parameters) == [
        "img",
        "detector",
        "return_logit",
        "calibrated",
        "device",
        "batch_size",
        "on_error",
        "progress",
        "verdict",
        "backend",
        "precision",
    ]


def test_scores_of_several_images_are_an_array_that_shows_its_images(tmp_path) -> None:
    names = [str(tmp_path / f"{value}<b>.png") for value in (10, 240)]
    for name, value in zip(names, (10, 240), strict=True):
        Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(name)
    detector = Detector("mean", lambda batch: batch.mean((1, 2, 3)), threshold_logit=0.0)
    scores = score([*names, np.zeros((8, 8, 3))], detector=detector)
    shown = scores._repr_html_()
    assert "240&lt;b&gt;.png</td>" in shown and "image 2" in shown and "<th>fakeness</th>" in shown and ">fake<" in shown
    # It computes like any array, and what comes of it is one.
    assert type(scores.mean()) is np.float64 and type(scores * 2) is np.ndarray and type(np.sort(np.asarray(scores))) is np.ndarray
    assert np.array_equal(pickle.loads(pickle.dumps(scores)), scores) and torch.from_numpy(scores).shape == (3,)
    assert scores[:2]._repr_html_().count("<tr>") == 3 and "<td>0</td>" in scores[:2]._repr_html_()
    assert score(names, detector=detector, return_logit=True).kind == "logit"


def test_scores_are_drawn_and_framed(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    pandas = pytest.importorskip("pandas")
    images = [np.full((8, 8, 3), value) for value in np.linspace(0, 1, 45)]
    scores = score(images, detector=lambda batch: batch.mean((1, 2, 3)))
    assert isinstance(scores.frame(), pandas.DataFrame) and list(scores.frame()) == ["image", "fakeness"]
    assert scores.plot().axes[0].get_ylabel() == "images"  # a histogram
    few = scores[:3].plot().axes[0]
    assert [label.get_text() for label in few.get_yticklabels()] == ["0", "1", "2"]
