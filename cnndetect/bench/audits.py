"""Stored audits: the test sets on which file format or plain statistics tell real from fake. Tables mark them.

An audit belongs to the images of a test set, not to a detector: it lies at audits/SUITE/TEST_SET.json below a results folder, and holds
for as long as the images are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cnndetect.bench.tables import percent
from cnndetect.errors import DataError
from cnndetect.files import plain, read_record, write_json
from cnndetect.metrics.intervals import Interval
from cnndetect.paths import AUDITS

if TYPE_CHECKING:
    from cnndetect.bench.run import Benchmark

# Figure -> what it is called.
WORDS = {
    "files": "files (container, encoder, size, metadata)",
    "length": "length of files",
    "history": "earlier JPEG compression or resizing",
    "statistics": "global statistics of pixels",
}

MARK = "‡"
SHORTCUTS = f"{MARK} Real and fake are told apart without a look for a generator (classes balanced, chance is 50):"


@dataclass(frozen=True)
class Shortcut:
    """What tells real from fake in a test set without a look for a generator."""

    name: str
    ap: Interval  # classes balanced, so that chance is 0.5

    def __str__(self) -> str:
        return f"{WORDS[self.name]} alone: AP {percent(self.ap)}"


class StoredAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Average precisions of classifiers that see no generator, on photographs that they were not fitted on."""

    suite: str
    test_set: str
    fingerprint: str
    """Of all images of the test set."""
    method: str
    """How the audit was made; another text means that it is to be made again."""
    n_real: int
    n_fake: int
    """How many images were looked at."""
    verdict: str
    figures: dict[str, Interval]
    """Name of WORDS -> AP with classes balanced."""
    bars: dict[str, float]
    """Name of WORDS -> the AP that the whole interval has to lie above."""

    @property
    def shortcuts(self) -> tuple[Shortcut, ...]:
        """The figures whose whole interval lies above their bar; without an interval nothing is claimed."""
        return tuple(Shortcut(name, self.figures[name]) for name in WORDS if self.figures[name].low > self.bars[name])

    def save(self, results: Path) -> None:
        """Write JSON, whole or not at all; NaN becomes null."""
        write_json(audit_path(results, self.suite, self.test_set), plain(self))


def audit_path(results: Path, suite: str, test_set: str) -> Path:
    """Where the audit of a test set lies. suite: NAME@VERSION."""
    return results / AUDITS / suite / f"{test_set}.json"


def stored_audit(results: Path, suite: str, test_set: str, fingerprint: str) -> StoredAudit | None:
    """The audit of these very images, None where there is none. Raises DataError for a damaged file."""
    path = audit_path(results, suite, test_set)
    if not path.is_file():
        return None
    found = read_record(path, StoredAudit, what="an audit", advice="Delete it; the next bench makes it again.", unpack=_unpacked)
    if (found.suite, found.test_set) != (suite, test_set):
        raise DataError(f"{path} is the audit of {found.suite}/{found.test_set}. Delete it; the next bench makes it again.")
    return found if found.fingerprint == fingerprint else None


def shortcut_lines(audits: Mapping[tuple[str, str], StoredAudit], benchmarks: Sequence[Benchmark]) -> list[str]:
    """One line per test set and shortcut, with the APs of the detectors beside it.

    audits: by suite and test set.  benchmarks: several of one detector, such as a clean and an equalised one, are named by their condition.
    """
    lines = []
    for (suite, test_set), audit in audits.items():
        rows = [
            f"{one.detector}{'' if r.degradation == 'none' else f' ({r.degradation})'} {percent(r.ap)}"
            for one in benchmarks
            for r in one.results
            if (one.suite, r.test_set) == (suite, test_set)
        ]
        lines += [f"{MARK} {test_set}: {shortcut}; {', '.join(rows)}" for shortcut in audit.shortcuts]
    return lines


def as_plain(audit: StoredAudit) -> dict[str, Any]:
    """JSON values of what an answer says of a test set."""
    return {"verdict": audit.verdict, "ap": plain(audit.figures), "shortcuts": [plain(asdict(one)) for one in audit.shortcuts]}


def _unpacked(content: dict[str, Any]) -> dict[str, Any]:
    figures = {
        name: {key: float("nan") if number is None else number for key, number in figure.items()}
        for name, figure in content["figures"].items()
    }
    return content | {"figures": figures}
