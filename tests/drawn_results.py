"""Draws stored results without images or networks: detectors of known quality on families of known difficulty."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnndetect.bench.results import result_of
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores


def draw_results(
    root: Path,
    *,
    detectors: Sequence[str] = ("good", "fair", "poor"),
    families: Sequence[str] = ("crn", "san"),
    per_class: int = 20,
    degradations: Sequence[str] = ("none",),
    protocols: Sequence[str] = ("nocrop",),
    suite: str = "drawn@1",
    draws: int = 20,
    others: Sequence[str] = (),
) -> Path:
    """Results and scores below ``root``; the first detector is the best, the first family the easiest.

    others: detectors that were trained on more than ProGAN.
    """
    for place, detector in enumerate(detectors):
        for family_place, family in enumerate(families):
            for degradation in degradations:
                for protocol in protocols:
                    scores = drawn_scores(
                        detector,
                        family,
                        degradation,
                        protocol,
                        suite,
                        per_class,
                        gap=3.0 / (1 + place) / (1 + 0.1 * family_place) - 0.4 * (degradation != "none"),
                        progan_only=detector not in others,
                    )
                    middle = protocol if degradation == "none" else f"{protocol}.{degradation}"
                    path = root / detector / f"{family}.{middle}.json"
                    scores.save(path.with_suffix(".npz"))
                    result_of(scores, draws=draws, seed=0).save(path)
    return root


def drawn_scores(
    detector: str,
    family: str,
    degradation: str,
    protocol: str,
    suite: str,
    per_class: int,
    *,
    gap: float,
    failed: int = 0,
    progan_only: bool = True,
) -> Scores:
    """Normal logits, fakes ``gap`` above reals; reals are the same photographs in every family."""
    rng = np.random.default_rng(abs(hash_of(f"{detector} {family} {degradation} {protocol}")))
    labels = np.repeat([0, 1], per_class).astype(np.int8)
    logits = rng.normal(size=2 * per_class) + gap * labels
    logits[:failed] = np.nan
    names = [f"{'1_fake' if label else '0_real'}/photo{index % per_class}.png" for index, label in enumerate(labels)]
    clusters = [f"photo{index % per_class}" for index in range(2 * per_class)]
    errors = ["cannot be read" if np.isnan(logit) else "" for logit in logits]
    provenance = Provenance(
        detector=detector,
        weights_sha256=None,
        identity=f"weights of {detector}",
        progan_only=progan_only,
        suite=suite,
        threshold_logit=None if detector == "poor" else 0.25,
        test_set=family,
        fingerprint=f"{hash_of(family):064x}",
        protocol=protocol,
        degradation=degradation,
        limit=None,
        seed=0,
    )
    return Scores(np.array(names), np.array(clusters), labels, logits, np.array(errors), provenance)


def hash_of(text: str) -> int:
    """The same in every process."""
    return int.from_bytes(text.encode(), "big") % (2**61 - 1)
