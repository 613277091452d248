"""Validation logits enter, a frozen threshold and temperature leave: what turns a logit into a calibrated fakeness.

The calibrated fakeness is sigmoid((logit - threshold) / temperature). The threshold maximises balanced accuracy, so that 0.5
is where the verdict turns; the temperature (Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2) minimises
the negative log-likelihood with both classes weighed equally. Ranks do not change. It holds for images like the validation
images, half of them fake; for generators that were never seen it is a guess, and the benchmark says how good a one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from cnndetect.detectors.base import Detector
from cnndetect.errors import CnndetectError, MetricError, ProtocolError, WeightsError
from cnndetect.metrics import accuracy_at, figures, fit_threshold, rank

EXAMPLES = """examples:
  python -m cnndetect.detectors.calibration runs/mine/best.safetensors --val DATA/val --write
  python -m cnndetect.detectors.calibration progan8-r50-bj01 --val DATA/val --json
  python -m cnndetect.detectors.calibration runs/mine/best.safetensors --val DATA/val --degradation none --degradation jpeg_75
"""

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


def fit_calibration(labels: Any, logits: Any, *, max_false_alarms: float | None = None) -> Calibration:
    """Threshold first, then temperature. For validation data only.

    labels: [N] of 0/1.  logits: [N], finite.  max_false_alarms: share of reals that may be called fake at most; the threshold
    of the best balanced accuracy is raised where it lets more pass.  Raises MetricError.

    >>> fit_calibration([0, 0, 1, 1], [-8.0, 2.0, -2.0, 8.0]).ece_after < 0.5
    True
    """
    y, x = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    threshold = fit_threshold(y, x)
    if max_false_alarms is not None:
        threshold = max(threshold, _threshold_at(x[y == 0], max_false_alarms))
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


def calibrated(detector: Detector) -> Detector:
    """The same detector with calibrated logits: its threshold is 0, and sigmoid(logit) the calibrated fakeness.

    Raises ProtocolError where the detector has no temperature and threshold.
    """
    threshold, temperature = detector.threshold_logit, detector.temperature
    if threshold is None or temperature is None:
        raise ProtocolError(
            f"Detector {detector.name} has no calibration (threshold_logit={threshold}, temperature={temperature}). Fit one on "
            f"its validation images with: python -m cnndetect.detectors.calibration FILE --val FOLDER --write"
        )
    identity = None if detector.identity is None else f"{detector.identity} calibrated {threshold!r} {temperature!r}"
    network = Calibrated(detector.network, threshold, temperature)
    return replace(detector, network=network, threshold_logit=0.0, temperature=1.0, identity=identity)


class Calibrated(nn.Module):
    """A network whose logits are moved and divided: [N, 3, H, W] -> [N]."""

    def __init__(self, network: Any, threshold: float, temperature: float) -> None:
        super().__init__()
        self.network, self.threshold, self.temperature = network, threshold, temperature

    def forward(self, images: Tensor) -> Tensor:
        return calibrate(self.network(images), threshold=self.threshold, temperature=self.temperature)


def beside(path: Path) -> Path:
    """Where the calibration of a weights file lies: best.safetensors -> best.calibration.json."""
    return path.with_name(path.stem + ".calibration.json")


def read_calibration(path: Path, digest: str) -> Calibration | None:
    """The calibration beside a weights file, where it is of this very file; None without one. Raises WeightsError."""
    file = beside(path)
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["weights_sha256"] != digest:
            return None
        found = Calibration(**content["calibration"])
        if not (np.isfinite(found.threshold_logit) and found.temperature > 0):
            raise ValueError(f"threshold_logit={found.threshold_logit}, temperature={found.temperature}")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{file} is no calibration ({error!r}). Fit it again with --write, or remove it.") from error
    return found


def main(arguments: list[str] | None = None) -> int:
    """Fit threshold and temperature of a detector on its validation images; print the fields of its weights record."""
    from cnndetect.detectors.registry import load
    from cnndetect.detectors.validation import validation_logits

    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.detectors.calibration", description=main.__doc__,
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("detector", metavar="NAME|FILE", help="a registered detector, or a weights file")
    parser.add_argument("--val", type=Path, required=True, metavar="FOLDER", help="validation images, official layout; never a test set")
    parser.add_argument("--protocol", default="nocrop", help="how images enter (default %(default)s)")
    parser.add_argument("--degradation", action="append", metavar="NAME", help="repeatable; the logits are joined (default: none)")
    parser.add_argument("--max-images", type=int, metavar="N", help="of --val, the same share of every class (default: all)")
    parser.add_argument("--max-false-alarms", type=float, metavar="SHARE", help="of reals called fake at the threshold (default: any)")
    parser.add_argument("--logits", type=Path, metavar="DIR", help="keep the logits there, and reuse them")
    parser.add_argument("--write", action="store_true", help="freeze it beside the weights file, where loading finds it")
    parser.add_argument("--device", metavar="NAME", help="default: CUDA where there is one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        file = Path(options.detector)
        if options.write and not file.is_file():
            raise ProtocolError(f"--write got {options.detector!r}. Expected a weights file; a bundled detector's numbers go into WEIGHTS.")
        detector = load(options.detector, device=options.device)
        found = validation_logits(
            detector, options.val, protocol=options.protocol, degradations=options.degradation or ("none",),
            max_images=options.max_images, store=options.logits, progress=True,
        )  # fmt: skip
        fitted = fit_calibration(found.labels, found.logits, max_false_alarms=options.max_false_alarms)
        if options.write:
            content = {"weights_sha256": detector.weights_sha256, "calibration": asdict(fitted), "fitted_on": found.origin}
            temporary = beside(file).with_name(beside(file).name + ".part")
            temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            os.replace(temporary, beside(file))
    except (CnndetectError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({**asdict(fitted), "fitted_on": found.origin}, indent=2, sort_keys=True))
    else:
        print("\n".join(f"{name}={value!r}," for name, value in asdict(fitted).items()))
    return 0


def _threshold_at(reals: np.ndarray, share: float) -> float:
    if not 0 <= share < 1:
        raise ProtocolError(f"max_false_alarms got {share}. Expected a share in [0, 1).")
    descending = np.sort(reals)[::-1]
    # Fake means strictly above: at the logit of the first real too many, only those before it pass.
    return float(descending[int(share * len(reals))])


if __name__ == "__main__":
    sys.exit(main())
