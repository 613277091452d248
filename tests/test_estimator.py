"""The estimator of scikit-learn: it can be cloned and cross-validated, and its order is that of ``cnndetect.score``."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_suite import brightness, named
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import cnndetect
from cnndetect.errors import ProtocolError
from cnndetect.estimator import FakenessClassifier


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.full((8, 8, 3), int(level), np.uint8) for level in [*rng.integers(20, 140, 12), *rng.integers(120, 250, 12)]]


LABELS = [0] * 12 + [1] * 12


def test_it_is_an_estimator_like_any_other(images) -> None:
    model = clone(FakenessClassifier(brightness, device="cpu"))
    assert cross_val_score(model, images, LABELS, cv=3).mean() > 0.8
    model.fit(images, LABELS)
    proba = model.predict_proba(images)
    assert np.allclose(proba.sum(axis=1), 1) and np.array_equal(model.predict(images), (proba[:, 1] > 0.5).astype(int))
    logits = cnndetect.score(images, detector=brightness, return_logit=True)
    assert np.array_equal(np.argsort(model.decision_function(images), kind="stable"), np.argsort(logits, kind="stable"))


def test_without_labels_it_takes_what_was_frozen(images) -> None:
    model = FakenessClassifier(named(temperature=2.0)).fit(images)
    assert (model.threshold_, model.temperature_) == (0.1, 2.0)
    with pytest.raises(ProtocolError, match="Call fit"):
        FakenessClassifier(brightness).fit(images)
