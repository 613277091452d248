"""The reference's early stop, as tables: accuracy of every epoch -> learning rate of the next one, and where it ends."""

from __future__ import annotations

import random

import pytest

from cnndetect.train.plateau import Plateau, PlateauRule, step

LAST = 1.0000000000000002e-06  # what 1e-4 becomes after two falls, in floats; not below 1e-6, so it is trained with


def _run(scores: list[float], rule: PlateauRule | None = None) -> tuple[list[float], int | None]:
    """Learning rate each epoch is trained with, and the epoch after which training stops."""
    state, rates = Plateau(lr=1e-4), []
    for epoch, score in enumerate(scores):
        rates.append(state.lr)
        state = step(state, score, rule or PlateauRule())
        if state.stopped:
            return rates, epoch
    return rates, None


# Worked out by hand from REFERENCE.md 1.4: first score sets the best, five without gain end the phase.
TABLE = {
    "never better: three phases of six epochs": (
        [0.9] * 30,
        [1e-4] * 6 + [1e-5] * 6 + [LAST] * 6,
        17,
    ),
    "steady gain: never falls": (
        [0.5 + 0.01 * epoch for epoch in range(20)],
        [1e-4] * 20,
        None,
    ),
    "a gain of a tenth of a point counts in the first phase": (
        # The comparison is >=, and 0.5 + 0.001 is 0.501 in floats too.
        [0.5, 0.5, 0.5, 0.5, 0.5, 0.501, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        [1e-4] * 11 + [1e-5],
        None,
    ),
    "a smaller gain does not": (
        [0.5, 0.5, 0.5, 0.5, 0.5, 0.5009, 0.5],
        [1e-4] * 6 + [1e-5],
        None,
    ),
    "later phases want two tenths": (
        [0.5] * 6 + [0.7, 0.701, 0.7015, 0.7019, 0.701, 0.701] + [0.9],
        [1e-4] * 6 + [1e-5] * 6 + [LAST],
        None,
    ),
    "later phases count two tenths": (
        [0.5] * 6 + [0.7, 0.7, 0.7, 0.7, 0.7, 0.7021] + [0.7] * 5 + [0.9],
        [1e-4] * 6 + [1e-5] * 11 + [LAST],
        None,
    ),
    "a fall forgets the best: a worse score starts the next phase": (
        [0.9] * 6 + [0.6, 0.61, 0.62, 0.63, 0.64, 0.65, 0.66, 0.67],
        [1e-4] * 6 + [1e-5] * 8,
        None,
    ),
    "a gain clears the count": (
        [0.5, 0.5, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.7],
        [1e-4] * 12,
        None,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_table(name: str) -> None:
    scores, rates, stop = TABLE[name]
    assert _run(scores) == (rates, stop)


def test_the_rates_are_the_references_floats() -> None:
    rates, _ = _run([0.9] * 30)
    by_division = [1e-4, 1e-4 / 10.0, 1e-4 / 10.0 / 10.0]
    assert sorted(set(rates), reverse=True) == by_division
    assert by_division[-1] / 10.0 < 1e-6


def test_an_independent_restatement_agrees_on_random_sequences() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        scores = [round(rng.choice([0.9, 0.95]) + rng.choice([0, 0.001, 0.002, 0.01]), 4) for _ in range(80)]
        assert _run(scores) == _restated(scores)


def test_patience_and_factor_are_options() -> None:
    rates, stop = _run([0.9] * 20, PlateauRule(patience=2, lr_factor=0.5, stop_below_lr=4e-5))
    assert (rates, stop) == ([1e-4] * 3 + [5e-5] * 3, 5)


def test_a_state_is_not_changed_in_place() -> None:
    state = Plateau(lr=1e-4)
    step(state, 0.5, PlateauRule())
    assert state == Plateau(lr=1e-4)


def _restated(scores: list[float]) -> tuple[list[float], int | None]:
    """The reference's loop in its own shape: a stopper with best, counter and delta, replaced after each fall."""
    lr, best, counter, delta, rates = 1e-4, None, 0, -0.001, []
    for epoch, score in enumerate(scores):
        rates.append(lr)
        if best is None:
            best = score
        elif score < best - delta:
            counter += 1
        else:
            best, counter = score, 0
        if counter >= 5:
            lr /= 10.0
            if lr < 1e-6:
                return rates, epoch
            best, counter, delta = None, 0, -0.002
    return rates, None
