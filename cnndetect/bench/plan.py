"""Print what a run would do, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnndetect.bench.run import Options, limited, result_path
from cnndetect.bench.suites import Suite
from cnndetect.counting import counted
from cnndetect.data.folders import scan
from cnndetect.detectors.registry import name_of
from cnndetect.errors import ProtocolError


def detector_names(detectors: Sequence[str | None]) -> list[str]:
    """Names of what --detector was given, before anything is loaded. Raises ProtocolError where two are equal."""
    names = [name_of(detector) for detector in detectors]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ProtocolError(
            f"Several detectors are called {doubled[0]!r}, and results are kept by name. Rename a file, or run them apart with --results."
        )
    return names


def plan(suites: Sequence[Suite], detectors: Sequence[str | None], options: Options, results: Path) -> str:
    """What a run would do: images per test set and where results would go. Nothing is loaded or written."""
    lines = []
    for name in detector_names(detectors):
        for suite in suites:
            for test_set in suite.sets:
                count = len(limited(scan(test_set.root), options.limit))
                target = result_path(results, name, test_set.name, options, test_set.place)
                lines.append(
                    f"{suite.title}  {test_set.name}: {counted(count, 'image')}, {options.protocol}, {options.degradation} -> {target}"
                )
    return "\n".join(lines)
