"""Puts this folder on the path, so that every test finds the drawn suites, results and servers that lie in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def nothing_is_kept_at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Reports of tests neither read nor fill the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNDETECT_KEPT", str(tmp_path_factory.mktemp("kept")))
        yield
