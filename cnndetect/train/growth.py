"""Tell whether a training set only gained classes: the one change of data with which a run may continue, on request."""

from __future__ import annotations

from typing import Any

from cnndetect.errors import DataError


def check_growth(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise DataError where a class is gone or has other counts than before; classes may be new.

    before, now: split -> what ``data.describe`` gives.

    >>> check_growth({"train": {"classes": {"a": 1}}}, {"train": {"classes": {"a": 1, "b": 2}}})
    """
    for split, facts in before.items():
        known = now[split]["classes"]
        lost = sorted(name for name, counts in facts["classes"].items() if known.get(name) != counts)
        if lost:
            raise DataError(
                f"{split}/ has lost or changed the classes {', '.join(lost)}. A run can only go on with classes added; give this "
                "run another --name, or start over with --rerun."
            )
