"""Renew the results that ship: clean, equalised and delivered again, for every bundled detector and the baseline.

    python benchmarks/renew_results.py                                # all of it
    python benchmarks/renew_results.py --detector NAME --no-stability
    python benchmarks/renew_results.py --intervals                    # no image is scored: figures and intervals of stored scores
    python benchmarks/renew_results.py --thresholds                   # likewise: figures at the present thresholds

Every suite that is here (mini; public, once it is built) and the changed images of mini (``--equalise jpeg-96`` and ``size-256``, and the
twelve deliveries of ``bench stability``) are scored in --work and packed into benchmarks/results/NAME.tar.xz. What is finished is not
scored again: only a detector whose weights changed, or that was cut off, costs time. One detector scores 1,266 images of mini under each
of 15 conditions, of 3 with --no-stability. Measured: the baseline took 23 s of processor time and 25 kB without stability. Reckoned
from short runs, not measured: 5 minutes for an EfficientNet-Lite0 and 16 for a ResNet-50 with stability, and some 150 kB.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import msgspec

from cnndetect.bench.archives import SUFFIX, pack, unpacked
from cnndetect.bench.results import Result, method_of, read_result, result_of
from cnndetect.bench.selection import selection_of
from cnndetect.bench.store import archives, keep, result_files
from cnndetect.bench.suites import MINI, find_suites, list_suites
from cnndetect.detectors.base import Detector
from cnndetect.detectors.official import OFFICIAL
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.records import registered
from cnndetect.detectors.registry import load
from cnndetect.metrics.intervals import SetMetrics
from cnndetect.paths import AUDITS, RESULTS, SPEEDS
from cnndetect.scoring.scores import read_scores

ROOT = Path(__file__).resolve().parent.parent
BASELINE = {"baseline-smoothness": "cnndetect.detectors.networks.baselines:smoothness"}
EQUALISERS = ("jpeg-96", "size-256")
SUITES = ("mini", "public")


def main(arguments: list[str] | None = None) -> int:
    """0 done, 1 where a detector failed or figures would have moved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--detector", action="append", metavar="NAME", help="repeatable (default: every bundled one, and the baseline)")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", metavar="DIR", help="default: benchmarks/results")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "runs" / "renew", metavar="DIR", help="where images are scored (default: runs/renew)"
    )
    parser.add_argument(
        "--no-stability",
        action="store_true",
        help="leave the deliveries out; those that are stored are kept where the weights are the same",
    )
    parser.add_argument("--intervals", action="store_true", help="make figures of stored scores again; nothing is scored")
    parser.add_argument("--thresholds", action="store_true", help="make figures at the present thresholds again; nothing is scored")
    given = parser.parse_args(arguments)
    if given.intervals:
        return renewed_intervals(given.results)
    if given.thresholds:
        return renewed_thresholds(given.results)
    failed = []
    for name in given.detector or [*registered(), *BASELINE]:
        started = time.monotonic()
        try:
            renew(name, given)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name}: {' '.join(map(str, error.cmd))} ended with {error.returncode}")
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    known = {*registered(), *BASELINE, *PUBLISHED, *OFFICIAL, AUDITS, SPEEDS}
    for path in sorted(given.results.iterdir()):
        if path.name.removesuffix(SUFFIX) not in known:
            print(f"{path}: no detector of this name is known here; remove it", file=sys.stderr)
    print("\n".join(failed), file=sys.stderr)
    return int(bool(failed))


def renew(name: str, given: argparse.Namespace) -> None:
    """Score what is missing of one detector, and pack what is of its present weights."""
    spec, work = BASELINE.get(name, name), given.work / RESULTS / name
    archive = given.results / f"{name}{SUFFIX}"
    resume(archive, work)
    for suite in [one for one in SUITES if one in list_suites()]:
        run("bench", "--suite", suite, "--detector", spec, "--results", str(given.work))
    if (given.work / AUDITS).is_dir():  # of suites that are new
        shutil.copytree(given.work / AUDITS, given.results / AUDITS, dirs_exist_ok=True)
    for equaliser in EQUALISERS:
        run("bench", "--suite", MINI, "--detector", spec, "--equalise", equaliser, "--no-audit", "--results", str(given.work))
    if not given.no_stability:
        run("bench", "stability", "--suite", MINI, "--detector", spec, "--results", str(given.work))
    every = {path: read_result(path).provenance.identity for path in work.rglob("*.json")}
    present = every[work / f"{find_suites(MINI)[0].sets[0].name}.nocrop.json"]
    kept = [path for path, identity in every.items() if identity == present]
    pack(work, archive, [file for path in kept for file in (path, path.with_suffix(".npz"))])
    print(f"{archive}: {len(kept)} results, {archive.stat().st_size} bytes", file=sys.stderr)


def resume(archive: Path, work: Path) -> None:
    """Lay the results of an archive, where there is one, into a work folder that is not there yet."""
    if archive.is_file() and not work.exists():
        shutil.copytree(unpacked(archive), work)


def renewed_intervals(results: Path) -> int:
    """Figures and intervals again where the way they are made has changed. The values may not move; a file whose would is named."""
    moved: list[Path] = []
    stored = result_files(results)
    count = sum(_fresh_intervals(path, moved) for path in stored if path.is_relative_to(results))
    for archive in archives(results):
        count += _repacked(archive, partial(_fresh_intervals, moved=moved))
    print(f"renewed {count} of {len(stored)} results")
    print("\n".join(f"{path}: the figures would move" for path in moved), file=sys.stderr)
    return int(bool(moved))


def renewed_thresholds(results: Path) -> int:
    """Figures of bundled detectors again where the threshold was fitted anew: logits do not depend on it."""
    named = {name: results / f"{name}{SUFFIX}" for name in registered()}
    count = sum(_repacked(archive, partial(_fresh_threshold, detector=load(name))) for name, archive in named.items() if archive.is_file())
    print(f"renewed {count} results")
    return 0


def _repacked(archive: Path, renewed: Callable[[Path], bool]) -> int:
    """Results of an archive that were renewed; it is packed again where there are any."""
    folder = unpacked(archive)
    fresh = sum(renewed(path) for path in sorted(folder.rglob("*.json")))
    if fresh:
        pack(folder, archive)
    return fresh


def _fresh_threshold(path: Path, detector: Detector) -> bool:
    stored, scores = read_result(path), read_scores(path.with_suffix(".npz"))
    chosen, said = selection_of(detector), scores.provenance
    known = (said.threshold_logit, stored.selection) == (detector.threshold_logit, chosen)
    if said.identity != detector.identity or known:
        return False
    moved = replace(scores, provenance=msgspec.structs.replace(said, threshold_logit=detector.threshold_logit))
    keep(path, moved, draws=stored.draws, seed=stored.seed, selection=chosen, temperature=detector.temperature)
    return True


def _fresh_intervals(path: Path, moved: list[Path]) -> bool:
    names = [field.name for field in fields(SetMetrics)]
    stored, scores = read_result(path), read_scores(path.with_suffix(".npz"))
    if stored.intervals == method_of(scores):
        return False
    fresh = result_of(scores, draws=stored.draws, seed=stored.seed)
    if any(abs(_value(stored, name) - _value(fresh, name)) > 1e-12 for name in names):
        moved.append(path)
        return False
    # To the last digit: another processor's sums may differ there.
    kept = {name: replace(getattr(fresh.metrics, name), value=getattr(stored.metrics, name).value) for name in names}
    msgspec.structs.replace(stored, metrics=SetMetrics(**kept), intervals=fresh.intervals).save(path)
    return True


def _value(result: Result, name: str) -> float:
    value = getattr(result.metrics, name).value
    return 0.0 if math.isnan(value) else value


def run(*words: str, python: str = sys.executable, quiet: bool = True) -> None:
    """One verb of cnndetect, of this checkout, in a process of its own. Raises CalledProcessError."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    subprocess.run([python, "-m", "cnndetect", *words], check=True, env=environment, stdout=subprocess.DEVNULL if quiet else None)


if __name__ == "__main__":
    sys.exit(main())
