"""Frechet distance: zero for the same, its closed form for Gaussians, larger for a blurred copy."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from cnndetect.errors import DataError
from cnndetect.features import PerceptualFeatures
from cnndetect.zoo.frechet import describe, frechet_distance
from cnndetect.zoo.photographs.free_photos import encode_png


def test_of_a_set_to_itself_is_zero_and_symmetric() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(60, 5)), rng.normal(size=(80, 5)) * 2 + 1
    assert abs(frechet_distance(one, one)) < 1e-6
    assert frechet_distance(one, two) == pytest.approx(frechet_distance(two, one))


def test_is_the_closed_form_of_independent_gaussians() -> None:
    """With covariances that commute it is |m1 - m2|^2 + sum (s1 - s2)^2."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(4000, 3))
    base = (base - base.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(base, rowvar=False))).T
    scaled = base * [1.0, 2.0, 3.0] + [0.5, 0.0, -1.0]
    assert frechet_distance(base, scaled) == pytest.approx(0.25 + 1.0 + 0 + 1.0 + 4.0, abs=1e-6)


def test_features_of_other_widths_are_refused() -> None:
    with pytest.raises(DataError, match="Expected"):
        frechet_distance(np.zeros((3, 4)), np.zeros((3, 5)))
    with pytest.raises(DataError, match="Expected"):
        frechet_distance(np.zeros((1, 4)), np.zeros((3, 4)))


def test_blur_moves_images_away_and_the_batch_size_does_not_matter(tmp_path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    sharp, soft = [], []
    for index in range(12):
        image = Image.fromarray(np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8))
        for kept, name, made in ((sharp, "s", image), (soft, "b", image.filter(ImageFilter.GaussianBlur(2)))):
            path = tmp_path / f"{name}{index}.png"
            path.write_bytes(encode_png(made))
            kept.append(path)
    features = PerceptualFeatures()
    one = describe(sharp, features=features)
    assert one.shape == (12, 112)
    assert np.allclose(one, describe(sharp, features=features, batch=5), atol=1e-4)
    assert frechet_distance(one[:6], describe(soft, features=features)[:6]) > 2 * frechet_distance(one[:6], one[6:])
