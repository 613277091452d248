"""Scoring: a killed run goes on where it stopped and ends in the same scores; failures are named, memory stays small."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_suite import brightness, draw_suite, named
from PIL import Image

from cnndetect.data.folders import Sample, scan
from cnndetect.errors import DataError
from cnndetect.images import open_image
from cnndetect.scoring import engine
from cnndetect.scoring.batches import Conditions, score_set
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores, read_scores


class Stop(BaseException):
    """Ends a run in the middle, as a kill would: nothing may catch it."""


def origin(fingerprint: str) -> Provenance:
    return Provenance(detector="brightness", identity="mean", fingerprint=fingerprint, protocol="nocrop")


def meddling(images: torch.Tensor) -> torch.Tensor:
    """A logit that also depends on which images share the batch: shows whether the batches are the same."""
    return brightness(images) + 100 * brightness(images).sum() + 1000 * len(images)


def stopping_after(batches: int, network: Callable = meddling) -> Callable:
    seen = []

    def stop(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        if len(seen) > batches:
            raise Stop
        return network(images)

    return stop


@pytest.fixture
def samples(tmp_path) -> tuple[Sample, ...]:
    return scan(draw_suite(tmp_path / "suite", families=("crn",), per_class=13))


def score(samples, journal: Path, network: Callable = brightness, **conditions) -> Scores:
    options = {"batch_size": 4, **conditions}
    return score_set(named(network), samples, Conditions(**options), journal=journal, provenance=origin("this"))


@pytest.mark.parametrize("batches", [0, 1, 3, 5])
@pytest.mark.parametrize("window", [24_000_000, 1500])
def test_a_broken_run_ends_in_the_very_same_batches(samples, tmp_path, monkeypatch, batches, window) -> None:
    monkeypatch.setattr(engine, "WINDOW_PIXELS", window)  # a small window sends unfilled batches on their way
    whole = score(samples, tmp_path / "whole", meddling)
    with pytest.raises(Stop):
        score(samples, tmp_path / "broken", stopping_after(batches))
    resumed = score(samples, tmp_path / "broken", meddling)
    assert np.array_equal(resumed.logits, whole.logits) and (resumed.paths == whole.paths).all()


def test_only_the_batch_under_way_is_lost(samples, tmp_path) -> None:
    with pytest.raises(Stop):
        score(samples, tmp_path / "j", stopping_after(3, brightness))
    again: list[int] = []

    def counting(images: torch.Tensor) -> torch.Tensor:
        again.append(len(images))
        return brightness(images)

    score(samples, tmp_path / "j", counting)
    assert sum(again) == len(samples) - 3 * 4


@pytest.mark.parametrize("torn", [1, 7, 60])
def test_a_torn_line_costs_its_batch_alone(samples, tmp_path, torn) -> None:
    whole = score(samples, tmp_path / "j", meddling)
    content = (tmp_path / "j").read_bytes()
    lines = content.count(b"\n")
    (tmp_path / "j").write_bytes(content[:-torn])
    assert np.array_equal(score(samples, tmp_path / "j", meddling).logits, whole.logits)
    assert (tmp_path / "j").read_bytes().count(b"\n") == lines
    # The journal is whole again: nothing is left to score.
    assert np.array_equal(score(samples, tmp_path / "j", stopping_after(0)).logits, whole.logits)


def test_a_journal_that_rotted_is_trusted_up_to_the_damage(samples, tmp_path) -> None:
    whole = score(samples, tmp_path / "j", meddling)
    lines = (tmp_path / "j").read_bytes().split(b"\n")
    (tmp_path / "j").write_bytes(b"\n".join([*lines[:2], b"\x00\xff rot", *lines[3:]]))
    assert np.array_equal(score(samples, tmp_path / "j", meddling).logits, whole.logits)


def test_a_journal_of_another_run_is_not_continued(samples, tmp_path) -> None:
    score(samples, tmp_path / "j", lambda images: 0 * brightness(images))
    other = score_set(named(), samples, Conditions(), journal=tmp_path / "j", provenance=origin("that"))
    assert (other.logits != 0).all()
    (tmp_path / "j").write_bytes(json.dumps({"of": "this"}).encode())  # killed before the first line was whole
    assert np.isfinite(score(samples, tmp_path / "j").logits).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_logit_that_is_not_finite_is_a_failure_and_survives_the_journal(samples, tmp_path, value) -> None:
    def strange(images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images),), value)

    for _ in range(2):  # the second time, all of them come from the journal
        scores = score(samples, tmp_path / "j", strange)
        assert scores.failed.all() and set(scores.errors) == {f"detector returned the logit {value}, not a finite number"}


def test_only_the_image_that_the_detector_cannot_take_fails(samples, tmp_path) -> None:
    def narrow(images: torch.Tensor) -> torch.Tensor:
        if images.shape[3] > 30:
            raise ValueError("too wide " + "x" * 100_000)
        return brightness(images)

    scores = score(samples, tmp_path / "j", narrow)
    wide = np.array([open_image(s.path).width > 30 for s in samples])
    assert (scores.failed == wide).all() and wide.any()
    # A page of words in every cell would fill the memory.
    assert scores.errors[wide][0].startswith("detector failed: ValueError: too wide") and scores.errors.dtype.itemsize <= 4 * 300


def test_a_reason_names_the_image_and_not_this_machine(samples, tmp_path) -> None:
    damaged = samples[2]
    damaged.path.write_bytes(damaged.path.read_bytes()[:50])
    samples[5].path.unlink()
    scores = score(samples, tmp_path / "j")
    assert list(np.flatnonzero(scores.failed)) == [2, 5]
    for index in (2, 5):
        assert samples[index].relative in scores.errors[index] and str(tmp_path) not in scores.errors[index]


@pytest.mark.parametrize("degradation", ["none", "noise_5"])
def test_a_degradation_is_seeded_by_the_image_alone(samples, tmp_path, degradation) -> None:
    def logits(name: str, chosen, **conditions) -> dict[str, float]:
        scores = score(chosen, tmp_path / name, degradation=degradation, **conditions)
        return dict(zip(scores.paths.tolist(), scores.logits.tolist(), strict=True))

    first = logits("a", samples)
    for name, chosen, options in (("b", samples[::-1], {}), ("c", samples, {"batch_size": 1}), ("d", samples[3:9], {})):
        for path, value in logits(name, chosen, **options).items():
            assert value == pytest.approx(first[path], abs=1e-5), (name, path)
    another_seed = logits("e", samples, seed=1)
    assert (another_seed == first) == (degradation == "none")


def test_a_degradation_comes_before_the_crop(tmp_path) -> None:
    # 224 columns of black beside white ones: halved first, the crop sees white; cropped first, it would see none.
    array = np.full((448, 672, 3), 255, np.uint8)
    array[:, 224:448] = 0
    for name in ("0_real", "1_fake"):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(array).save(tmp_path / "set" / name / "a.png")
    seen: list[torch.Tensor] = []

    def keep(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return brightness(images)

    score(scan(tmp_path / "set"), tmp_path / "j", keep, protocol="crop224", degradation="resize_0.5")
    assert seen[0].shape[2:] == (224, 224) and seen[0].max() > 2 and seen[0].min() < -1


def test_memory_does_not_grow_with_the_number_of_images(tmp_path) -> None:
    one = draw_suite(tmp_path / "suite", families=("crn",), per_class=1) / "crn"
    path = one / "0_real" / "0.png"
    Image.new("RGB", (64, 64)).save(path)

    def peak(count: int) -> int:
        samples = [Sample(path, index % 2, f"{index % 2}/{index}.png", "photograph") for index in range(count)]
        tracemalloc.start()
        score(samples, tmp_path / f"{count}", batch_size=8)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(50)
    few, many = peak(200), peak(1200)
    # What is kept of an image is a name, a logit and a reason, not its 12 kB of pixels.
    assert (many - few) / 1000 < 1500


def test_scores_come_back_whole_and_damage_is_named(samples, tmp_path) -> None:
    scores = score(samples, tmp_path / "j")
    scores.save(tmp_path / "deep" / "a.npz")
    back = read_scores(tmp_path / "deep" / "a.npz")
    for column in ("paths", "clusters", "labels", "logits", "errors"):
        assert np.array_equal(getattr(back, column), getattr(scores, column)), column
    assert back.provenance == scores.provenance and back.logits.dtype == np.float64 and back.labels.dtype == np.int8
    assert not list((tmp_path / "deep").glob("*.tmp"))
    (tmp_path / "deep" / "a.npz").write_bytes((tmp_path / "deep" / "a.npz").read_bytes()[:100])
    with pytest.raises(DataError, match="a.npz is not a file of scores"):
        read_scores(tmp_path / "deep" / "a.npz")
    with pytest.raises(DataError, match="lengths"):
        Scores(back.paths[1:], back.clusters, back.labels, back.logits, back.errors, {})
