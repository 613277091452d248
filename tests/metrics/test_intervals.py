"""Intervals: seeded, order-free, honest about clusters and shared reals, and as wide as 95 % asks."""

from __future__ import annotations

import doctest
from dataclasses import fields

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm

from cnndetect.errors import MetricError
from cnndetect.metrics import Figures, average_precision, bounds, deletion, influence, intervals, operating, shares
from cnndetect.metrics.bounds import LEAST_PHOTOGRAPHS, difference_bounds, plain_bounds, unseen_share
from cnndetect.metrics.influence import average_precision_influence
from cnndetect.metrics.intervals import (
    Interval,
    SetMetrics,
    SetScores,
    jackknife,
    macro_average_precision,
    paired_difference,
    pooled_average_precision,
    set_metrics,
)
from cnndetect.metrics.point import average_precision_of, rank


def scores(seed: int = 0, count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return labels, rng.normal(size=count) + 1.2 * labels


def test_one_answer_in_any_order_and_with_any_threads(monkeypatch) -> None:
    labels, logits = scores()
    clusters = np.array([f"photo{index // 4}" for index in range(len(labels))])
    first = set_metrics(labels, logits, clusters=clusters, threshold=0.3)
    mixed = np.random.default_rng(1).permutation(len(labels))
    monkeypatch.setattr(intervals, "THREADS", 5)
    again = set_metrics(labels[mixed], logits[mixed], clusters=clusters[mixed], threshold=0.3)
    for field in fields(SetMetrics):
        one, other = getattr(first, field.name), getattr(again, field.name)
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-12, nan_ok=True)


def test_many_photographs_count_each_for_itself_in_ap_and_in_groups_elsewhere(monkeypatch) -> None:
    labels, logits = scores(count=1600)
    one = [SetScores(labels, logits, np.arange(1600) // 2)]
    found, other = (set_metrics(labels, logits, clusters=one[0].clusters, seed=seed) for seed in (0, 1))
    assert found.ap == other.ap == jackknife(one).macro and found.auc != other.auc
    pooled = pooled_average_precision(one)
    for module in (intervals, deletion):
        monkeypatch.setattr(module, "GROUPS", 800)
    every = set_metrics(labels, logits, clusters=one[0].clusters)
    for name, few, all_, tolerance in (
        ("ap", found.ap, every.ap, 0.02),
        ("pooled", pooled, pooled_average_precision(one), 0.02),
        ("auc", found.auc, every.auc, 0.3),
    ):
        assert few.high - few.low == pytest.approx(all_.high - all_.low, rel=tolerance), name


@pytest.mark.parametrize("ties", [False, True])
def test_the_influence_of_an_image_is_the_derivative_of_ap(ties: bool) -> None:
    labels, logits = scores(count=80)
    logits = logits.round(1) if ties else logits
    ranking = rank(labels, logits)
    found, step = average_precision_influence(ranking, labels), 1e-6
    for image in range(0, 80, 13):
        weights = np.ones(80)
        weights[labels == labels[image]] += step / 40
        weights[image] -= step
        lost = average_precision_of(ranking, np.ones(80)) - average_precision_of(ranking, weights[ranking.order])
        assert found[image] == pytest.approx(lost / step, rel=1e-4, abs=1e-7)


def test_simulated_ranks_need_no_more_memory_for_more_photographs(monkeypatch) -> None:
    labels, logits = scores(count=1200)
    aps = jackknife([SetScores(labels, logits, np.arange(1200))])
    before = aps.simulated(4000).std()
    monkeypatch.setattr(intervals, "MOST_SIMULATED", 300)
    assert aps.simulated(4000).std() == pytest.approx(before, rel=0.2)


def test_values_lie_inside_their_intervals_and_draws_zero_gives_none() -> None:
    labels, logits = scores(count=400)
    found = set_metrics(labels, logits, threshold=0.5)
    for name in ("ap", "auc", "accuracy", "accuracy_real", "accuracy_fake_fitted", "tpr_at_fpr_5", "ece"):
        interval = getattr(found, name)
        assert 0 <= interval.low < interval.value < interval.high <= 1, name
    assert np.isnan(found.tpr_at_fpr_1.low), "200 reals do not tell where one in a hundred lies"
    assert np.isnan(set_metrics(labels, logits, draws=0).ap.low)
    assert np.isnan(set_metrics(labels, logits).accuracy_real_fitted.value)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """One cell of benchmarks/coverage: 34 photographs of four crops, errors shared within a photograph, near AP 0.95."""
    runs, per_photo, photographs, apart = 400, 4, 34, 2.45
    cut = np.linspace(-8, 11, 20_001)
    above = norm.sf(cut - apart)
    truth = trapezoid(above / np.maximum(above + norm.sf(cut), 1e-300) * norm.pdf(cut - apart), cut)
    labels = np.repeat([0, 1], photographs * per_photo)
    clusters = np.tile(np.repeat(np.arange(photographs), per_photo), 2)
    rng = np.random.default_rng(0)
    misses = np.zeros(2)
    for _ in range(runs):
        photo = rng.normal(size=(2, photographs)) * np.sqrt(0.8)
        logits = np.repeat(photo, per_photo, axis=1).ravel() + rng.normal(size=len(labels)) * np.sqrt(0.2) + apart * labels
        ap = jackknife([SetScores(labels, logits, clusters)]).macro
        misses += (truth < ap.low, truth > ap.high)
    # 95 % within three standard errors of 400 runs; the percentile bootstrap over photographs reached 85 to 90 %.
    assert 0.917 <= 1 - misses.sum() / runs <= 0.983
    assert misses[0] < 0.05 * runs, "misses do not gather on the side that flatters"


def test_a_calibrated_detector_has_a_calibration_error_that_may_be_zero_and_a_boastful_one_has_not() -> None:
    rng = np.random.default_rng(3)
    labels, clusters = np.repeat([0, 1], 160), np.tile(np.repeat(np.arange(40), 4), 2)
    # Normal scores two apart: their log odds are 2 x - 2.
    logits = 2 * (rng.normal(size=320) + 2 * labels) - 2
    calibrated, boastful = (set_metrics(labels, scale * logits, clusters=clusters).ece for scale in (1, 8))
    assert calibrated.low == 0 < calibrated.value < calibrated.high
    assert 0 < boastful.low < boastful.value < boastful.high
    # Its bias lies below the figure, so that side is the longer one.
    assert boastful.value - boastful.low > boastful.high - boastful.value


def test_nothing_is_certain_where_nothing_went_wrong() -> None:
    labels = np.repeat([0, 1], 34)
    perfect = set_metrics(labels, labels * 2.0 - 1 + np.linspace(0, 0.1, 68))
    for name in ("ap", "auc", "accuracy", "accuracy_real", "accuracy_fake"):
        interval = getattr(perfect, name)
        assert interval.value == interval.high == 1 and 0.85 < interval.low < 0.95, name
    # If so large a share failed, no failure among 34 would be seen one time in twenty.
    assert (1 - unseen_share(34)) ** 34 == pytest.approx(0.05)
    sets = [SetScores(labels, labels * 1.0, np.arange(68) + 100 * place) for place in range(2)]
    assert macro_average_precision(sets).low == pytest.approx(jackknife(sets[:1]).macro.low)
    assert 0.85 < pooled_average_precision(sets).low < 1
    both = jackknife(sets).minus(jackknife(sets))
    assert both.low == -both.high < 0, "two detectors without an error may still differ"


def test_too_few_photographs_have_no_interval() -> None:
    labels, logits = scores(count=8 * LEAST_PHOTOGRAPHS)
    for count, known in ((1, False), (LEAST_PHOTOGRAPHS - 1, False), (LEAST_PHOTOGRAPHS, True)):
        clusters = np.arange(len(labels)) // 2 % count
        ap = set_metrics(labels, logits, clusters=clusters).ap
        assert np.isfinite([ap.low, ap.high]).all() == known, count
        assert np.isfinite(paired_difference(labels, logits, -logits, clusters=clusters).low) == known
    # Many photographs, of which one has nearly all the images, are as good as one.
    clusters = np.where(np.arange(len(labels)) < 60, 0, np.arange(len(labels)))
    assert np.isnan(set_metrics(labels, logits, clusters=clusters).ap.low)
    # Scores that are all equal have no uncertainty that photographs could tell.
    assert np.isnan(set_metrics(labels, np.zeros(len(labels))).ap.low)


def test_copies_in_one_cluster_are_no_new_evidence() -> None:
    labels, logits = scores()
    single = set_metrics(labels, logits).ap
    four, names = (np.repeat(labels, 4), np.repeat(logits, 4)), np.repeat(np.arange(len(labels)), 4)
    clustered, naive = set_metrics(*four, clusters=names).ap, set_metrics(*four).ap
    width, clustered_width, naive_width = (i.high - i.low for i in (single, clustered, naive))
    assert clustered_width == pytest.approx(width, rel=0.2)
    assert naive_width < 0.65 * width


def test_a_shared_photograph_leaves_all_sets_at_once() -> None:
    # Two sets with the same reals and the same fakes are one piece of evidence: the mean is as wide as one alone.
    labels, logits = scores()
    names = np.array([f"image{index}" for index in range(len(labels))])
    apart = np.array([f"other{index}" for index in range(len(labels))])
    one = macro_average_precision([SetScores(labels, logits, names)])
    same = macro_average_precision([SetScores(labels, logits, names)] * 2)
    different = macro_average_precision([SetScores(labels, logits, names), SetScores(labels, logits, apart)])
    assert (same.low, same.high) == pytest.approx((one.low, one.high))
    assert different.high - different.low < 0.85 * (same.high - same.low)


def test_macro_is_the_mean_of_aps() -> None:
    sets = [SetScores(*scores(seed), np.arange(120) + 1000 * seed) for seed in range(3)]
    expected = np.mean([average_precision(s.labels, s.logits) for s in sets])
    assert macro_average_precision(sets).value == pytest.approx(expected)


def test_pooling_is_balanced_over_generators() -> None:
    # Ten copies of one generator's images must not change its say.
    a, b = scores(0), scores(1)
    small = [SetScores(*a, np.arange(120)), SetScores(*b, np.arange(120) + 1000)]
    large = [SetScores(np.tile(a[0], 10), np.tile(a[1], 10), np.tile(np.arange(120), 10)), small[1]]
    one, ten = pooled_average_precision(small), pooled_average_precision(large)
    assert (ten.value, ten.low, ten.high) == pytest.approx((one.value, one.low, one.high))
    # Pooling feels an offset between generators, the macro mean does not.
    shifted = [small[0], SetScores(b[0], b[1] + 9, small[1].clusters)]
    assert macro_average_precision(shifted).value == pytest.approx(macro_average_precision(small).value)
    assert pooled_average_precision(shifted).value < one.value - 0.1


def test_paired_differences() -> None:
    labels, logits = scores()
    same = paired_difference(labels, logits, logits * 2)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    noise = logits + np.random.default_rng(5).normal(size=len(logits)) * 0.02
    near = paired_difference(labels, logits, noise)
    alone = set_metrics(labels, logits).ap
    assert near.high - near.low < 0.3 * (alone.high - alone.low)


def test_set_metrics_and_the_jackknife_of_aps_agree() -> None:
    labels, logits = scores()
    clusters = np.arange(120) // 3
    whole = set_metrics(labels, logits, clusters=clusters).ap
    other = SetScores(*scores(3), clusters + 1000)
    both = jackknife([SetScores(labels, logits, clusters), other])
    alone = both.only(0).macro
    assert (whole.value, whole.low, whole.high) == pytest.approx((alone.value, alone.low, alone.high))
    assert both.only(0, 1).macro == both.macro
    assert [field.name for field in fields(SetMetrics)] == [field.name for field in fields(Figures)]


def test_a_mean_of_aucs_has_an_interval_like_a_mean_of_aps() -> None:
    labels, logits = scores(2)
    clusters = np.arange(len(labels)) // 3
    one = SetScores(labels, logits, clusters)
    found, alone = set_metrics(labels, logits, clusters=clusters).auc, jackknife([one], figure="auc").macro
    assert (found.value, found.low, found.high) == pytest.approx((alone.value, alone.low, alone.high))
    # The same photographs twice tell no more; other ones do.
    twice = jackknife([one, one], figure="auc").macro
    assert (twice.low, twice.high) == pytest.approx((alone.low, alone.high))
    apart = jackknife([one, SetScores(labels, logits, clusters + 1000)], figure="auc").macro
    assert apart.high - apart.low < 0.8 * (alone.high - alone.low)
    perfect = jackknife([SetScores(labels, labels * 1.0, clusters)], figure="auc")
    assert (perfect.macro.value, perfect.macro.low) == (1.0, 1 - unseen_share(perfect.counts[0]))


def test_mistakes_are_named() -> None:
    with pytest.raises(MetricError, match="Got 1 cluster for 2 images"):
        set_metrics([0, 1], [0.0, 1.0], clusters=["a"])
    with pytest.raises(MetricError, match="no test sets"):
        macro_average_precision([])
    one = jackknife([SetScores(*scores(), np.arange(120))])
    with pytest.raises(MetricError, match="from the same images"):
        one.minus(jackknife([SetScores(*scores(), np.arange(120) // 2)]))


@pytest.mark.parametrize("module", [bounds, deletion, influence, intervals, operating, shares])
def test_examples_run(module) -> None:
    assert doctest.testmod(module).failed == 0


def test_a_set_that_a_photograph_holds_a_class_of_keeps_its_value() -> None:
    labels, logits = np.array([0, 0, 1, 1]), np.arange(4.0)
    assert set_metrics(labels, logits, clusters=np.array(["a", "b", "c", "c"])).ap == Interval(
        1.0, *[pytest.approx(np.nan, nan_ok=True)] * 2
    )


def test_a_difference_reads_the_same_from_either_side_and_is_no_narrower_than_its_symmetric_bounds() -> None:
    rng = np.random.default_rng(3)
    for first, second in ((0.99, 0.9), (0.7, 0.7), (1.0, 0.8)):
        one, other = rng.normal(0, 0.002, 40), rng.normal(0, 0.01, 40) ** 2 * 50
        low, high = difference_bounds(first, second, one, other)
        back = difference_bounds(second, first, other, one)
        assert np.allclose((low, high), (-back[1], -back[0]))
        plain = plain_bounds(first - second, one - other)
        assert low <= plain[0] < first - second < plain[1] <= high and -1 <= low and high <= 1
