"""Temperature, threshold and weights of a sum: what the fits reach on known logits, and that frozen numbers are the ones used."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from drawn_training_set import draw_training_set
from safetensors.torch import save_file
from scipy.special import expit

import cnndetect
from cnndetect.bench.results import read_result
from cnndetect.bench.run import benchmark
from cnndetect.cli.main import main as cnndetect_main
from cnndetect.data.folders import scan
from cnndetect.detectors.base import Detector
from cnndetect.detectors.calibration import calibrated
from cnndetect.detectors.fusion import FusionRecord, Member, read_fusion
from cnndetect.detectors.networks import build
from cnndetect.detectors.records import WeightsRecord, read_record
from cnndetect.errors import DataError, MetricError, ProtocolError, WeightsError
from cnndetect.files import sha256_of
from cnndetect.fitting.fusion import fit_fusion, fit_weights
from cnndetect.fitting.validation import ValidationLogits, read_validation, validation_logits
from cnndetect.metrics import average_precision, figures, fit_threshold, rank
from cnndetect.metrics.calibration import calibrate, fit_calibration, fit_temperature


def main(words: list[str]) -> int:
    return cnndetect_main(["detectors", "calibrate", *words])


def fuse(words: list[str]) -> int:
    return cnndetect_main(["detectors", "fuse", *words])


@pytest.fixture(scope="module")
def val(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_training_set(tmp_path_factory.mktemp("data"), per_folder=12) / "train"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two small networks with random weights."""
    folder = tmp_path_factory.mktemp("weights")
    for seed, name in enumerate(("tiny", "npr")):
        torch.manual_seed(seed)
        network = build(name)
        torch.nn.init.normal_(network.fc.weight, 0.0, 0.5)  # type: ignore[union-attr]
        save_file(network.state_dict(), folder / f"{name}.safetensors")
    return [folder / "tiny.safetensors", folder / "npr.safetensors"]


def _drawn(count: int, temperature: float, threshold: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the calibrated probability of uncalibrated logits."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, count)
    labels = (rng.random(count) < expit(true)).astype(int)
    return labels, true * temperature + threshold


@pytest.mark.parametrize("temperature", [0.2, 1.0, 7.0])
def test_the_fit_finds_the_temperature_that_the_labels_were_drawn_with(temperature: float) -> None:
    labels, logits = _drawn(20_000, temperature, 0.0)
    assert fit_temperature(labels, logits) == pytest.approx(temperature, rel=0.05)

    # A minimum of the balanced likelihood: neither side of it is better.
    def loss(t: float) -> float:
        z = logits / t
        return sum(np.logaddexp(0, -s * z[labels == y]).mean() for y, s in ((0, -1), (1, 1)))

    best = fit_temperature(labels, logits)
    assert loss(best) < min(loss(best * 1.03), loss(best / 1.03))


def test_calibration_lowers_the_error_and_keeps_the_ranks() -> None:
    labels, logits = _drawn(4000, 5.0, 11.0)
    found = fit_calibration(labels, logits)
    after = calibrate(logits, threshold=found.threshold_logit, temperature=found.temperature)
    assert found.threshold_logit == fit_threshold(labels, logits) == pytest.approx(11.0, abs=3.0)
    assert found.ece_before > 0.3 and found.ece_after < 0.05
    assert found.ece_after == figures(rank(labels, after)).ece
    assert average_precision(labels, after) == average_precision(labels, logits)
    assert np.array_equal(after > 0, logits > found.threshold_logit)


def test_classes_without_overlap_and_unequal_classes() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    separated = np.where(labels == 1, 4.0, -4.0) + np.linspace(-1, 1, 40)
    found = fit_calibration(labels, separated)
    assert 0.1 < found.temperature < 10 and (found.accuracy_real, found.accuracy_fake) == (1.0, 1.0)
    # Each class weighs the same: showing the reals thrice over changes only Platt's targets.
    drawn, logits = _drawn(4000, 2.0, 0.0)
    thrice = np.concatenate([drawn, np.repeat(drawn[drawn == 0], 2)]), np.concatenate([logits, np.repeat(logits[drawn == 0], 2)])
    assert fit_temperature(*thrice) == pytest.approx(fit_temperature(drawn, logits), rel=1e-2)
    assert fit_temperature([0, 1], [0.0, 0.0]) == 1.0
    with pytest.raises(MetricError, match="0 real and 2 fake"):
        fit_temperature([1, 1], [0.0, 1.0])


def test_false_alarms_are_kept_below_what_is_asked() -> None:
    labels, logits = _drawn(2000, 1.0, 0.0)
    free = fit_calibration(labels, logits)
    kept = fit_calibration(labels, logits, max_false_alarms=0.05)
    assert 1 - free.accuracy_real > 0.05 >= 1 - kept.accuracy_real > 0.04
    assert fit_calibration(labels, logits, max_false_alarms=0.9).threshold_logit == free.threshold_logit
    assert fit_calibration(labels, logits, max_false_alarms=0.0).accuracy_real == 1.0
    with pytest.raises(ProtocolError, match="max_false_alarms got 1.5"):
        fit_calibration(labels, logits, max_false_alarms=1.5)


def test_false_alarms_are_kept_below_what_is_asked_under_every_condition() -> None:
    labels, logits = _drawn(2000, 1.0, 0.0)
    shifts = (0.0, 1.0, -3.0)
    both = np.concatenate([logits + shift for shift in shifts])
    pooled = fit_calibration(np.tile(labels, 3), both, max_false_alarms=0.05).threshold_logit
    kept = fit_calibration(np.tile(labels, 3), both, max_false_alarms=0.05, conditions=3).threshold_logit
    shares = [[float((logits[labels == 0] + shift > threshold).mean()) for shift in shifts] for threshold in (pooled, kept)]
    assert max(shares[0]) > 0.05 >= max(shares[1]) > 0.04


def test_score_uses_the_frozen_numbers() -> None:
    image = np.full((8, 8, 3), 200, np.uint8)
    detector = Detector("x", lambda batch: batch.mean((1, 2, 3)), threshold_logit=0.5, temperature=0.25, identity="x")
    logit = cnndetect.score(image, detector=detector, return_logit=True)
    assert cnndetect.score(image, detector=detector, calibrated=True) == pytest.approx(expit((logit - 0.5) / 0.25), abs=1e-6)
    assert cnndetect.score([image], detector=detector, calibrated=True, return_logit=True)[0] == pytest.approx(4 * (logit - 0.5), abs=1e-5)
    assert cnndetect.score(image, detector=detector) == expit(logit)
    # Another detector for the benchmark, with its own threshold.
    other = calibrated(detector)
    assert other.threshold_logit == 0.0 and other.identity != detector.identity
    with pytest.raises(ProtocolError, match="no calibration.*cnndetect detectors calibrate"):
        cnndetect.score(image, detector=Detector("y", detector.network, threshold_logit=0.5), calibrated=True)


def test_the_command_freezes_beside_the_file_and_loading_finds_it(
    val: Path, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.safetensors"
    file.write_bytes(files[0].read_bytes())
    assert main([str(file), "--val", str(val), "--write", "--json", "--logits", str(tmp_path / "kept"), "--device", "cpu"]) == 0
    printed = json.loads(capsys.readouterr().out)
    detector = cnndetect.load(file, device="cpu")
    assert (detector.threshold_logit, detector.temperature) == (printed["threshold_logit"], printed["temperature"])

    # The same numbers from the stored logits alone, and from each image scored by itself.
    kept = read_validation(tmp_path / "kept" / "mine.nocrop.none.npz")
    again = fit_calibration(kept.labels, kept.logits)
    assert (again.threshold_logit, again.temperature) == (printed["threshold_logit"], printed["temperature"])
    direct = cnndetect.score([sample.path for sample in scan(val)], detector=file, return_logit=True, device="cpu")
    np.testing.assert_allclose(kept.logits, direct, atol=1e-4)

    assert main([str(file), "--val", str(val)]) == 0
    assert f"temperature={printed['temperature']!r}" in capsys.readouterr().out
    # Of other weights, it is not taken; damaged, it is named.
    record = read_record(tmp_path / "mine.json")
    assert (record.network, record.fitted_on["degradations"]) == ("tiny", ["none"])
    record.changed(sha256="0" * 64).save(tmp_path)
    assert cnndetect.load(file, device="cpu").temperature is None
    for content in ("{", "{}", '{"name": "mine", "file": "x", "sha256": "", "temprature": 1}'):
        (tmp_path / "mine.json").write_text(content)
        with pytest.raises(WeightsError, match="mine.json is not a weights record"):
            cnndetect.load(file, device="cpu")
    assert main(["progan8-r50-bj01", "--val", str(val), "--write"]) == 2
    assert "Expected a weights file" in capsys.readouterr().err


def test_a_registered_detector_brings_its_temperature(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bundled"
    folder.mkdir()
    (folder / "npr.safetensors").write_bytes(files[1].read_bytes())
    record = {"name": "mine", "file": "npr.safetensors", "sha256": sha256_of(files[1]), "network": "npr"}
    WeightsRecord(**record, threshold_logit=1.5, temperature=2.5).save(folder)
    monkeypatch.setenv("CNNDETECT_WEIGHTS", str(folder))
    detector = cnndetect.load("mine", device="cpu")
    assert type(detector.network) is type(build("npr"))
    assert (detector.threshold_logit, detector.temperature, detector.record["network"]) == (1.5, 2.5, "npr")


def test_stored_logits_are_read_where_they_are_of_the_same(val: Path, tmp_path: Path) -> None:
    calls = []

    def count(batch: torch.Tensor) -> torch.Tensor:
        calls.append(len(batch))
        return batch.std((1, 2, 3))

    detector = Detector("x", count, identity="one")
    first = validation_logits(detector, val, store=tmp_path)
    assert sum(calls) == len(first.labels) == 48
    again = validation_logits(detector, val, store=tmp_path)
    assert sum(calls) == 48 and np.array_equal(first.logits, again.logits)
    twice = validation_logits(detector, val, store=tmp_path, degradations=("none", "jpeg_50"))
    assert sum(calls) == 96 and np.array_equal(twice.logits[:48], first.logits) and not np.array_equal(twice.logits[48:], first.logits)
    validation_logits(Detector("x", count, identity="two"), val, store=tmp_path)
    assert sum(calls) == 144
    few = validation_logits(Detector("x", count, identity="two"), val, store=tmp_path, max_images=8)
    assert sum(calls) == 152 and few.labels.sum() == 4 and set(few.logits) < set(first.logits)
    (tmp_path / "x.nocrop.none.npz").write_bytes(b"half")
    with pytest.raises(DataError, match="holds no validation logits.*Delete it"):
        validation_logits(detector, val, store=tmp_path)
    with pytest.raises(DataError, match="has no logit of x: .*not a finite number"):
        validation_logits(Detector("x", lambda batch: batch.mean((1, 2, 3)) / 0), val)


def test_the_weights_of_a_sum_solve_the_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 500)
    logits = np.stack([40 * (labels + rng.normal(size=500)), labels + rng.normal(size=500), rng.normal(size=500)], axis=1)
    weights, bias = fit_weights(labels, logits)
    scale = logits.std(axis=0)
    # At the optimum the gradient of the balanced likelihood and of the ridge penalty on scaled weights is zero.
    weight = np.where(labels == 1, 0.5 * 500 / labels.sum(), 0.5 * 500 / (1 - labels).sum())
    residual = weight * (expit(logits @ weights + bias) - labels)
    np.testing.assert_allclose((logits / scale).T @ residual + weights * scale, 0, atol=1e-2)
    assert abs(residual.sum()) < 1e-2
    assert weights[0] * scale[0] == pytest.approx(weights[1] * scale[1], rel=0.3) and abs(weights[2] * scale[2]) < 0.3
    # Two that see different things are better together.
    assert average_precision(labels, logits @ weights) > max(average_precision(labels, column) for column in logits.T)
    with pytest.raises(DataError, match="not constant"):
        fit_weights(labels, np.ones((500, 2)))


def test_a_fusion_is_fitted_on_stored_logits_and_loads_as_a_detector(
    val: Path, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sum.json"
    words = [*map(str, files), "--val", str(val), "--out", str(out), "--logits", str(tmp_path / "kept"), "--device", "cpu"]
    assert fuse(words) == 0
    record = read_fusion(out)
    assert json.loads(capsys.readouterr().out)["bias"] == record.bias
    assert record.fitted_on["images"] == 48 and str(tmp_path) not in out.read_text()

    detector = cnndetect.load(out, device="cpu")
    members = [cnndetect.load(file, device="cpu") for file in files]
    images = torch.randn(3, 3, 40, 33, generator=torch.Generator().manual_seed(0))
    expected = sum(member.weight * one.logits(images) for member, one in zip(record.members, members, strict=True)) + record.bias
    torch.testing.assert_close(detector.logits(images), expected, rtol=1e-4, atol=1e-4)
    assert (detector.name, detector.threshold_logit, detector.temperature) == ("sum", record.threshold_logit, record.temperature)
    assert 0 < cnndetect.score(np.zeros((16, 16, 3), np.uint8), detector=out, calibrated=True) < 1

    # Refitted from what is stored, without a network.
    stored = [read_validation(tmp_path / "kept" / f"{name}.nocrop.none.npz") for name in ("tiny", "npr")]
    again = fit_fusion([(member.detector, member.weights_sha256) for member in record.members], stored)
    assert again == record
    assert fuse([*words, "--equal"]) == 0
    deviations = [one.logits.std() for one in stored]
    assert [member.weight for member in read_fusion(out).members] == pytest.approx([1 / (2 * deviation) for deviation in deviations])
    assert read_fusion(out).bias == 0

    with pytest.raises(DataError, match="different images"):
        fit_fusion([("a", "1"), ("b", "2")], [stored[0], ValidationLogits(stored[1].labels, stored[1].logits, {"fingerprint": "x"})])
    damaged = FusionRecord((*record.members[:1], Member(record.members[1].detector, "0" * 64, 1.0)), 0.0, 0.0, 1.0)
    damaged.save(out)
    with pytest.raises(WeightsError, match="was fitted with.*npr.safetensors of SHA-256 0000"):
        cnndetect.load(out, device="cpu")
    out.write_text("[]")
    with pytest.raises(WeightsError, match="sum.json is not a fusion"):
        cnndetect.load(out, device="cpu")
    assert fuse([str(files[0]), "--val", str(val), "--out", str(out)]) == 2


def test_the_bench_tells_the_calibration_error_before_and_after(
    val: Path, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.safetensors"
    file.write_bytes(files[0].read_bytes())
    assert main([str(file), "--val", str(val), "--write", "--device", "cpu"]) == 0
    capsys.readouterr()
    made = benchmark(file, val, draws=0, results=tmp_path / "results", device="cpu")
    assert made.results[0].ece_calibrated is not None
    assert np.mean([result.ece_calibrated for result in made.results]) < np.mean([result.metrics.ece.value for result in made.results])
    assert "ECE*" in made.table() and f"{100 * made.results[0].ece_calibrated:.1f}" in made.table()
    # Scores that were made before the fit learn it without being made again.
    path = next((tmp_path / "results").rglob("*.json"))
    msgspec.structs.replace(read_result(path), ece_calibrated=None).save(path)
    again = benchmark(file, val, draws=0, results=tmp_path / "results", device="cpu")
    assert again.results[0].ece_calibrated == made.results[0].ece_calibrated
