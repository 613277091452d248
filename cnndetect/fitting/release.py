"""Prepare a trained detector for release: pack its weights, freeze its threshold, fuse it with others, and write its record.

Each function writes the record beside the weights (records.py). Images are validation images; a test set has no part in it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from cnndetect.detectors.base import Detector
from cnndetect.detectors.fusion import FusionRecord
from cnndetect.detectors.networks import NETWORKS, architecture_of
from cnndetect.detectors.packed import to_packed
from cnndetect.detectors.records import Packing, Source, WeightsRecord, read_record, record_beside, record_path
from cnndetect.detectors.registry import load, name_of
from cnndetect.detectors.run_record import RECORD, run_beside
from cnndetect.detectors.weights import load_state
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.files import sha256_of, write_whole
from cnndetect.fitting.fusion import fit_fusion
from cnndetect.fitting.validation import ValidationLogits, validation_logits
from cnndetect.metrics import average_precision
from cnndetect.metrics.calibration import Calibration, by_condition, fit_calibration, fit_verdict

# Share of validation fakes that a verdict may call real, under any condition it was fitted on.
MAX_MISSES = 0.1

# What is fitted to the bytes of a weights file, and no longer holds for others.
FITTED = ("threshold_logit", "temperature", "verdict", "fitted_on")


def record_for(weights: str | Path) -> WeightsRecord:
    """The record of a weights file: the one beside it, else a new one from the run that trained it. Raises WeightsError.

    A record of other bytes keeps its words and loses what was fitted to those bytes.
    """
    path = Path(weights)
    digest, place = sha256_of(path), record_path(path)
    found = record_beside(path, digest)
    if found:
        return found
    if place is not None and place.is_file():
        return read_record(place).changed(file=path.name, sha256=digest, packing=None, source=None, **dict.fromkeys(FITTED))
    return WeightsRecord(name=place.stem if place else path.stem, file=path.name, sha256=digest).changed(**_of_run(path, digest))


def pack_weights(
    source: str | Path,
    target: str | Path,
    *,
    bits: int = 8,
    compare: str | Path | None = None,
    device: str | None = None,
    fields: dict[str, Any] | None = None,
    progress: bool = False,
) -> WeightsRecord:
    """Write packed weights and their record, and return the record; threshold and temperature are to be fitted anew.

    bits: of large tensors, 2 to 8.  compare: validation images, to measure what it did to the logits.  fields: of the record,
    such as title, licence and note; the others come from the record of ``source``, or from the training run beside it.
    The rule for bundled weights: fewer bits only where the AP falls by 0.001 or less.  Raises WeightsError, UnknownNameError.
    """
    source, target = Path(source), Path(target)
    state = load_state(source)
    place = target.with_suffix(".json")
    kept = read_record(place) if place.is_file() else record_for(source)  # words that somebody wrote there stay
    kept.changed(**(fields or {}))  # a misspelt field is named before anything is written
    write_whole(target, lambda temporary: save_file(to_packed(state, bits=bits), temporary))
    digest, network = sha256_of(target), architecture_of(state) or kept.network
    record = kept.changed(
        name=target.stem, file=target.name, sha256=digest, network=network,
        architecture=kept.architecture or (NETWORKS[network].words if network in NETWORKS else network),
        packing=compare_weights(source, target, compare, bits=bits, device=device, progress=progress) if compare else Packing(bits=bits),
        source=Source(file=source.name, sha256=sha256_of(source)), **({} if kept.sha256 == digest else dict.fromkeys(FITTED)),
    ).changed(**(fields or {}))  # fmt: skip
    record.save(target.parent)
    return record


def compare_weights(
    before: str | Path, after: str | Path, root: str | Path, *, bits: int, device: str | None = None, progress: bool = False
) -> Packing:
    """What packing did to the logits and the AP of the images of a folder in the official layout, at native size."""
    pair = [validation_logits(load(path, device=device), root, progress=progress) for path in (before, after)]
    difference = np.abs(pair[1].logits - pair[0].logits)
    ap_before, ap_after = (float(average_precision(one.labels, one.logits)) for one in pair)
    return Packing(
        bits=bits, images=len(difference), largest_difference=float(difference.max()), mean_difference=float(difference.mean()),
        ap_before=ap_before, ap_after=ap_after,
    )  # fmt: skip


def calibrate_weights(
    given: str | Path,
    val: str | Path,
    *,
    protocol: str = "nocrop",
    degradations: Sequence[str] = ("none",),
    max_images: int | None = None,
    max_false_alarms: float | None = None,
    store: Path | None = None,
    write: bool = False,
    device: str | None = None,
    progress: bool = False,
) -> tuple[Calibration, dict[str, Any]]:
    """Threshold and temperature of a detector from its validation images, and what they were fitted on.

    given: a registered name, or a weights file.  val: in the official layout.  write: freeze both in the record beside the
    weights file, where loading finds them; where ``max_false_alarms`` is given, with the thresholds of the verdict, and that share
    holds under each degradation.
    store: a folder of logits to reuse.  The rest: see fit_calibration.
    """
    if write and not Path(given).is_file():
        raise ProtocolError(f"write got {str(given)!r}. Expected a weights file, whose record lies beside it.")
    detector = load(given, device=device)
    found = _logits(detector, val, protocol, degradations, max_images, store, progress)
    fitted = fit_calibration(found.labels, found.logits, max_false_alarms=max_false_alarms, conditions=len(degradations))
    limit = {} if max_false_alarms is None else {"max_false_alarms": max_false_alarms}
    fitted_on = {**found.origin, "images": len(found.labels), **limit}
    if write:
        record = record_for(given)
        network = {} if record.network == "fusion" else {"network": architecture_of(load_state(given)) or record.network}
        frozen = {"threshold_logit": fitted.threshold_logit, "temperature": fitted.temperature, "fitted_on": fitted_on}
        if max_false_alarms is not None:
            parts = by_condition(found.labels, found.logits, len(degradations))
            low, high = fit_verdict(parts, max_false_alarms=max_false_alarms, max_misses=MAX_MISSES)
            frozen["verdict"] = {"real_below_logit": low, "fake_above_logit": high}
            frozen["fitted_on"] = {**fitted_on, "max_misses": MAX_MISSES}
        record.changed(protocol=protocol, **network, **frozen).save(Path(given).parent)
    return fitted, fitted_on


def fuse_detectors(
    members: Sequence[str],
    val: str | Path,
    out: str | Path,
    *,
    degradations: Sequence[str] = ("none",),
    max_images: int | None = None,
    store: Path | None = None,
    equal: bool = False,
    device: str | None = None,
    progress: bool = False,
) -> FusionRecord:
    """Score the members on the same validation images, fit their weights, write the JSON file that loads as a detector.

    out: FILE.json; a file NAME.fusion.json has a record NAME.json beside it, as the bundled ones have.
    equal: every logit over its deviation there weighs the same.  Raises ProtocolError.
    """
    out = Path(out)
    if len(members) < 2 or out.suffix != ".json":
        raise ProtocolError(f"Got {len(members)} members and the file {out}. Expected two or more, and a .json file.")
    named, stored = [], []
    for given in members:
        detector = load(given, device=device)
        if detector.weights_sha256 is None:
            raise ProtocolError(f"{given} has no weights file. Expected registered detectors or weights files.")
        named.append((_relative(given, out), detector.weights_sha256))
        stored.append(_logits(detector, val, "nocrop", degradations, max_images, store, progress))
    record = fit_fusion(named, stored, equal=equal)
    record.save(out)
    if record_path(out) is not None:
        fields = {"threshold_logit": record.threshold_logit, "temperature": record.temperature, "fitted_on": record.fitted_on}
        words = {"network": "fusion", "architecture": f"weighted sum of the logits of {' and '.join(map(name_of, members))}"}
        record_for(out).changed(**words, **fields).save(out.parent)
    return record


def _logits(
    detector: Detector, val: str | Path, protocol: str, degradations: Sequence[str], most: int | None, store: Path | None, progress: bool
) -> ValidationLogits:
    return validation_logits(
        detector, val, protocol=protocol, degradations=degradations, max_images=most, store=store, progress=progress
    )  # fmt: skip


def _of_run(weights: Path, digest: str) -> dict[str, Any]:
    """What record.json of a training run says of its weights; nothing where there is none, or of other weights."""
    run = run_beside(weights, digest)
    if run is None:
        return {}
    try:
        data = [f"{split}: {_counted(facts['classes'])}" for split, facts in run.data.items()]
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{weights.with_name(RECORD)} does not count the images of its classes ({error!r}). Mend or move it.") from error
    return {
        "title": run.name,
        "network": run.arch,
        "architecture": NETWORKS[run.arch].words if run.arch in NETWORKS else run.arch,
        "training_data": "; ".join(data),
        "recipe": run.recipe,
        "seed": run.seed,
        "initialisation": run.initialisation,
        "threshold_logit": run.threshold_logit,
    }


def _counted(classes: dict[str, dict[str, int]]) -> str:
    real, fake = (sum(counts[label] for counts in classes.values()) for label in ("real", "fake"))
    return f"{real} real and {fake} fake of {', '.join(classes)}"


def _relative(given: str, out: Path) -> str:
    file = Path(given)
    return Path(os.path.relpath(file.resolve(), out.resolve().parent)).as_posix() if file.is_file() else given
