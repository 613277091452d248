"""Fakeness: rankings of stored scores, correlations with quality, and the figures and tables of the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_suite import draw_suite, run
from PIL import Image
from scipy.stats import spearmanr

from cnndetect.analysis.fakeness import (
    SHARPNESS,
    correlations,
    feature_distances,
    quality_measures,
    ranked,
    spearman,
)
from cnndetect.data.folders import Sample, evenly, scan
from cnndetect.errors import DataError
from cnndetect.images import to_rgb_array
from cnndetect.scoring.scores import read_scores

FACTORY = "cnndetect.detectors.networks.baselines:smoothness"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A drawn suite and the folder of its scores."""
    root = tmp_path_factory.mktemp("fakeness")
    suite, results = draw_suite(root / "suite", per_class=6), root / "results"
    run(suite, results, draws=0)
    return suite, results


def test_a_ranking_goes_from_least_to_most_fake_and_knows_its_files(scored: tuple[Path, Path]) -> None:
    suite, results = scored
    scores = read_scores(results / "results" / "brightness" / "crn.nocrop.npz")
    both, fakes = ranked(scores, suite / "crn"), ranked(scores, suite / "crn", label=1)
    assert [image.logit for image in both] == sorted(scores.logits) and [image.place for image in both] == list(range(12))
    assert len(fakes) == 6 and all(image.label == 1 and "1_fake" in image.relative for image in fakes)
    # The detector is brightness: the files agree.
    levels = [to_rgb_array(image.path).mean() for image in both]
    assert levels == sorted(levels)
    assert evenly(both, 4, ends=True)[0] == both[0] and evenly(both, 4, ends=True)[-1] == both[-1] and evenly(both, 99, ends=True) == both
    with pytest.raises(DataError, match="another version"):
        ranked(scores, draw_suite(suite.parent / "smaller", per_class=2) / "crn")


def test_failed_images_have_no_place(scored: tuple[Path, Path]) -> None:
    suite, results = scored
    scores = read_scores(results / "results" / "brightness" / "crn.nocrop.npz")
    scores.logits[3] = np.nan
    assert len(ranked(scores, suite / "crn")) == 11


def test_spearman_is_scipys_and_its_interval_knows_clusters() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=80).round(1)  # with ties
    second = first + rng.normal(size=80)
    names = np.arange(80).astype(str)
    found = spearman(first, second, names, draws=300)
    assert found.value == pytest.approx(spearmanr(first, second).statistic)
    assert found.low < found.value < found.high
    # Four copies of twenty images say less than eighty images, and four images say nothing of their own uncertainty.
    few, none = (spearman(*(np.tile(column[:count], 80 // count) for column in (first, second, names))) for count in (20, 4))
    assert few.high - few.low > 1.5 * (found.high - found.low) and np.isnan(none.low)
    assert spearman(np.ones(9), np.arange(9.0), names[:9], draws=5).value == 0.0


def test_sharpness_goes_with_what_the_images_have(scored: tuple[Path, Path]) -> None:
    suite, results = scored
    scores = read_scores(results / "results" / "brightness" / "crn.nocrop.npz")
    measures = quality_measures(suite / "crn", features=False)
    assert set(measures) == {SHARPNESS} and len(measures[SHARPNESS]) == 12
    found = {(c.measure, c.label): c for c in correlations(scores, measures, draws=20)}
    column = np.array([measures[SHARPNESS][path] for path in scores.paths])
    fakes = scores.labels == 1
    assert found[SHARPNESS, 1].rho.value == pytest.approx(spearmanr(scores.logits[fakes], column[fakes]).statistic)
    assert found[SHARPNESS, 1].count == 6


def test_a_feature_distance_is_to_reals_of_other_photographs() -> None:
    samples = [Sample(Path(f"{k}"), 0, f"r{k}", f"photo{k // 2}") for k in range(8)] + [Sample(Path("f"), 1, "f", "photo0")]
    features = np.array([[float(k // 2), 1.0] for k in range(8)] + [[0.0, 1.0]])
    features[0] = features[1] = features[8] = [0.0, 1.0]
    found = feature_distances(features, samples)
    assert found[8] == found[0] > 0 and np.isfinite(found).all()
    assert found[7] > found[4]  # the last photograph has its neighbours on one side alone
    alone = feature_distances(features[:2], samples[:2])
    assert np.isnan(alone).all()


def test_imagenet_features_know_a_picture_from_noise(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs 'cnndetect[zoo]'")
    for name in ("0_real", "1_fake"):
        (tmp_path / name).mkdir()
        for index in range(6):
            rng = np.random.default_rng(index)
            noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            smooth = np.asarray(Image.fromarray(noise[:4, :4]).resize((64, 64)))
            Image.fromarray(smooth if name == "0_real" else noise).save(tmp_path / name / f"{index}.png")
    Image.fromarray(noise[:9, :30]).save(tmp_path / "1_fake" / "small.png")
    found = quality_measures(tmp_path)["feature distance"]
    assert set(found) == {sample.relative for sample in scan(tmp_path)}
    reals, fakes = ([value for name, value in found.items() if name.startswith(kind)] for kind in ("0", "1"))
    assert min(fakes) > max(reals) > 0
