"""Audits of test sets: can real and fake be told apart without looking at what a generator does?

Four questions. Do the *files* tell the classes apart (container, encoder, size, metadata)? Does their *history* that the pixels still
show (an earlier JPEG compression, an earlier change of size)? Both are mistakes of the test set, and a detector may learn them. Do
*global statistics* of the pixels (colour, contrast, sharpness, noise)? That is a property of the generators: it says how easy the
family is. Are pictures there *twice*?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnndetect.analysis.audit.classify import (
    cross_validated_ap,
    history_table,
    length_table,
    logistic,
    metadata_table,
    statistics_table,
    trees,
)
from cnndetect.analysis.audit.duplicates import Pair, duplicates, overlap
from cnndetect.analysis.audit.files import FileFacts, facts_of
from cnndetect.analysis.audit.pixels import STATISTICS
from cnndetect.counting import counted
from cnndetect.data.folders import REAL, Sample, clusters, find_sets, scan
from cnndetect.errors import LayoutError
from cnndetect.images import list_images
from cnndetect.metrics import roc_auc
from cnndetect.metrics.bounds import LEAST_PHOTOGRAPHS
from cnndetect.metrics.intervals import DRAWS, Interval

QUIET, WARNING, BIASED, TOO_FEW = "quiet", "warning", "biased", "too few"

# Above the first bar the files are not quiet; above the second the pixels' global statistics alone find the fakes.
METADATA_BAR = 0.55
STATISTICS_BAR = 0.80

NAMED = 3

_EXPECTED = "pairs of one photograph are nearly equal, as their names say"


@dataclass(frozen=True)
class ClassFacts:
    """What the files of one class are, counted."""

    count: int
    unreadable: int
    formats: dict[str, int]
    encoders: dict[str, int]
    modes: dict[str, int]
    sizes: dict[str, int]  # "WxH" -> files
    metadata: dict[str, int]
    jpeg_quality: tuple[float, float, float] | None  # 5 %, median, 95 %
    bytes_per_pixel: tuple[float, float, float] | None  # likewise
    statistics: dict[str, float]


@dataclass(frozen=True)
class Audit:
    """Everything about one test set. The figures are average precisions with classes balanced: chance is 0.5."""

    name: str
    real: ClassFacts
    fake: ClassFacts
    metadata: Interval
    """Of a classifier that sees files alone."""
    length: Interval
    """Of one that sees only how long the files are."""
    history: Interval
    """Of one that sees traces of earlier compression and resizing."""
    statistics: Interval
    """Of one that sees global statistics of the pixels."""
    each: dict[str, float]
    """AUC of every such statistic alone, below 0.5 where fakes have less of it."""
    pairs: tuple[Pair, ...]
    """Duplicates."""
    against: tuple[Pair, ...]
    """Those that a training folder has too."""
    verdict: str
    """QUIET, WARNING or BIASED, about files and duplicates; TOO_FEW where nothing was found in too few photographs."""
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    """What is no fault of the files."""

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        figures = {name: _no_nan(asdict(getattr(self, name))) for name in ("metadata", "length", "history", "statistics")}
        return {
            "name": self.name,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "ap": figures,
            "auc_of_each_statistic": self.each,
            "bars": {"metadata": METADATA_BAR, "statistics": STATISTICS_BAR},
            "real": asdict(self.real),
            "fake": asdict(self.fake),
            "duplicates": [pair.as_plain() for pair in self.pairs],
            "against": [pair.as_plain() for pair in self.against],
        }


def audit_set(
    root: str | Path,
    *,
    name: str | None = None,
    against: Sequence[FileFacts] = (),
    draws: int = DRAWS,
    seed: int = 0,
    known: dict[Path, FileFacts] | None = None,
) -> Audit:
    """Audit a folder in the official layout. Raises LayoutError where it is none.

    name: of the test set, the folder's by default.  against: what ``training_facts`` gave, to look for leaks.
    known: facts of files by path, filled on the way; test sets that share reals share it.
    """
    samples = scan(root)
    facts = facts_of(samples, {} if known is None else known)
    return audit_facts(name or Path(root).resolve().name, facts, against=against, draws=draws, seed=seed)


def audit_facts(name: str, facts: Sequence[FileFacts], *, against: Sequence[FileFacts] = (), draws: int = DRAWS, seed: int = 0) -> Audit:
    """The same from facts. Files that cannot be read are counted and left out of the figures."""
    readable = [fact for fact in facts if not fact.error]
    classes = [class_facts([fact for fact in facts if fact.sample.label == label]) for label in (0, 1)]
    if any(part.count == part.unreadable for part in classes):
        reason = next(fact.error for fact in facts if fact.error)
        raise LayoutError(f"{name}: no {REAL if classes[0].count == classes[0].unreadable else 'fake'} file can be read ({reason})")
    labels = np.array([fact.sample.label for fact in readable])
    photographs = clusters([fact.sample for fact in readable], [fact.sha256 for fact in readable])

    def ap(table: np.ndarray, make: Any) -> Interval:
        return cross_validated_ap(table, labels, photographs, make, draws=draws, seed=seed)

    metadata = ap(metadata_table(readable), trees)
    length, statistics = ap(length_table(readable), logistic), ap(statistics_table(readable), logistic)
    history = ap(history_table(readable), trees)
    pairs, leaks = duplicates(facts), overlap(facts, against)
    biased, warnings = _findings(classes[0], classes[1], metadata, history, pairs, leaks)
    fewest = min(len({name for name, its in zip(photographs, labels, strict=True) if its == label}) for label in (0, 1))
    too_few = [] if fewest >= LEAST_PHOTOGRAPHS else [_too_few(fewest)]
    verdict = BIASED if biased else WARNING if warnings else TOO_FEW if too_few else QUIET
    table = statistics_table(readable)
    each = {key: roc_auc(labels, table[:, k]) for k, key in enumerate(STATISTICS)}
    notes = _notes(pairs, length, statistics, each, len(set(photographs)))
    found, reasons = (classes[0], classes[1], metadata, length, history, statistics), tuple(biased + warnings + too_few)
    return Audit(name, *found, each, tuple(pairs), tuple(leaks), verdict, reasons, notes)


def training_facts(folder: str | Path) -> list[FileFacts]:
    """Facts of every image below a training folder, in any layout; real and fake are told by the official names alone."""
    root = Path(folder)
    if find_sets(root):
        samples = scan(root)
    else:
        files = list_images(root)
        if not files:
            raise LayoutError(f"{root} holds no images. Expected the folder that a detector was trained on.")
        samples = tuple(Sample(path, 0, path.relative_to(root).as_posix(), path.relative_to(root).as_posix()) for path in files)
    return facts_of(samples, {})


def class_facts(facts: Sequence[FileFacts]) -> ClassFacts:
    """Counts over the files of one class."""
    seen = [fact for fact in facts if not fact.error]
    quality = [fact.jpeg_quality for fact in seen if not np.isnan(fact.jpeg_quality)]
    means = np.mean([fact.statistics for fact in seen], axis=0) if seen else np.full(len(STATISTICS), np.nan)
    formats, encoders, modes = (_counts(getattr(fact, name) for fact in seen) for name in ("format", "encoder", "mode"))
    return ClassFacts(
        len(facts),
        len(facts) - len(seen),
        formats,
        encoders,
        modes,
        _counts(f"{fact.width}x{fact.height}" for fact in seen),
        _counts(key for fact in seen for key in fact.metadata),
        _spread(quality),
        _spread([fact.bytes / (fact.width * fact.height) for fact in seen]),
        dict(zip(STATISTICS, means.tolist(), strict=True)),
    )


def shown(ap: Interval) -> str:
    """A figure with its interval, where it has one.

    >>> shown(Interval(0.5, 0.4, 0.6))
    '0.50 [0.40, 0.60]'
    """
    return f"{ap.value:.2f}" + ("" if np.isnan(ap.low) else f" [{ap.low:.2f}, {ap.high:.2f}]")


def _findings(
    real: ClassFacts, fake: ClassFacts, metadata: Interval, history: Interval, pairs: Sequence[Pair], leaks: Sequence[Pair]
) -> tuple[list[str], list[str]]:
    """Reasons for "biased", and for "warning"."""
    biased: list[str] = []
    warnings: list[str] = []
    differ = _differences(real, fake)
    figure = f"files alone tell real from fake: AP {shown(metadata)}, bar {METADATA_BAR}"
    because = f" ({'; '.join(differ)})" if differ else ""
    if metadata.value > METADATA_BAR:
        (biased if np.isnan(metadata.low) or metadata.low > METADATA_BAR else warnings).append(figure + because)
    elif differ:
        warnings.append(f"the classes' files differ, though a classifier makes little of it: {'; '.join(differ)}")

    if history.low > METADATA_BAR:
        biased.append(f"earlier JPEG compression or resizing tells real from fake: AP {shown(history)}, bar {METADATA_BAR}")

    def report(chosen: list[Pair], to: list[str], one: str, several: str) -> None:
        if chosen:
            such_as = ", such as " if len(chosen) > 1 else ": "
            to.append(f"{counted(len(chosen), one, several)}{such_as}{'; '.join(map(str, chosen[:NAMED]))}")

    report([p for p in pairs if p.exact and p.between_classes], biased, "file is both real and fake", "files are both real and fake")
    report([p for p in leaks if p.exact], biased, "file is in the training folder too", "files are in the training folder too")
    report(
        [p for p in leaks if not p.exact],
        warnings,
        "picture is nearly equal to one of the training folder",
        "pictures are nearly equal to one of the training folder",
    )
    report([p for p in pairs if p.exact and not p.between_classes], warnings, "file is a duplicate", "files are duplicates")
    other = [p for p in pairs if not p.exact and not p.same_photograph]
    report(
        [p for p in other if not p.between_classes],
        warnings,
        "pair of one class is of nearly equal pictures",
        "pairs of one class are nearly equal pictures",
    )
    report(
        [p for p in other if p.between_classes],
        warnings,
        "pair of a real and a fake is of nearly equal pictures, and no name says so",
        "pairs of a real and a fake are nearly equal pictures, and no name says so",
    )
    bad = real.unreadable + fake.unreadable
    if bad:
        warnings.append(f"{counted(bad, 'file')} cannot be read ({real.unreadable} real, {fake.unreadable} fake)")
    return biased, warnings


def _too_few(fewest: int) -> str:
    return f"too few photographs to tell: one class has {fewest}, and {LEAST_PHOTOGRAPHS} of each are needed for an interval"


def _differences(real: ClassFacts, fake: ClassFacts) -> list[str]:
    """Where what one class has in all its files, the other has in none."""
    found = []
    for name in ("formats", "modes", "encoders", "sizes"):
        left, right = getattr(real, name), getattr(fake, name)
        if left and right and not set(left) & set(right):
            found.append(f"{name}: real {_most(left)}, fake {_most(right)}")
    for key in sorted(set(real.metadata) | set(fake.metadata)):
        shares = [part.metadata.get(key, 0) / max(part.count - part.unreadable, 1) for part in (real, fake)]
        if {min(shares), max(shares)} == {0.0, 1.0}:
            found.append(f"metadata {key!r} in every {'real' if shares[0] else 'fake'} and no other")
    return found


def _notes(pairs: Sequence[Pair], length: Interval, statistics: Interval, each: dict[str, float], photographs: int) -> tuple[str, ...]:
    above = "above" if statistics.value > STATISTICS_BAR else "within"
    expected = sum(pair.same_photograph for pair in pairs if not pair.exact)
    strongest = sorted(each, key=lambda name: -abs(each[name] - 0.5))[:NAMED]
    alone = ", ".join(f"{name} {each[name]:.2f}" for name in strongest)
    return (
        f"global statistics of pixels: AP {shown(statistics)}, {above} the bar "
        f"{STATISTICS_BAR:.2f}; a property of the generator, not of the files",
        f"the strongest statistics alone, as AUC (below 0.5: fakes have less): {alone}",
        f"length of files: AP {shown(length)}; under one encoder it measures how smooth the pictures are",
        f"{counted(photographs, 'photograph or picture of its own', 'photographs or pictures of their own')}; "
        + counted(expected, "pair of one photograph is nearly equal, as its name says", _EXPECTED),
    )


def _counts(values: Any) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _most(counts: dict[str, int]) -> str:
    name, count = next(iter(counts.items()))
    return f"{name} ({count} of {sum(counts.values())})"


def _spread(values: Sequence[float]) -> tuple[float, float, float] | None:
    if not values:
        return None
    low, middle, high = np.percentile(values, [5, 50, 95])
    return float(low), float(middle), float(high)


def _no_nan(figures: dict[str, float]) -> dict[str, float | None]:
    return {key: None if np.isnan(value) else value for key, value in figures.items()}
