"""``python -m cnndetect.analysis``: spectra, fakeness, robustness and maps of a suite as figures (PNG) and tables (CSV)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cnndetect.analysis.fakeness import Known, correlations, quality_measures, ranked
from cnndetect.analysis.robustness import Robustness, as_rows, degraded_scores, robustness
from cnndetect.analysis.set_spectra import Known as KnownSpectra
from cnndetect.analysis.set_spectra import set_spectra
from cnndetect.analysis.spectra import find_peaks, log_ratio, radial_profile
from cnndetect.bench.suites import Suite, find_suites
from cnndetect.data.folders import evenly
from cnndetect.detectors.registry import load, name_of
from cnndetect.errors import CnndetectError, DataError, UnknownNameError
from cnndetect.files import write_csv, write_whole
from cnndetect.images import to_rgb_array
from cnndetect.metrics.intervals import DRAWS, Interval
from cnndetect.paths import results_root
from cnndetect.scoring.scores import Scores
from cnndetect.transforms.degrade import PAPER_BLUR, PAPER_JPEG

EXAMPLES = """\
Figures are made from stored scores and from the suite's images; what is missing is named, with the command that makes it.

examples:
  python -m cnndetect.analysis spectra --suite mini --out figures/
  python -m cnndetect.analysis fakeness --suite mini --results benchmarks/results --out figures/
  python -m cnndetect.analysis robustness --detector cnndetect.detectors.networks.baselines:smoothness --out figures/
  python -m cnndetect.analysis maps --suite mini --out figures/
"""
CLASSES = ("real", "fake")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, analyse, write: 0 done, 1 failed, 2 misused."""
    options = make_parser().parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        (suite,) = find_suites(options.suite)
        written = {"spectra": _spectra, "fakeness": _fakeness, "robustness": _robustness, "maps": _maps}[options.what](suite, options)
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UnknownNameError) else 1
    except (OSError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(str(path) for path in written))
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The options of `python -m cnndetect.analysis`."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.analysis",
        description="One analysis of a suite as figures and tables.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("what", choices=("spectra", "fakeness", "robustness", "maps"))
    parser.add_argument("--suite", default="mini", help="mini, or a folder with 0_real/ and 1_fake/ (default: mini)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where figures and tables go")
    parser.add_argument("--detector", action="append", default=None, metavar="NAME|FILE|MODULE:FACTORY", help="repeatable; not for spectra")
    parser.add_argument("--results", default=None, metavar="DIR", help="stored scores (default: see cnndetect/paths.py)")
    parser.add_argument("--protocol", default="nocrop", help="of the stored scores (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=None, metavar="N", help="spectra: images per class; maps, fakeness: images shown")
    parser.add_argument("--no-features", action="store_true", help="fakeness: sharpness alone, without 'cnndetect[zoo]'")
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N", help="bootstrap draws (default: %(default)s)")
    return parser


def _spectra(suite: Suite, options: argparse.Namespace) -> list[Path]:
    from cnndetect.report.figures.analysis import radial_profiles, spectra

    known: KnownSpectra = {}
    sets = {one.name: set_spectra(one.root, limit=options.limit, known=known) for one in _bar(suite)}
    profile, peaks = [], []
    for name, (real, fake) in sets.items():
        for label, spectrum in zip(CLASSES, (real, fake), strict=True):
            at, mean = radial_profile(spectrum.log)
            profile += [{"test_set": name, "class": label, "cycles_a_pixel": f, "log_magnitude": m} for f, m in zip(at, mean, strict=True)]
        peaks += [
            {"test_set": name, "down": peak.down, "right": peak.right, "factor": peak.factor} for peak in find_peaks(log_ratio(fake, real))
        ]
    return [
        _figure(spectra(sets), options.out / "spectra.png"),
        _figure(radial_profiles(sets), options.out / "radial-profiles.png"),
        _table(profile, options.out / "radial-profiles.csv"),
        _table(peaks, options.out / "spectrum-peaks.csv"),
    ]


def _fakeness(suite: Suite, options: argparse.Namespace) -> list[Path]:
    from cnndetect.report.figures.analysis import contact_sheet, correlation_dots

    written, rows, measured = [], [], {}
    known: Known = {}
    for one in _bar(suite):
        measured[one.name] = quality_measures(one.root, features=not options.no_features, known=known)
    for detector in _names(options):
        runs = degraded_scores(results_root(options.results), detector, suite=suite.title, protocol=options.protocol)["none"]
        dots: dict[str, dict[str, Interval]] = {}
        for one in suite.sets:
            scores = _of_set(runs, one.name)
            for found in correlations(scores, measured[one.name], draws=options.draws):
                series = f"{found.measure}, {CLASSES[found.label]}"
                dots.setdefault(one.name, {})[series] = found.rho
                rows.append(
                    {
                        "detector": detector,
                        "test_set": one.name,
                        "measure": found.measure,
                        "class": CLASSES[found.label],
                        "count": found.count,
                        "rho": found.rho.value,
                        "low": found.rho.low,
                        "high": found.rho.high,
                    }
                )
            fakes = evenly(ranked(scores, one.root, label=1), options.limit or 20, ends=True)
            sheet = contact_sheet(
                [(to_rgb_array(image.path), image.logit) for image in fakes],
                title=f"{one.name}: fakes from least to most fake, logits of {detector}",
            )
            written.append(_figure(sheet, options.out / f"fakeness-{detector}-{one.name}.png"))
        written.append(_figure(correlation_dots(dots, title=f"Fakeness and quality, {detector}"), options.out / f"quality-{detector}.png"))
    return [*written, _table(rows, options.out / "fakeness.csv")]


def _robustness(suite: Suite, options: argparse.Namespace) -> list[Path]:
    from cnndetect.report.figures.robustness import degradation_dots, paper_curves, shift_dots

    here = {one.name for one in suite.sets}
    found: dict[str, Robustness] = {}
    for detector in _names(options):
        runs = degraded_scores(results_root(options.results), detector, suite=suite.title, protocol=options.protocol)
        kept = {name: {one: scores for one, scores in sets.items() if one in here} for name, sets in runs.items()}
        found[detector] = robustness({name: sets for name, sets in kept.items() if sets}, draws=min(options.draws, 500))
    names, sets_ = list(found), [one.name for one in suite.sets]

    def curves(axis: Sequence[str]) -> dict[str, dict[str, Any]]:
        overall = {"mean": {name: one.curve(axis) for name, one in found.items()}} if len(sets_) > 1 else {}
        each = {one: {name: f.curve(axis, test_set=one) for name, f in found.items() if one in f.by_set} for one in sets_}
        return {**overall, **each}

    written = [
        _figure(paper_curves(curves(PAPER_BLUR), curves(PAPER_JPEG), detectors=names), options.out / "robustness-curves.png"),
        _figure(degradation_dots({name: one.overall for name, one in found.items()}, detectors=names), options.out / "robustness.png"),
    ]
    for name, one in found.items():
        drawn = shift_dots(one.overall, title=f"Median shift of the logit, {name}", spread=one.spread)
        written.append(_figure(drawn, options.out / f"shifts-{name}.png"))
    rows = [
        {"detector": name, "test_set": test_set, **row}
        for name, one in found.items()
        for test_set, points in {"all": one.overall, **one.by_set}.items()
        for row in as_rows(points)
    ]
    return [*written, _table(rows, options.out / "robustness.csv")]


def _maps(suite: Suite, options: argparse.Namespace) -> list[Path]:
    from cnndetect.analysis.explain import explain
    from cnndetect.report.figures.analysis import explanations

    written = []
    for given in options.detector or [None]:
        detector = load(given)
        runs = degraded_scores(results_root(options.results), detector.name, suite=suite.title, protocol=options.protocol)["none"]
        shown = []
        for one in _bar(suite):
            fakes = ranked(_of_set(runs, one.name), one.root, label=1)
            for place, image in zip(("least", "median", "most"), evenly(fakes, options.limit or 3, ends=True), strict=False):
                array = to_rgb_array(image.path)
                shown.append((f"{one.name}, {place} fake", array, explain(array, detector=detector)))
        written.append(_figure(explanations(shown), options.out / f"maps-{detector.name}.png"))
    return written


def _names(options: argparse.Namespace) -> list[str]:
    """Names under which scores were stored; a factory is asked for its own."""
    return [load(one).name if ":" in str(one) else name_of(one) for one in options.detector or [None]]


def _of_set(runs: Mapping[str, Scores], name: str) -> Scores:
    if name not in runs:
        raise DataError(f"There are no stored scores of {name}. Make them with: python -m cnndetect.bench")
    return runs[name]


def _bar(suite: Suite):
    return tqdm(suite.sets, desc=suite.title, unit="set", file=sys.stderr, disable=None, leave=False)


def _figure(figure: Any, path: Path) -> Path:
    from cnndetect.report.figures.style import png_bytes

    write_whole(path, png_bytes(figure))
    return path


def _table(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    write_csv(path, rows)
    return path


if __name__ == "__main__":
    sys.exit(main())
