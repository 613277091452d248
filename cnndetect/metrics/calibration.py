"""Fits that turn a logit into a calibrated fakeness: a threshold and a temperature from validation logits.

The calibrated fakeness is sigmoid((logit - threshold) / temperature). The threshold maximises balanced accuracy, so that 0.5
is where the verdict turns; the temperature (Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2) minimises
the negative log-likelihood with both classes weighed equally. Ranks do not change. It holds for images like the validation
images, half of them fake; for generators that were never seen it is a guess, and the benchmark says how good a one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndetect.errors import MetricError, ProtocolError
from cnndetect.metrics.point import accuracy_at, figures, fit_threshold, rank

# Between these the fit is sought; a temperature at the edge would mean logits in another unit.
TEMPERATURES = (1e-3, 1e3)


@dataclass(frozen=True)
class Calibration:
    """What is frozen in a weights record, and how well it fits the images it was fitted on."""

    threshold_logit: float
    temperature: float
    n_real: int
    n_fake: int
    ece_before: float
    ece_after: float
    accuracy_real: float
    accuracy_fake: float


def calibrate(logits: Any, *, threshold: float, temperature: float) -> Any:
    """Calibrated logits, 0 where the verdict turns: (logit - threshold) / temperature, of floats, arrays or tensors.

    >>> calibrate(3.0, threshold=1.0, temperature=4.0)
    0.5
    """
    return (logits - threshold) / temperature


def fit_calibration(labels: Any, logits: Any, *, max_false_alarms: float | None = None, conditions: int = 1) -> Calibration:
    """Threshold first, then temperature. For validation data only.

    labels: [N] of 0/1.  logits: [N], finite.  max_false_alarms: share of reals that may be called fake at most; the threshold
    of the best balanced accuracy is raised where it lets more pass.  conditions: labels and logits are so many equal parts, one
    after the other, such as untouched and JPEG 75, and the share holds in each of them.  Raises MetricError.

    >>> fit_calibration([0, 0, 1, 1], [-8.0, 2.0, -2.0, 8.0]).ece_after < 0.5
    True
    """
    y, x = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    threshold = fit_threshold(y, x)
    if max_false_alarms is not None:
        threshold = max(threshold, _threshold_under_all(by_condition(y, x, conditions), max_false_alarms))
    temperature = fit_temperature(y, x - threshold)
    after = calibrate(x, threshold=threshold, temperature=temperature)
    real, fake = accuracy_at(y, x, threshold)
    return Calibration(
        threshold, temperature, int((y == 0).sum()), int((y == 1).sum()), figures(rank(y, x)).ece, figures(rank(y, after)).ece, real, fake
    )


def fit_temperature(labels: Any, logits: Any) -> float:
    """The temperature of the least negative log-likelihood, both classes weighing the same.

    The targets are Platt's (1999, Probabilistic Outputs for Support Vector Machines, section 2.2): (n + 1) / (n + 2) instead
    of 1, so that classes without any overlap, where the likelihood rises for ever, have a finite temperature too.

    >>> round(fit_temperature([0, 1] * 50, [-1.0, 1.0] * 50), 4)  # sigmoid(1 / temperature) = 51 / 52
    0.2543
    """
    from scipy.optimize import minimize_scalar  # takes half a second to import, and scoring imports this file

    y, x = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    fakes, reals = int((y == 1).sum()), int((y == 0).sum())
    if not fakes or not reals or not np.isfinite(x).all():
        raise MetricError(f"Got {reals} real and {fakes} fake logits. Expected at least one of each, all finite.")
    if not x.any():
        return 1.0
    target = np.where(y == 1, (fakes + 1) / (fakes + 2), 1 / (reals + 2))
    weight = np.where(y == 1, 0.5 / fakes, 0.5 / reals)

    def loss(log_temperature: float) -> float:
        z = x / np.exp(log_temperature)
        return float(weight @ (np.logaddexp(0, z) - target * z))

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def fit_verdict(conditions: Sequence[tuple[Any, Any]], *, max_false_alarms: float = 0.02, max_misses: float = 0.1) -> tuple[float, float]:
    """Logits (real below, fake above) of a verdict that holds under every condition; between them it is unsure.

    conditions: (labels [N], logits [N]) of validation images, one pair for each condition, such as clean and JPEG 75.  Under
    each of them at most ``max_false_alarms`` of the reals are called fake, and at most ``max_misses`` of the fakes real.

    >>> fit_verdict([([0, 0, 1, 1], [-2.0, 1.0, 0.0, 3.0]), ([0, 0, 1, 1], [-2.0, 2.0, -1.0, 3.0])])
    (-1.0, 2.0)
    """
    if not conditions:
        raise MetricError("Got no condition. Expected labels and logits of at least one.")
    pairs = [(np.asarray(labels), np.asarray(logits, dtype=np.float64)) for labels, logits in conditions]
    for y, x in pairs:
        if not (y == 0).any() or not (y == 1).any() or not np.isfinite(x).all():
            raise MetricError("Got a condition without reals, without fakes or with a logit that is not finite.")
    fake_above = _threshold_under_all(pairs, max_false_alarms)
    # Real means strictly below: the same bound for the fakes, mirrored.
    real_below = min(-_threshold_at(-x[y == 1], max_misses) for y, x in pairs)
    return min(real_below, fake_above), fake_above


def by_condition(labels: Any, logits: Any, conditions: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(labels, logits) of every condition, where those of one follow those of the other and all have as many images.

    >>> [logits.tolist() for _, logits in by_condition([0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0], 2)]
    [[1.0, 2.0], [3.0, 4.0]]
    """
    return list(zip(*(np.split(np.asarray(column), conditions) for column in (labels, logits)), strict=True))


def _threshold_under_all(conditions: Sequence[tuple[np.ndarray, np.ndarray]], share: float) -> float:
    return max(_threshold_at(x[y == 0], share) for y, x in conditions)


def _threshold_at(reals: np.ndarray, share: float) -> float:
    if not 0 <= share < 1:
        raise ProtocolError(f"max_false_alarms got {share} (max_misses likewise). Expected a share in [0, 1).")
    descending = np.sort(reals)[::-1]
    # Fake means strictly above: at the logit of the first real too many, only those before it pass.
    return float(descending[int(share * len(reals))])
