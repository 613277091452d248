"""Metrics: equal to scikit-learn, ties and infinities included; failures can only lose; thresholds are sane."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cnndetect import metrics
from cnndetect.errors import MetricError


def random_scores(seed: int, *, count: int = 200, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    labels[:2] = (0, 1)
    logits = rng.normal(size=count) + labels
    return labels, logits if levels is None else np.round(logits * levels) / levels


@pytest.mark.parametrize("levels", [None, 10, 2, 1])
@pytest.mark.parametrize("seed", range(5))
def test_ap_and_auc_equal_scikit_learn(seed: int, levels: int | None) -> None:
    labels, logits = random_scores(seed, levels=levels)
    assert metrics.average_precision(labels, logits) == pytest.approx(average_precision_score(labels, logits), abs=1e-12)
    assert metrics.roc_auc(labels, logits) == pytest.approx(roc_auc_score(labels, logits), abs=1e-12)


def test_perfect_constant_and_mirrored_scores() -> None:
    labels, logits = random_scores(0)
    assert metrics.average_precision([0, 0, 1, 1], [-2, -1, 1, 2]) == 1.0
    assert metrics.average_precision(labels, np.zeros(len(labels))) == pytest.approx(labels.mean())
    assert metrics.roc_auc(1 - labels, logits) == pytest.approx(1 - metrics.roc_auc(labels, logits))


def test_only_the_order_counts() -> None:
    labels, logits = random_scores(1, levels=5)
    for transform in (np.exp, lambda x: 3 * x - 7, lambda x: x**3):
        assert metrics.average_precision(labels, transform(logits)) == metrics.average_precision(labels, logits)
    mixed = np.random.default_rng(2).permutation(len(labels))
    before = metrics.figures(metrics.rank(labels, logits), threshold=0.2)
    assert metrics.figures(metrics.rank(labels[mixed], logits[mixed]), threshold=0.2) == before


def test_float32_sigmoid_would_tie_strong_fakes() -> None:
    labels, logits = [0, 1, 1], [20.0, 30.0, 40.0]
    saturated = metrics.sigmoid(np.array(logits)).astype(np.float32)
    assert metrics.average_precision(labels, logits) == 1.0 > metrics.average_precision(labels, saturated)


def test_accuracy_is_strictly_above_the_threshold() -> None:
    assert metrics.accuracy_at([0, 0, 1, 1], [-1.0, 0.0, 0.0, 1.0]) == (1.0, 0.5)
    assert metrics.accuracy_at([0, 1], [0.5, 0.7], threshold=0.6) == (1.0, 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_tpr_at_fpr_against_every_threshold(seed: int) -> None:
    labels, logits = random_scores(seed, levels=4)
    found = metrics.figures(metrics.rank(labels, logits))
    for target, value in ((0.01, found.tpr_at_fpr_1), (0.05, found.tpr_at_fpr_5)):
        cuts = [-np.inf, *np.unique(logits), np.inf]
        allowed = [(logits[labels == 1] > cut).mean() for cut in cuts if (logits[labels == 0] > cut).mean() <= target]
        assert value == pytest.approx(max(allowed))


def test_ece_of_a_calibrated_and_of_a_boastful_detector() -> None:
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.02, 0.98, 40000)
    labels = (rng.uniform(size=len(probability)) < probability).astype(int)
    logits = np.log(probability / (1 - probability))
    calibrated, boastful = (metrics.figures(metrics.rank(labels, scale * logits)).ece for scale in (1, 10))
    assert calibrated < 0.015 < 0.1 < boastful


@pytest.mark.parametrize("seed", range(6))
def test_the_fitted_threshold_is_the_best_of_all(seed: int) -> None:
    labels, logits = random_scores(seed, count=60, levels=3)

    def balanced(cut: float) -> float:
        return sum(metrics.accuracy_at(labels, logits, cut)) / 2

    values = np.unique(logits)
    best = max(balanced(cut) for cut in [*(values - 0.01), values[-1] + 0.01])
    assert balanced(metrics.fit_threshold(labels, logits)) == pytest.approx(best)


def test_a_crash_can_only_lose() -> None:
    labels, logits = random_scores(3)
    whole = metrics.average_precision(labels, logits)
    for seed in range(20):
        failed = np.random.default_rng(seed).random(len(labels)) < 0.2
        broken = np.where(failed, np.nan, logits)
        imputed = metrics.impute_failures(labels, broken, failed)
        assert not np.isnan(imputed).any()
        assert metrics.average_precision(labels, imputed) <= whole + 1e-12
        assert metrics.roc_auc(labels, imputed) <= metrics.roc_auc(labels, logits) + 1e-12
    # The trap of PEERS: a detector that crashes on every real and says 0.9 on fakes must not look perfect.
    assert metrics.roc_auc(labels, metrics.impute_failures(labels, np.where(labels == 0, np.nan, 0.9), labels == 0)) == 0.0


def test_mistakes_are_named() -> None:
    with pytest.raises(MetricError, match="1 of 2 logits are NaN"):
        metrics.average_precision([0, 1], [np.nan, 1.0])
    with pytest.raises(MetricError, match="0 real and 2 fake"):
        metrics.average_precision([1, 1], [0.0, 1.0])
    with pytest.raises(MetricError, match="Expected two equal lists"):
        metrics.average_precision([0, 1], [0.0])
    with pytest.raises(MetricError, match="Expected 0"):
        metrics.average_precision([0, 2], [0.0, 1.0])


def test_examples_run() -> None:
    assert doctest.testmod(metrics).failed == 0


def test_a_threshold_between_failures_is_a_number() -> None:
    assert metrics.fit_threshold([0, 1], [-np.inf, np.inf]) == 0.0
    assert metrics.fit_threshold([0, 0, 1, 1], [-np.inf, -np.inf, np.inf, np.inf]) == 0.0
