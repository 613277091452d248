"""Where things lie: arguments before variables before defaults, and data that is a distribution of its own."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from cnndetect import paths
from cnndetect.bench.suites import find_suites, list_suites, suites_note
from cnndetect.errors import LayoutError

FOLDERS = {"CNNDETECT_OFFICIAL": paths.official_root, "CNNDETECT_RESULTS": paths.results_root, "CNNDETECT_DATA": paths.data_root}


@pytest.mark.skipif(sys.platform != "linux", reason="XDG is a rule of Linux desktops")
@pytest.mark.parametrize("variable", FOLDERS)
def test_caches_lie_where_the_user_keeps_them(tmp_path, monkeypatch, variable) -> None:
    find = FOLDERS[variable]
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find().parent == tmp_path / ".cache" / "cnndetect"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert find().parent == tmp_path / "elsewhere" / "cnndetect"
    monkeypatch.setenv(variable, str(tmp_path / "set"))
    assert find() == tmp_path / "set" and find("given") == Path("given")


def test_an_absent_suite_says_how_to_get_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CNNDETECT_MINI", str(tmp_path / "none"))
    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path / "data"))
    for name in ("mini", "all"):
        with pytest.raises(LayoutError, match=r"mini is not installed.*pip install \./packages/mini"):
            find_suites(name)
    assert list_suites() == [] and "Not here: mini; get it with: python -m pip install ./packages/mini" in suites_note()


def test_the_data_package_is_found(tmp_path, monkeypatch) -> None:
    package = tmp_path / "cnndetect_mini"
    (package / "benchmarks" / "results").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.delenv("CNNDETECT_REFERENCE", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert paths.reference_results_root() == package / "benchmarks" / "results"
    # What it does not hold is still the checkout's.
    assert paths.weights_root() == Path(paths.__file__).resolve().parent.parent / "weights"


def test_the_command_names_the_absent_suite(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CNNDETECT_MINI", str(tmp_path / "none"))
    words = [sys.executable, "-m", "cnndetect.bench", "--suite", "mini", "--results", str(tmp_path / "r")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "packages/mini" in done.stderr and "Traceback" not in done.stderr
