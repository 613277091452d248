"""The audit that runs with every benchmark: made once per test set and stored beside the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cnndetect.analysis.audit.files import FileFacts, facts_of
from cnndetect.analysis.audit.verdict import METADATA_BAR, STATISTICS_BAR, audit_facts
from cnndetect.bench.audits import StoredAudit, stored_audit
from cnndetect.bench.suites import Suite, TestSet
from cnndetect.data.folders import scan, spread
from cnndetect.metrics.bounds import LEAST_PHOTOGRAPHS
from cnndetect.progress import bar

# So many images of a test set are looked at, the same share of every class and label.
MOST_IMAGES = 2000

METHOD = f"files, length, history, statistics; at most {MOST_IMAGES} images"
BARS = {"files": METADATA_BAR, "length": STATISTICS_BAR, "history": METADATA_BAR, "statistics": STATISTICS_BAR}


def audited(
    suite: Suite, fingerprints: Mapping[str, str], *, results: Path, also: Sequence[Path] = (), progress: bool = False
) -> dict[tuple[str, str], StoredAudit]:
    """Audits of a suite by suite and test set: read where they are stored for these images, else made and stored in ``results``.

    fingerprints: test set -> of its images, as in the results.  also: other results folders to look into.
    A test set with fewer than ten images of a class has none: nothing could be said of it.
    """
    found, missing = {}, []
    for test_set in suite.sets:
        places = (stored_audit(place, suite.title, test_set.name, fingerprints[test_set.name]) for place in (results, *also))
        stored = next((one for one in places if one is not None and one.method == METHOD), None)
        if stored is None:
            missing.append(test_set)
        else:
            found[suite.title, test_set.name] = stored
    known: dict[Path, FileFacts] = {}
    for test_set in bar(missing, desc=f"audit {suite.title}", unit="set", shown=progress and bool(missing)):
        made = _made(suite, test_set, fingerprints[test_set.name], known)
        if made is not None:
            made.save(results)
            found[suite.title, test_set.name] = made
    return {(suite.title, one.name): found[suite.title, one.name] for one in suite.sets if (suite.title, one.name) in found}


def _made(suite: Suite, test_set: TestSet, fingerprint: str, known: dict[Path, FileFacts]) -> StoredAudit | None:
    samples = spread(scan(test_set.root), MOST_IMAGES)
    facts = facts_of(samples, known)
    counts = [sum(not fact.error and fact.sample.label == label for fact in facts) for label in (0, 1)]
    if min(counts) < LEAST_PHOTOGRAPHS:
        return None
    audit = audit_facts(test_set.name, facts)
    return StoredAudit(
        suite=suite.title,
        test_set=test_set.name,
        fingerprint=fingerprint,
        method=METHOD,
        n_real=counts[0],
        n_fake=counts[1],
        verdict=audit.verdict,
        figures={"files": audit.metadata, "length": audit.length, "history": audit.history, "statistics": audit.statistics},
        bars=BARS,
    )
