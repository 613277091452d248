"""How often the intervals hold the truth: ``python benchmarks/coverage/run.py`` (minutes on one core).

Every cell is a distribution whose figures are known; test sets are drawn from it, and the package's own functions give their intervals.
Run k of a cell has its own seed (cell, k). Cells that are done are kept in --out and not run again; with a larger --runs only the
missing runs are made. --page writes the table into a document between ``<!-- coverage -->`` and ``<!-- end of coverage -->``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from percentile import draw_weights, percentile_interval
from worlds import Draws, World, suite

from cnndetect.bench.tables import markdown
from cnndetect.files import write_whole
from cnndetect.metrics.intervals import RATES, Interval, jackknife, pooled_average_precision, set_metrics, tpr_interval
from cnndetect.metrics.point import average_precision_of, figures, rank

HERE = Path(__file__).resolve().parent
OLD_DRAWS = 300

# The band that a nominal 95 % interval should stay in, as shares.
BAND = (0.93, 0.97)

OLD = "percentile bootstrap, as it was"

# Runs are worth less where each takes long: the share of --runs that a cell makes.
SLOW = {34: 1.0, 150: 1.0, 2000: 0.5}

Measure = Callable[[Draws, np.random.Generator], list[tuple[Interval, float]]]


def macro(draws: Draws, rng: np.random.Generator) -> list[tuple[Interval, float]]:
    return [(jackknife(draws.sets(rng)).macro, draws.truth.macro)]


def pooled(draws: Draws, rng: np.random.Generator) -> list[tuple[Interval, float]]:
    return [(pooled_average_precision(draws.sets(rng)), draws.truth.pooled)]


def old(draws: Draws, rng: np.random.Generator) -> list[tuple[Interval, float]]:
    """The percentile bootstrap over photographs that the jackknife took the place of."""
    sets = draws.sets(rng)
    rankings = [rank(s.labels, s.logits) for s in sets]
    clusters = np.concatenate([s.clusters for s in sets])
    kinds = clusters >= draws.world.photographs  # photographs of the reals, and fakes of their own
    weights = np.split(draw_weights(clusters, labels=kinds.astype(int), draws=OLD_DRAWS, seed=int(rng.integers(2**31))),
                       np.cumsum([len(s.labels) for s in sets])[:-1], axis=1)  # fmt: skip
    drawn = np.mean([[average_precision_of(r, row[r.order]) for row in w] for r, w in zip(rankings, weights, strict=True)], axis=0)
    value = float(np.mean([average_precision_of(r, np.ones(len(r.order))) for r in rankings]))
    return [(percentile_interval(value, drawn), draws.truth.macro)]


def difference(draws: Draws, rng: np.random.Generator) -> list[tuple[Interval, float]]:
    one, other = draws.twins(rng)
    return [(jackknife(one).minus(jackknife(other)), 0.0)]


def difference_from(ap: float) -> Measure:
    """The difference from a detector that has this AP on the same photographs."""

    @cache
    def worse_than(world: World) -> Draws:
        return Draws(replace(world, ap=ap))

    def measure(draws: Draws, rng: np.random.Generator) -> list[tuple[Interval, float]]:
        one, other = draws.twins(rng, worse_than(draws.world))
        return [(jackknife(one).minus(jackknife(other)), draws.world.ap - ap)]

    return measure


def figures_of(name: str) -> Measure:
    def measure(draws: Draws, rng: np.random.Generator) -> list[tuple[Interval, float]]:
        (one,) = draws.sets(rng)
        truth, share = draws.truth, float(np.mean(one.labels))
        known = {
            "auc": truth.auc[0],
            "accuracy_real": 1 - truth.above_reals,
            "accuracy_fake": truth.above_fakes[0],
            "accuracy": (1 - share) * (1 - truth.above_reals) + share * truth.above_fakes[0],
            "tpr_at_fpr_1": truth.tpr[0.01][0],
            "tpr_at_fpr_5": truth.tpr[0.05][0],
        }
        if name in RATES:  # alone, as all figures together take a hundred times as long
            value = getattr(figures(rank(one.labels, one.logits)), name)
            return [(tpr_interval(one, name, value), float(known[name]))]
        return [(getattr(set_metrics(one.labels, one.logits, clusters=one.clusters), name), float(known[name]))]

    return measure


def ece(part: float) -> Measure:
    """Calibration error of logits that are a part of the way to calibrated ones (``Truth.calibrated``)."""

    @cache
    def truth(draws: Draws, share: float) -> float:
        return draws.truth.ece(share, part)

    def measure(draws: Draws, rng: np.random.Generator) -> list[tuple[Interval, float]]:
        (one,) = draws.sets(rng)
        share = float(np.mean(one.labels))
        found = set_metrics(one.labels, draws.truth.calibrated(one.logits, share, part), clusters=one.clusters)
        return [(found.ece, truth(draws, share))]

    return measure


def cells() -> dict[str, tuple[World, Measure, str]]:
    """Name -> distribution, what is measured, and the table it stands in."""
    found: dict[str, tuple[World, Measure, str]] = {}

    def add(table: str, name: str, world: World, measure: Measure) -> None:
        shape = "" if world.shape == "normal" else f", {world.shape}"
        words = f"{name}, {world.photographs} photographs, AP {100 * world.ap:g}, correlation {world.within:g}{shape}"
        assert words not in found, words
        found[words] = (world, measure, table)

    for count, aps in ((34, (0.6, 0.8, 0.95, 0.99)), (150, (0.6, 0.95, 0.99)), (2000, (0.6, 0.99))):
        for within in (0.3, 0.8):
            for ap in aps:
                add("one set", "paired set", World(count, ap, within), macro)
                if count < 2000:
                    add("one set", "free set", World(count, ap, within, paired=0, free=1), macro)
    for count, aps in ((34, (0.6, 0.8, 0.95, 0.99)), (150, (0.8, 0.97)), (2000, (0.8,))):
        for within in (0.3, 0.8):
            for ap in aps:
                add("macro mean of eleven sets", "macro", suite(count, ap, within), macro)
    for within in (0.3, 0.8):
        add("macro mean of eleven sets", "macro, sets from 62 to 98", suite(34, 0.8, within, spread=0.18), macro)
        add("pooled AP of eleven sets", "pooled", suite(34, 0.8, within), pooled)
        add("pooled AP of eleven sets", "pooled", suite(34, 0.95, within), pooled)
        add("pooled AP of eleven sets", "pooled, sets from 62 to 98", suite(34, 0.8, within, spread=0.18), pooled)
        for shape in ("wide", "mixed"):
            for ap in (0.8, 0.97):
                add("other distributions", "paired set", World(34, ap, within, shape=shape), macro)
            add("other distributions", "macro", suite(34, 0.9, within, shape=shape), macro)
        for ap in (0.8, 0.95):
            add("two equal detectors", "difference, one set", World(34, ap, within), difference)
            add("two equal detectors", "difference, macro", suite(34, ap, within), difference)
        add("two equal detectors", "difference, one set", World(150, 0.95, within), difference)
        for ap, other in ((0.95, 0.8), (0.99, 0.9)):
            words = f"difference from AP {100 * other:g}"
            add("two unequal detectors", f"{words}, one set", World(34, ap, within), difference_from(other))
            add("two unequal detectors", f"{words}, macro", suite(34, ap, within), difference_from(other))
        add("two unequal detectors", "difference from AP 80, one set", World(34, 0.95, within, shape="mixed"), difference_from(0.8))
        for name in ("auc", "accuracy", "accuracy_real", "accuracy_fake"):
            for ap in (0.8, 0.99):
                add("other figures", name, World(34, ap, within), figures_of(name))
        add("other figures", "tpr_at_fpr_5", World(150, 0.8, within), figures_of("tpr_at_fpr_5"))
        add("other figures", "tpr_at_fpr_5", World(2000, 0.8, within), figures_of("tpr_at_fpr_5"))
        add("other figures", "tpr_at_fpr_1", World(2000, 0.8, within), figures_of("tpr_at_fpr_1"))
        for words, part in (("ece", 0.0), ("ece, half calibrated", 0.5), ("ece, calibrated", 1.0)):
            for count, ap in ((34, 0.8), (34, 0.99), (150, 0.8)):
                add("calibration error", words, World(count, ap, within), ece(part))
        for ap in (0.6, 0.95, 0.99):
            add(OLD, "bootstrap, paired set", World(34, ap, within), old)
        for ap in (0.8, 0.97):
            add(OLD, "bootstrap, macro", suite(34, ap, within), old)
    return found


def run_cell(name: str, world: World, measure: Measure, first: int, last: int) -> dict[str, float]:
    """Counts of runs first to last: held, truth below, truth above, none; the sum of the widths."""
    draws = Draws(world)
    counts = {"held": 0, "below": 0, "above": 0, "none": 0, "width": 0.0}
    for run in range(first, last):
        for interval, truth in measure(draws, np.random.default_rng([zlib.crc32(name.encode()), run])):
            where = "none" if np.isnan(interval.low) else "below" if truth < interval.low else "above" if truth > interval.high else "held"
            counts[where] += 1
            counts["width"] += 0.0 if where == "none" else interval.high - interval.low
    return counts


def held(counts: dict) -> tuple[float, float, int]:
    """The share of intervals that held the truth, its standard error, and the runs that gave an interval."""
    told = counts["held"] + counts["below"] + counts["above"]
    share = counts["held"] / told
    return share, float(np.sqrt(max(share * (1 - share), 0.95 * 0.05) / told)), told


def outside(known: dict[str, dict]) -> str:
    """Markdown, the cells of today's intervals outside the band, and whether by more than their own standard error."""
    lines, count = [], 0
    for name, (_, _, kind) in cells().items():
        if kind == OLD or name not in known:
            continue
        count += 1
        share, error, _ = held(known[name])
        off = max(BAND[0] - share, share - BAND[1])
        if off > 0:
            words = "more" if off > error else "no more"
            lines.append(f"- {name}: {100 * share:.1f} ± {100 * error:.1f}, outside by {words} than its own error")
    low, high = (f"{100 * one:.0f}" for one in BAND)
    return "\n".join([f"Of {count} cells {count - len(lines)} lie within {low} to {high} %. The others:", "", *lines])


def tables(known: dict[str, dict]) -> str:
    """Markdown, the cells outside the band, then a table for each kind, from the stored counts."""
    parts = [outside(known)]
    every = cells()
    for title in dict.fromkeys(kind for _, _, kind in every.values()):
        rows = []
        for name, (_, _, kind) in every.items():
            if kind != title or name not in known:
                continue
            c = known[name]
            share, error, told = held(c)
            cells_ = [f"{100 * c['below'] / told:.1f}", f"{100 * c['above'] / told:.1f}", f"{100 * c['width'] / told:.1f}", told]
            rows.append([name, f"{100 * share:.1f} ± {100 * error:.1f}", *cells_])
        if rows:
            head = ["cell", "held, %", "truth below, %", "truth above, %", "mean width, points", "runs"]
            parts.append(f"**{title[0].upper()}{title[1:]}**\n\n" + markdown(head, rows))
    return "\n\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=1000, help="of a cell of 34 photographs; larger ones make fewer (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="WORDS", help="cells whose name contains this")
    parser.add_argument("--out", type=Path, default=HERE / "cells.json", help="counts of finished cells (default: %(default)s)")
    parser.add_argument("--page", type=Path, help="document to write the tables into")
    options = parser.parse_args(arguments)
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name, (world, measure, _) in cells().items():
        wanted = max(20, int(options.runs * SLOW[world.photographs] * (0.3 if measure is old else 1)))
        done = known.get(name, {"runs": 0})["runs"]
        if options.only not in name or done >= wanted:
            continue
        started = time.process_time()
        fresh = run_cell(name, world, measure, done, wanted)
        before = known.get(name, {})
        known[name] = {key: before.get(key, 0) + number for key, number in fresh.items()} | {"runs": wanted}
        write_whole(options.out, json.dumps(known, indent=1, sort_keys=True) + "\n")
        print(f"{name}: {time.process_time() - started:.0f} s", file=sys.stderr, flush=True)
    text = tables(known)
    print(text)
    if options.page:
        page = options.page.read_text(encoding="utf-8")
        block = f"<!-- coverage -->\n{text}\n<!-- end of coverage -->"
        write_whole(options.page, re.sub(r"<!-- coverage -->.*<!-- end of coverage -->", lambda _: block, page, flags=re.DOTALL))
    return 0


if __name__ == "__main__":
    sys.exit(main())
