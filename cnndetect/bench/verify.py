"""Verify submitted results: recompute figures from scores, and check images against the suite and weights against the record.

Whether the scores are those of the detector cannot be seen from files: ``rescore`` scores a part of the images again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cnndetect.bench.archives import shown
from cnndetect.bench.built import BUILT, lasting_cluster
from cnndetect.bench.results import Result, method_of, read_result, result_of
from cnndetect.bench.run import limited
from cnndetect.bench.store import result_files, result_path
from cnndetect.bench.suites import Suite, TestSet, find_suites
from cnndetect.counting import counted
from cnndetect.data.folders import contents, fingerprint, scan
from cnndetect.data.official.pairing import official_clusters
from cnndetect.detectors.base import Detector
from cnndetect.detectors.official import OFFICIAL
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.published.loading import known_sha256
from cnndetect.detectors.records import registered
from cnndetect.detectors.registry import load
from cnndetect.errors import CnndetectError, DataError
from cnndetect.metrics.intervals import SetMetrics
from cnndetect.scoring.batches import Conditions, score_set
from cnndetect.scoring.scores import Scores, read_scores

# Sums differ in the last digits between processors.
TOLERANCE = 1e-9
# Logits differ more: convolutions are summed in other orders.
LOGITS = 1e-3


@dataclass(frozen=True)
class Verified:
    """What was found in submitted results. A row with a problem should not be merged."""

    files: int  # results that were read
    problems: tuple[str, ...]  # one line each
    notes: tuple[str, ...]  # likewise


def verify(roots: Iterable[str | Path], *, rescore: int = 0) -> Verified:
    """Check every result below the folders.

    Checked for each: JSON and scores of one run, not limited, under its proper name; counts and figures, made again from the
    scores; images, names and labels of the suite where that suite is installed in this version; what the record of a known
    detector says of its weights and its training images; all test sets of one detector made from the same weights.
    rescore: images of each class of each test set that are scored again by the detector of that name, if it loads here and the
    suite is installed.  Raises DataError where the folders hold no result.
    """
    problems: list[str] = []
    notes: dict[str, None] = {}
    seen: dict[tuple[str, str], Result] = {}
    images = _Images(notes, rescore)
    recorded, count = {*registered(), *OFFICIAL, *PUBLISHED}, 0
    for root in map(Path, roots):
        for path in result_files(root):
            count += 1
            try:
                result, scores = read_result(path), read_scores(path.with_suffix(".npz"))
                found = [*_of_files(path, root, result, scores), *_of_figures(result, scores), *_of_detector(result)]
                found += images.problems(result, scores)
                first = seen.setdefault((result.detector, result.suite), result)
                if first.provenance.identity != result.provenance.identity:
                    found.append(f"was made with other weights than {result.detector} on {first.test_set}")
            except CnndetectError as error:
                problems.append(f"{shown(path, root)}: {error}")
                continue
            problems += [f"{shown(path, root)}: {problem}" for problem in found]
            if result.progan_only is True and result.detector not in recorded:
                notes[f"{result.detector}: no record says what it was trained on; ProGAN alone is the word of who ran it"] = None
    if not count:
        raise DataError(f"{', '.join(map(str, roots))} holds no results. Expected what `cnndetect bench --results DIR` writes.")
    return Verified(count, tuple(problems), tuple(notes))


def as_text(found: Verified) -> str:
    """One line for every problem and note, and the count."""
    lines = [f"problem: {line}" for line in found.problems] + [f"note: {line}" for line in found.notes]
    return "\n".join([*lines, f"{counted(found.files, 'result')}, {counted(len(found.problems), 'problem')}"])


def _of_files(path: Path, root: Path, result: Result, scores: Scores) -> list[str]:
    found = []
    if result.provenance != scores.provenance:
        found.append("its .npz was made by another run")
    if not result.is_result:
        found.append(f"is a trial of {result.trial}")
    proper = result_path(root, result.detector, result.test_set, result.provenance)
    if path.name != proper.name or proper.parent.name not in path.parts:
        found.append(f"should lie at {proper.parent.name}/{proper.name}")
    if result.provenance.identity is None:
        found.append("nothing proves which weights made it; give the detector a weights file or an identity")
    return found


def _of_figures(result: Result, scores: Scores) -> list[str]:
    found = []
    counts = (int((scores.labels == 0).sum()), int((scores.labels == 1).sum()), int(scores.failed.sum()))
    if counts != (result.n_real, result.n_fake, result.n_failed) or not np.isin(scores.labels, (0, 1)).all():
        found.append(f"has {counts} reals, fakes and failures in its scores, and says {result.n_real}, {result.n_fake}, {result.n_failed}")
    if len(set(scores.paths.tolist())) != len(scores.paths):
        found.append("counts an image twice")
    if result.intervals != method_of(scores):
        found.append(f"has intervals of an older method ({result.intervals}); make it again with this version")
        return found
    again = result_of(scores, draws=result.draws, seed=result.seed).metrics
    moved = [one.name for one in fields(SetMetrics) if not _same(getattr(result.metrics, one.name), getattr(again, one.name))]
    if moved:
        found.append(f"has figures that its scores do not give: {', '.join(moved)}")
    return found


def _same(a: object, b: object) -> bool:
    return bool(np.allclose(_numbers(a), _numbers(b), rtol=0, atol=TOLERANCE, equal_nan=True))


def _numbers(interval: object) -> list[float]:
    return [float(getattr(interval, name)) for name in ("value", "low", "high")]


def _of_detector(result: Result) -> list[str]:
    name, digest, said = result.detector, result.provenance.weights_sha256, result.progan_only
    bundled, official, published = registered().get(name), OFFICIAL.get(name), PUBLISHED.get(name)
    record = bundled or official or published
    if record is None:
        return []
    known = known_sha256(published) if published else bundled.sha256 if bundled else official.sha256 if official else None
    found = []
    if known is not None and digest != known:
        found.append(f"was made with weights of SHA-256 {digest}, and those of {name} have {known}")
    if said is True and record.progan_only is not True:
        found.append(f"says that {name} saw ProGAN images alone, and its record does not")
    return found


def _named(test_set: TestSet, rows: Sequence[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Names, labels and clusters that do not depend on the contents of files."""
    return [(path, label, lasting_cluster(test_set.name, path, cluster)) for path, label, cluster in rows]


class _Images:
    """The images of suites that are installed here, read once each."""

    def __init__(self, notes: dict[str, None], rescore: int) -> None:
        self.notes, self.rescore = notes, rescore
        self.detectors: dict[str, Detector | None] = {}
        self.suites: dict[str, Suite | None] = {}
        self.sets: dict[tuple[str, str], tuple[str, list[tuple[str, int, str]]]] = {}

    def problems(self, result: Result, scores: Scores) -> list[str]:
        suite = self._suite(result.suite)
        if suite is None:
            self.notes[f"{result.suite} is not installed here; its images were not compared"] = None
            return []
        test_set = next((one for one in suite.sets if one.name == result.test_set), None)
        if test_set is None:
            return [f"{suite.title} has no test set {result.test_set}"]
        key = (suite.title, test_set.name)
        if key not in self.sets:
            samples = scan(test_set.root)
            known = contents(samples)
            together = official_clusters(test_set.official, samples, known)
            rows = sorted(zip([s.relative for s in samples], [s.label for s in samples], together, strict=True))
            self.sets[key] = fingerprint(samples, known_contents=known), rows
        digest, rows = self.sets[key]
        found = []
        stored = sorted(zip(scores.paths.tolist(), scores.labels.tolist(), scores.clusters.tolist(), strict=True))
        elsewhere = result.provenance.fingerprint != digest
        if elsewhere and suite.title == BUILT and _named(test_set, stored) == _named(test_set, rows):
            self.notes[f"{suite.title} was built on another processor than here; scores were not repeated"] = None
            return []
        if elsewhere:
            found.append(f"was not made from the images of {suite.title}")
        if stored != rows:
            found.append(f"has other names, labels or photographs than {suite.title}")
        return found if found or not self.rescore else self._scored_again(result, scores, test_set)

    def _scored_again(self, result: Result, scores: Scores, test_set: TestSet) -> list[str]:
        """Compare a part of the scores with those that the detector gives now."""
        detector, said = self._detector(result.detector), result.provenance
        if detector is None or said.precision != "float32":
            self.notes[f"{result.detector} does not load here, or was run in {said.precision}: its scores were not repeated"] = None
            return []
        if detector.identity != said.identity:
            return [f"was made with other weights than those that {result.detector} has here"]
        conditions = Conditions(said.protocol, said.degradation, 8, said.seed)
        with TemporaryDirectory() as folder:
            chosen = limited(scan(test_set.root), self.rescore)
            again = score_set(detector, chosen, conditions, journal=Path(folder, "journal"), provenance=said)
        stored = dict(zip(scores.paths.tolist(), scores.logits.tolist(), strict=True))
        pairs = zip(again.paths.tolist(), again.logits.tolist(), strict=True)
        differing = [path for path, logit in pairs if not np.isclose(stored[path], logit, rtol=LOGITS, atol=LOGITS, equal_nan=True)]
        return [f"has scores that {result.detector} does not give: {', '.join(differing[:3])}"] if differing else []

    def _detector(self, name: str) -> Detector | None:
        if name not in self.detectors:
            try:
                self.detectors[name] = load(name)
            except CnndetectError:
                self.detectors[name] = None
        return self.detectors[name]

    def _suite(self, title: str) -> Suite | None:
        if title not in self.suites:
            self.suites[title] = _installed(title)
        return self.suites[title]


def _installed(title: str, find: Callable[[str], list[Suite]] = find_suites) -> Suite | None:
    """The suite of NAME@VERSION where it is here, None where it is not, or in another version."""
    try:
        found = find(title.partition("@")[0])
    except CnndetectError:
        return None
    return next((suite for suite in found if suite.title == title), None)
