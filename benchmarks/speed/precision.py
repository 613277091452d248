"""What bfloat16 and int8 cost in average precision, against float32 on the same images.

    python benchmarks/speed/precision.py --suite VALIDATION_PAIRS --limit 40 --results /tmp/precision --out validation.json
    python benchmarks/speed/precision.py --suite all --results /tmp/precision --out suites.json
    python benchmarks/speed/precision.py --suite VALIDATION_PAIRS --choose PHOTOGRAPHS --results /tmp/precision --out choice.json

With --choose, ways of measuring the ranges of int8 are compared instead. That is for validation images alone: a test suite is
refused. Scores are kept below --results, so that a run goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cnndetect.backends import accelerated
from cnndetect.backends.int8 import BOUNDS, measure_ranges
from cnndetect.backends.ranges import read_ranges
from cnndetect.bench.run import Options, score_suite
from cnndetect.bench.suites import Suite, find_suites
from cnndetect.data.test_only import refuse_test_images
from cnndetect.detectors.base import Detector
from cnndetect.detectors.registry import load
from cnndetect.errors import ProtocolError
from cnndetect.metrics import average_precision

WAYS = ("torch/bfloat16", "openvino/bfloat16", "onnxruntime/int8", "openvino/int8")


def main() -> None:
    """Score, print a line per suite and way, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", action="append", required=True, metavar="NAME|FOLDER", help="repeatable")
    parser.add_argument("--detector", action="append", metavar="NAME|FILE", help="repeatable (default: the bundled one)")
    parser.add_argument("--way", action="append", metavar="BACKEND/PRECISION", help=f"repeatable (default: {', '.join(WAYS)})")
    parser.add_argument("--ranges", metavar="FILE", help="for int8, of weights that have none stored")
    parser.add_argument("--choose", metavar="FOLDER", help="photographs to measure ranges on, in every way")
    parser.add_argument("--limit", type=int, help="images per class of every test set (default: all)")
    parser.add_argument("--results", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    rows = []
    for name in options.detector or [None]:
        reference = accelerated(load(name, device="cpu"))
        for suite in [found for given in options.suite for found in find_suites(given)]:
            if options.choose:
                for test_set in suite.sets:
                    refuse_test_images(test_set.root, purpose="Choosing how ranges are measured")
            expected = logits_of(reference, suite, options)
            for words, detector in variants(reference, options):
                rows.append(compared(words, reference.name, suite, expected, logits_of(detector, suite, options)))
                print(
                    "{detector} {suite} {way}: AP lost {mean_loss:+.3f} points in the mean, {largest_loss:+.3f} at most; "
                    "logits off by {mean_difference:.4f} in the mean, {largest_difference:.4f} at most".format(**rows[-1]),
                    flush=True,
                )
    options.out.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def variants(reference: Detector, options: argparse.Namespace) -> Iterator[tuple[str, Detector]]:
    """What is compared with the reference, in words and as a detector."""
    if not options.choose:
        for way in options.way or WAYS:
            backend, _, precision = way.partition("/")
            stored = read_ranges(options.ranges).ranges if options.ranges and precision == "int8" else None
            try:
                yield way, accelerated(reference, backend, precision, ranges=stored)
            except ProtocolError as error:
                print(f"{way}: not measured ({error})", flush=True)
        return
    for bounds in BOUNDS:
        for every_layer in (False, True):
            found = measure_ranges(reference, options.choose, bounds=bounds, every_layer=every_layer)
            made = accelerated(reference, "onnxruntime", "int8", ranges=found.ranges)
            words = f"{bounds}, first layer {'int8' if every_layer else 'float'}"
            yield words, replace(made, name=f"{made.name}-{bounds}-{every_layer}", identity=f"{made.identity} {words}")


def logits_of(detector: Detector, suite: Suite, options: argparse.Namespace) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Labels and logits of every test set."""
    kept = score_suite(detector, suite, Options(limit=options.limit, draws=0), results=options.results)
    return {result.test_set: (scores.labels, scores.logits) for result, scores in kept}


def compared(words: str, name: str, suite: Suite, expected: dict[str, Any], got: dict[str, Any]) -> dict[str, Any]:
    """AP in points of every test set before, and what is lost after."""
    before = {key: 100 * average_precision(*pair) for key, pair in expected.items()}
    lost = {key: before[key] - 100 * average_precision(*pair) for key, pair in got.items()}
    off = np.concatenate([np.abs(got[key][1] - expected[key][1]) for key in expected])
    return {
        "detector": name, "suite": suite.title, "way": words, "images": len(off), "ap": before, "lost": lost,
        "mean_ap": float(np.mean(list(before.values()))), "mean_loss": float(np.mean(list(lost.values()))),
        "largest_loss": max(lost.values()), "mean_difference": float(off.mean()), "largest_difference": float(off.max()),
    }  # fmt: skip


if __name__ == "__main__":
    main()
