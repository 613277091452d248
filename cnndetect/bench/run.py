"""Benchmarks a detector on a suite: finished results are read, missing ones are made."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnndetect.backends import accelerated
from cnndetect.bench.results import Result
from cnndetect.bench.selection import selection_of
from cnndetect.bench.store import adopted, finished, keep, result_path
from cnndetect.bench.suites import Suite, TestSet, find_suites, twins
from cnndetect.bench.tables import percent
from cnndetect.counting import counted
from cnndetect.data.folders import Sample, contents, evenly, fingerprint, scan
from cnndetect.data.official.pairing import official_clusters
from cnndetect.detectors.base import Detector
from cnndetect.detectors.registry import DetectorLike, load
from cnndetect.errors import ProtocolError, lookup
from cnndetect.metrics.intervals import Interval, Jackknife, SetMetrics, jackknife, pooled_average_precision
from cnndetect.paths import results_root
from cnndetect.progress import bar, say
from cnndetect.scoring.batches import Conditions, Known, score_set
from cnndetect.scoring.provenance import Provenance
from cnndetect.scoring.scores import Scores
from cnndetect.transforms.degrade import equalised, steps
from cnndetect.transforms.preprocess import PROTOCOLS

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas


@dataclass(frozen=True)
class Options:
    """How to run."""

    protocol: str = "nocrop"
    degradation: str = "none"
    limit: int | None = None  # images per class, None for all
    batch_size: int = 32
    draws: int = 2000  # 0 for no intervals
    seed: int = 0  # of degradations
    rerun: bool = False

    def __post_init__(self) -> None:
        lookup("protocol", PROTOCOLS, self.protocol)
        steps(self.degradation)
        for name, least in (("limit", 1), ("batch_size", 1), ("draws", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ProtocolError(f"Got {name}={value}. Expected a whole number >= {least}.")


@dataclass(frozen=True, repr=False)
class Benchmark:
    """Results of one detector on one suite.

    ``benchmark["crn"].ap.value`` is a figure of one test set, ``benchmark.macro.value`` the mean AP over test sets.
    """

    detector: str
    suite: str
    results: tuple[Result, ...]
    macro: Interval
    """Mean AP over test sets."""
    pooled: Interval
    """One AP over all images, generators balanced."""
    aps: Jackknife
    """AP of every test set without each photograph, for paired differences."""

    def __getitem__(self, test_set: str) -> SetMetrics:
        """The figures of one test set, each with its interval. Raises UnknownNameError."""
        return lookup("test set", {result.test_set: result.metrics for result in self.results}, test_set)

    def __repr__(self) -> str:
        sets = f"{len(self.results)} test set" + ("s" if len(self.results) != 1 else "")
        return f"<Benchmark: {self.detector} on {self.suite}, {sets}, macro mean AP {percent(self.macro)}>"

    def _repr_html_(self) -> str:
        return self.table("html")

    def frame(self) -> pandas.DataFrame:
        """A pandas data frame with a row per test set: fractions with the bounds of their intervals, NaN where there are none.

        Raises ModuleNotFoundError where pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("A frame needs pandas. Run: pip install 'cnndetect[frames]'", name="pandas") from error
        from cnndetect.bench.comparison import records_of

        return pandas.DataFrame(records_of(self))

    def plot(self) -> matplotlib.figure.Figure:
        """Average precision of every test set and the macro mean, each with its interval, as a matplotlib figure.

        Raises ModuleNotFoundError where matplotlib is not installed.
        """
        # The drawings lie on a higher floor, which is entered only when one is asked for.
        drawn = import_module("cnndetect.report.figures.leaderboard").leaderboard
        rows = {result.test_set: result.metrics.ap for result in self.results} | {"macro mean": self.macro}
        trial = "" if self.is_result else " (a trial, no result)"
        return drawn(rows, title=f"{self.detector} on {self.suite}: AP, %{trial}")

    @property
    def is_result(self) -> bool:
        return all(result.is_result for result in self.results)

    def table(self, style: str = "github") -> str:
        """The table as text: github, latex, html, csv or json."""
        from cnndetect.bench.comparison import table_of

        return table_of([self], style=style)


def benchmark(
    detector: DetectorLike = None,
    suite: str | Path = "mini",
    *,
    protocol: str = Options.protocol,
    degradation: str = Options.degradation,
    equalise: Sequence[str] = (),
    limit: int | None = Options.limit,
    batch_size: int = Options.batch_size,
    draws: int = Options.draws,
    seed: int = Options.seed,
    rerun: bool = Options.rerun,
    results: str | Path | None = None,
    device: str | None = None,
    backend: str = "auto",
    precision: str = "float32",
    progress: bool = False,
) -> Benchmark:
    """Average precision and its neighbours of one detector on one suite.

    detector, device: see cnndetect.load.  suite: a name or a folder.  results: folder to write to and resume from.
    equalise: "size-256", "jpeg-96" or both, applied to real and fake alike.  limit: images per class, for a trial that is no
    result.  backend, precision: see cnndetect.backends.  The rest: see Options.

    >>> benchmark(lambda images: images.mean(dim=(1, 2, 3)), "mini", limit=2, draws=0).suite  # doctest: +SKIP
    'mini@1'
    """
    changed = equalised(degradation, equalisers=equalise)
    options = Options(protocol=protocol, degradation=changed, limit=limit, batch_size=batch_size, draws=draws, seed=seed, rerun=rerun)
    (found,) = find_suites(suite)
    ready = accelerated(load(detector, device=device), backend, precision)
    return run_suite(ready, found, options, results=results_root(results), progress=progress)


def run_suite(detector: Detector, suite: Suite, options: Options, *, results: Path, progress: bool = False) -> Benchmark:
    """Score what is missing, then measure. Test sets are checked before the first one is scored."""
    kept = score_suite(detector, suite, options, results=results, progress=progress)
    sets = [scores.at_worst() for _, scores in kept]
    aps = jackknife(sets, draws=options.draws, seed=options.seed)
    return Benchmark(
        detector=detector.name,
        suite=suite.title,
        results=tuple(result for result, _ in kept),
        macro=aps.macro,
        pooled=pooled_average_precision(sets, draws=options.draws, seed=options.seed),
        aps=aps,
    )


def score_suite(
    detector: Detector, suite: Suite, options: Options, *, results: Path, progress: bool = False
) -> list[tuple[Result, Scores]]:
    """Results and scores of every test set, those that are missing made and written; nothing over all sets."""
    samples = {test_set.name: limited(scan(test_set.root), options.limit) for test_set in suite.sets}
    kept: list[tuple[Result, Scores]] = []
    known: dict[tuple[Path, str], float] = {}
    total = sum(map(len, samples.values()))
    # Where stderr is no terminal, the bar is left out and the lines stay.
    with bar(total=total, desc=suite.title, shown=progress, leave=True) as shown:
        for test_set in suite.sets:
            started = time.monotonic()
            result, scores = _one(detector, suite, test_set, samples[test_set.name], options, results, shown.update, known)
            kept.append((result, scores))
            # Test sets may share their reals (0_real.txt); then each is scored once.
            pairs = zip(samples[test_set.name], scores.logits, strict=True)
            known.update({(s.path, s.relative): float(logit) for s, logit in pairs if s.label == 0 and np.isfinite(logit)})
            if progress:
                say(_line(result, time.monotonic() - started))
    return kept


def _one(
    detector: Detector,
    suite: Suite,
    test_set: TestSet,
    samples: tuple[Sample, ...],
    options: Options,
    results: Path,
    advance: Callable[[int], Any],
    known: Known,
) -> tuple[Result, Scores]:
    path = result_path(results, detector.name, test_set.name, options, test_set.place)
    known_contents = contents(samples)
    drawn_together = zip(samples, official_clusters(test_set.official, samples, known_contents), strict=True)
    samples = tuple(replace(sample, cluster=cluster) for sample, cluster in drawn_together)
    provenance = Provenance(
        detector=detector.name,
        weights_sha256=detector.weights_sha256,
        identity=detector.identity,
        threshold_logit=detector.threshold_logit,
        progan_only=detector.progan_only,
        suite=suite.title,
        test_set=test_set.name,
        fingerprint=fingerprint(samples, known_contents=known_contents),
        protocol=options.protocol,
        degradation=options.degradation,
        limit=options.limit,
        seed=options.seed,
        backend=detector.backend,
        precision=detector.precision,
    )
    making: dict[str, Any] = {"draws": options.draws, "seed": options.seed, "selection": selection_of(detector)}
    making["temperature"] = detector.temperature
    # A detector that nothing proves to be the one of an earlier run is scored again.
    trusted = detector.identity is not None and not options.rerun
    journal = path.with_suffix(".journal")
    if trusted:
        earlier = finished(path, provenance, **making)
        for title, place in [] if earlier else twins(suite, test_set):
            twin = result_path(results, detector.name, test_set.name, options, place)
            earlier = earlier or adopted(twin, title, path, provenance, **making)
        if earlier:
            journal.unlink(missing_ok=True)  # a kill may have come between the result and the end of its journal
            advance(len(samples))
            return earlier
    if not trusted:
        journal.unlink(missing_ok=True)
    conditions = Conditions(options.protocol, options.degradation, options.batch_size, options.seed)
    scores = score_set(detector, samples, conditions, journal=journal, provenance=provenance, advance=advance, known=known)
    if scores.failed.all():
        journal.unlink(missing_ok=True)
        raise ProtocolError(_nothing_scored(scores))
    result = keep(path, scores, **making)
    journal.unlink(missing_ok=True)  # not before the scores are stored
    return result


def limited(samples: tuple[Sample, ...], limit: int | None) -> tuple[Sample, ...]:
    """At most ``limit`` samples of each class, the same ones every time; all of them for None."""
    if limit is None:
        return samples
    # Evenly spread over the sorted names, so that a trial sees every photograph's neighbourhood.
    chosen = []
    for label in (0, 1):
        of_class = [sample for sample in samples if sample.label == label]
        chosen += evenly(of_class, limit)
    return tuple(chosen)


def _nothing_scored(scores: Scores) -> str:
    reasons = Counter(scores.errors.tolist()).most_common()
    others = f" ({counted(len(reasons) - 1, 'other reason')})" if len(reasons) > 1 else ""
    reason, count = reasons[0]
    return (
        f"{scores.provenance.detector} failed on all {counted(len(scores.labels), 'image')} of {scores.provenance.test_set}, so there is no "
        f"result. {counted(count, 'time')}: {reason.rstrip('.')}{others}. Check the detector's input size and output with a single image first."
    )


def _line(result: Result, seconds: float) -> str:
    ap, real, fake = result.ap, result.metrics.accuracy_real, result.metrics.accuracy_fake
    images = result.n_real + result.n_fake
    failed = f"   {result.n_failed} FAILED" if result.n_failed else ""
    return (
        f"{result.test_set:<12} AP {percent(ap)}   "
        f"acc real {100 * real.value:.0f} fake {100 * fake.value:.0f}   {counted(images, 'image')}   {seconds:.0f} s{failed}"
    )
