"""The learning-rate schedule: from the validation score of each epoch to the next learning rate, or to the end of training.

The reference (earlystop.py, train.py): a score improves when it is at least `min_improvement` above the best;
after `patience` epochs without improvement the learning rate falls tenfold and a fresh count starts, without
memory of the best score and with the larger `later_min_improvement`; training stops when the rate falls below
`stop_below_lr`. From 1e-4 that makes three phases: 1e-4, 1e-5, 1.0000000000000002e-06.

Difference to the reference: which weights are the best is not decided here (see validate.py). There, the
first epoch after each fall overwrites the best checkpoint, and a gain below `min_improvement` never does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class PlateauRule:
    """When to lower the learning rate and when to stop."""

    patience: int = 5
    min_improvement: float = 0.001
    later_min_improvement: float = 0.002
    lr_factor: float = 0.1
    stop_below_lr: float = 1e-6


@dataclass(frozen=True)
class Plateau:
    """State between two epochs: the rate to train with, and how long the score has not risen."""

    lr: float
    best: float | None = None
    epochs_without_gain: int = 0
    falls: int = 0
    stopped: bool = False


def step(state: Plateau, score: float, rule: PlateauRule) -> Plateau:
    """Take in the score of one epoch and return the state for the next one.

    >>> state = step(Plateau(lr=1e-4), 0.9, PlateauRule(patience=1))
    >>> step(state, 0.9, PlateauRule(patience=1)).lr
    1e-05
    """
    if state.best is None:
        return replace(state, best=score)

    wanted = rule.min_improvement if state.falls == 0 else rule.later_min_improvement
    if score >= state.best + wanted:
        return replace(state, best=score, epochs_without_gain=0)
    if state.epochs_without_gain + 1 < rule.patience:
        return replace(state, epochs_without_gain=state.epochs_without_gain + 1)

    # The count is full: lower the rate and forget the best, as the reference does.
    lr = state.lr * rule.lr_factor
    return Plateau(lr=lr, falls=state.falls + 1, stopped=lr < rule.stop_below_lr)
