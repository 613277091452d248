"""A weighted sum of the logits of several detectors, its weights fitted on validation logits and kept in a small JSON file.

A residual-domain detector sees the traces of up-sampling and little else; one trained with blur and JPEG loses them and keeps
what survives compression. Their logits are summed with the weights of a logistic regression on ProGAN validation images.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnndetect.detectors.base import Detector
from cnndetect.detectors.calibration import fit_calibration
from cnndetect.detectors.validation import ValidationLogits, validation_logits
from cnndetect.detectors.weights import file_sha256
from cnndetect.errors import CnndetectError, DataError, ProtocolError, WeightsError

EXAMPLES = """examples:
  python -m cnndetect.detectors.fusion runs/bj/best.safetensors runs/npr/best.safetensors --val DATA/val --out fusion.json
  python -m cnndetect.detectors.fusion A B --val DATA/val --degradation none --degradation jpeg_75 --out fusion.json
  python -m cnndetect.bench --suite mini --detector fusion.json
"""


@dataclass(frozen=True)
class Member:
    """One detector of a sum. detector: a registered name, or a weights file relative to the JSON file.  weight: per logit."""

    detector: str
    weights_sha256: str
    weight: float


@dataclass(frozen=True)
class FusionRecord:
    """What the JSON file holds; the fused logit is bias + sum of weight times logit."""

    members: tuple[Member, ...]
    bias: float
    threshold_logit: float
    temperature: float
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = [self.bias, self.threshold_logit, self.temperature, *(member.weight for member in self.members)]
        if len(self.members) < 2 or not np.isfinite(numbers).all() or self.temperature <= 0:
            raise WeightsError(f"A fusion got {len(self.members)} members and {numbers}. Expected two or more, and finite numbers.")

    def save(self, path: Path) -> None:
        """Write sorted JSON, whole or not at all."""
        temporary = path.with_name(path.name + ".part")
        temporary.write_text(json.dumps({"fusion": asdict(self)}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(temporary, path)


def read_fusion(path: str | Path) -> FusionRecord:
    """The record of a JSON file that ``FusionRecord.save`` wrote. Raises WeightsError."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))["fusion"]
        members = tuple(Member(**member) for member in content.pop("members"))
        return FusionRecord(members=members, **content)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{path} is no fusion ({error!r}). Fit one with: python -m cnndetect.detectors.fusion") from error


def fit_weights(labels: Any, logits: Any) -> tuple[np.ndarray, float]:
    """Weights [M] and bias of a logistic regression, both classes weighing the same.

    labels: [N] of 0/1.  logits: [N, M], one column a detector.  Every column is divided by its deviation before the fit, with
    a ridge penalty of one on these columns: where validation is separated without error, the likelihood alone has no
    maximum, and the penalty prefers equal weights of equally scaled logits.  Raises DataError.

    >>> weights, bias = fit_weights([0, 1] * 20, [[-1.0, 0.0], [1.0, 0.1]] * 20)
    >>> weights.shape, bool(weights[0] > 0)
    ((2,), True)
    """
    from sklearn.linear_model import LogisticRegression

    y, columns = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    scale = columns.std(axis=0)
    if columns.ndim != 2 or len(np.unique(y)) != 2 or not np.isfinite(columns).all() or not scale.all():
        raise DataError(f"Got logits {columns.shape} with deviations {scale}. Expected finite ones of both classes that are not constant.")
    fitted = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-8, max_iter=10_000).fit(columns / scale, y)
    return fitted.coef_[0] / scale, float(fitted.intercept_[0])


def fit_fusion(detectors: Sequence[tuple[str, str]], stored: Sequence[ValidationLogits]) -> FusionRecord:
    """Fit on stored validation logits, one entry per detector; threshold and temperature come from the fused logits.

    detectors: (name or file, SHA-256) of each.  Raises DataError where the logits are of different images.
    """
    origins = [{key: value for key, value in one.origin.items() if key not in ("detector", "identity")} for one in stored]
    if any(origin != origins[0] for origin in origins):
        raise DataError(f"The validation logits are of different images or conditions: {origins}. Score all members on the same folder.")
    labels, logits = stored[0].labels, np.stack([one.logits for one in stored], axis=1)  # [N, M]
    weights, bias = fit_weights(labels, logits)
    frozen = fit_calibration(labels, logits @ weights + bias)
    members = tuple(Member(name, digest, float(weight)) for (name, digest), weight in zip(detectors, weights, strict=True))
    return FusionRecord(members, bias, frozen.threshold_logit, frozen.temperature, {**origins[0], "images": len(labels)})


class Fusion(nn.Module):
    """The sum as a network: normalised [N, 3, H, W] -> [N]; every member does to the image what its own recipe says."""

    def __init__(self, networks: Sequence[Any], weights: Sequence[float], bias: float) -> None:
        super().__init__()
        self.networks, self.weights, self.bias = nn.ModuleList(networks), tuple(weights), bias

    def forward(self, images: Tensor) -> Tensor:
        # In double precision, so that large logits of opposite sign leave their difference.
        logits = torch.stack([network(images).reshape(len(images)).double() for network in self.networks], dim=1)  # [N, M]
        return logits @ torch.tensor(self.weights, dtype=torch.float64, device=images.device) + self.bias


def load_fusion(path: str | Path, *, name: str, device: str) -> Detector:
    """The detector of a JSON file. Raises WeightsError where a member is missing or another file than was fitted."""
    from cnndetect.detectors.registry import load

    path = Path(path)
    record = read_fusion(path)
    members = []
    for member in record.members:
        file = path.parent / member.detector
        found = load(file if file.is_file() else member.detector, device=device)
        if found.weights_sha256 != member.weights_sha256:
            raise WeightsError(
                f"{path} was fitted with {member.detector} of SHA-256 {member.weights_sha256}, and this one has "
                f"{found.weights_sha256}. Restore that file, or fit the fusion again."
            )
        members.append(found)
    network = Fusion([member.network for member in members], [member.weight for member in record.members], record.bias)
    known = [member.progan_only for member in members]
    progan_only = None if None in known else all(known)
    return Detector(
        name, network, threshold_logit=record.threshold_logit, weights_sha256=file_sha256(path), progan_only=progan_only,
        device=device, record=asdict(record), temperature=record.temperature,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Score the members on the same validation images, fit their weights, write the JSON file that loads as a detector."""
    from cnndetect.detectors.registry import load

    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.detectors.fusion", description=main.__doc__,
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("detectors", nargs="+", metavar="NAME|FILE", help="two or more members")
    parser.add_argument("--val", type=Path, required=True, metavar="FOLDER", help="ProGAN validation images, official layout")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--degradation", action="append", metavar="NAME", help="repeatable; the logits are joined (default: none)")
    parser.add_argument("--max-images", type=int, metavar="N", help="of --val, the same share of every class (default: all)")
    parser.add_argument("--logits", type=Path, metavar="DIR", help="keep the members' logits there, and reuse them")
    parser.add_argument("--device", metavar="NAME", help="default: CUDA where there is one")
    options = parser.parse_args(arguments)
    try:
        if len(options.detectors) < 2 or options.out.suffix != ".json":
            raise ProtocolError(f"Got {len(options.detectors)} members and --out {options.out}. Expected two or more, and a .json file.")
        named, stored = [], []
        for given in options.detectors:
            detector = load(given, device=options.device)
            if detector.weights_sha256 is None:
                raise ProtocolError(f"{given} has no weights file. Expected registered detectors or weights files.")
            named.append((_relative(given, options.out), detector.weights_sha256))
            degradations = options.degradation or ("none",)
            stored.append(
                validation_logits(
                    detector, options.val, degradations=degradations, max_images=options.max_images, store=options.logits, progress=True
                )
            )
        record = fit_fusion(named, stored)
        record.save(options.out)
    except (CnndetectError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(record), indent=2, sort_keys=True))
    return 0


def _relative(given: str, out: Path) -> str:
    file = Path(given)
    return Path(os.path.relpath(file.resolve(), out.resolve().parent)).as_posix() if file.is_file() else given


if __name__ == "__main__":
    sys.exit(main())
