"""Intervals: seeded, order-free, honest about clusters and shared reals, balanced when pooled."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from cnndetect.errors import MetricError
from cnndetect.metrics import average_precision
from cnndetect.metrics import intervals as bootstrap
from cnndetect.metrics.intervals import SetScores, macro_average_precision, paired_difference, pooled_average_precision, set_metrics


def scores(seed: int = 0, count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return labels, rng.normal(size=count) + 1.2 * labels


def test_the_same_seed_gives_the_same_interval_in_any_order_and_with_any_threads(monkeypatch) -> None:
    labels, logits = scores()
    clusters = np.array([f"photo{index // 4}" for index in range(len(labels))])
    first = set_metrics(labels, logits, clusters=clusters, threshold=0.3, draws=60)
    mixed = np.random.default_rng(1).permutation(len(labels))
    monkeypatch.setattr(bootstrap, "THREADS", 5)
    assert set_metrics(labels[mixed], logits[mixed], clusters=clusters[mixed], threshold=0.3, draws=60) == first
    assert set_metrics(labels, logits, clusters=clusters, threshold=0.3, draws=60, seed=1) != first


def test_values_lie_inside_their_intervals_and_draws_zero_gives_none() -> None:
    labels, logits = scores()
    found = set_metrics(labels, logits, threshold=0.5, draws=100)
    for name in ("ap", "auc", "accuracy", "accuracy_real_fitted", "tpr_at_fpr_5", "ece"):
        interval = getattr(found, name)
        assert interval.low <= interval.value <= interval.high, name
    assert np.isnan(set_metrics(labels, logits, draws=0).ap.low)
    assert np.isnan(set_metrics(labels, logits, draws=5).accuracy_real_fitted.value)


def test_coverage_is_near_95_percent() -> None:
    # 200 small samples of a distribution whose AUC is known: Phi(1.2 / sqrt 2).
    truth, hits = 0.80193, 0
    for seed in range(200):
        auc = set_metrics(*scores(seed, count=100), draws=200, seed=seed).auc
        hits += auc.low <= truth <= auc.high
    assert 175 <= hits <= 199


def test_copies_in_one_cluster_are_no_new_evidence() -> None:
    labels, logits = scores()
    single = set_metrics(labels, logits, draws=400).ap
    four, names = (np.repeat(labels, 4), np.repeat(logits, 4)), np.repeat(np.arange(len(labels)), 4)
    clustered, naive = set_metrics(*four, clusters=names, draws=400).ap, set_metrics(*four, draws=400).ap
    width, clustered_width, naive_width = (i.high - i.low for i in (single, clustered, naive))
    assert clustered_width == pytest.approx(width, rel=0.2)
    assert naive_width < 0.65 * width


def test_shared_reals_are_drawn_together() -> None:
    # Two sets with the same reals and the same fakes are one piece of evidence: the mean is as wide as one alone.
    labels, logits = scores()
    names = np.array([f"image{index}" for index in range(len(labels))])
    apart = np.array([f"other{index}" for index in range(len(labels))])
    one = macro_average_precision([SetScores(labels, logits, names)], draws=300)
    same = macro_average_precision([SetScores(labels, logits, names)] * 2, draws=300)
    different = macro_average_precision([SetScores(labels, logits, names), SetScores(labels, logits, apart)], draws=300)
    assert (same.low, same.high) == pytest.approx((one.low, one.high))
    assert different.high - different.low < 0.85 * (same.high - same.low)


def test_macro_is_the_mean_of_aps() -> None:
    sets = [SetScores(*scores(seed), np.arange(120) + 1000 * seed) for seed in range(3)]
    expected = np.mean([average_precision(s.labels, s.logits) for s in sets])
    assert macro_average_precision(sets, draws=0).value == pytest.approx(expected)


def test_pooling_is_balanced_over_generators() -> None:
    # Ten copies of one generator's images must not change its say.
    a, b = scores(0), scores(1)
    small = [SetScores(*a, np.arange(120)), SetScores(*b, np.arange(120) + 1000)]
    large = [SetScores(np.tile(a[0], 10), np.tile(a[1], 10), np.arange(1200)), small[1]]
    assert pooled_average_precision(large, draws=0).value == pytest.approx(pooled_average_precision(small, draws=0).value)
    # Pooling feels an offset between generators, the macro mean does not.
    shifted = [small[0], SetScores(b[0], b[1] + 9, small[1].clusters)]
    assert macro_average_precision(shifted, draws=0).value == pytest.approx(macro_average_precision(small, draws=0).value)
    assert pooled_average_precision(shifted, draws=0).value < pooled_average_precision(small, draws=0).value - 0.1


def test_paired_differences() -> None:
    labels, logits = scores()
    same = paired_difference(labels, logits, logits * 2, draws=50)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    noise = logits + np.random.default_rng(5).normal(size=len(logits)) * 0.02
    near = paired_difference(labels, logits, noise, draws=200)
    alone = set_metrics(labels, logits, draws=200).ap
    assert near.high - near.low < 0.3 * (alone.high - alone.low)


def test_mistakes_are_named() -> None:
    with pytest.raises(MetricError, match="Got 1 clusters for 2 images"):
        set_metrics([0, 1], [0.0, 1.0], clusters=["a"])
    with pytest.raises(MetricError, match="no test sets"):
        macro_average_precision([])


def test_examples_run() -> None:
    assert doctest.testmod(bootstrap).failed == 0


def test_small_sets_of_their_own_images_never_lose_a_class() -> None:
    # Drawn over all sets at once, two fakes of a set would be missed in every sixteenth draw.
    sets = [SetScores(np.array([0, 0, 1, 1]), np.arange(4.0), np.array([f"{name}{k}" for k in range(4)])) for name in "abc"]
    assert macro_average_precision(sets, draws=500).value == 1.0
    assert pooled_average_precision(sets, draws=500).value == 1.0
