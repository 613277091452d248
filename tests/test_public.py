"""The public face: exactly these names, quick to import, and a `score` that stays callable."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cnndetect

FUNCTIONS = ["benchmark", "explain", "list_detectors", "list_suites", "load", "score", "score_dataset"]
RECORDS = ["Benchmark", "Detector", "Interval", "Result"]
NAMES = RECORDS + FUNCTIONS

# Each order starts with no module of the package; says what score gave, and whether it is still the function itself.
ORDERS = """
import inspect, sys, types
import numpy

for before in (
    "import cnndetect",
    "import cnndetect.score",
    "import cnndetect; cnndetect.score; import cnndetect.score",
    "from cnndetect.score import main, score",
    "from cnndetect import score; import cnndetect.score; import cnndetect.scoring",
):
    for name in [name for name in sys.modules if name.split(".")[0] == "cnndetect"]:
        del sys.modules[name]
    exec(before)
    import cnndetect

    value = cnndetect.score(numpy.zeros((4, 4, 3), numpy.uint8), detector=lambda batch: batch.mean((1, 2, 3)) * 0)
    assert list(inspect.signature(cnndetect.score).parameters)[:2] == ["img", "detector"]
    print(value, isinstance(cnndetect.score, types.FunctionType))
"""


def _python(program: str) -> str:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_public_names_are_exact_and_callable() -> None:
    assert sorted(cnndetect.__all__) == NAMES
    for name in NAMES:
        assert callable(getattr(cnndetect, name)), name
        assert name in dir(cnndetect)
    namespace: dict[str, object] = {}
    exec("from cnndetect import *", namespace)
    assert sorted(set(namespace) - {"__builtins__"}) == NAMES


def test_the_tutorial_needs_no_name_more_than_one_level_below_the_package() -> None:
    tutorial = Path(__file__).resolve().parent.parent / "docs" / "tutorial.py"
    if not tutorial.exists():
        pytest.skip("not a checkout")
    modules = re.findall(r"^from (cnndetect[\w.]*) import|^import (cnndetect[\w.]*)", tutorial.read_text(encoding="utf-8"), re.MULTILINE)
    assert modules and all((one or other).count(".") <= 1 for one, other in modules), modules


def test_names_of_a_room_are_those_of_its_files() -> None:
    for room in ("analysis", "bench", "data", "report", "scoring"):
        package = importlib.import_module(f"cnndetect.{room}")
        for name in package.__all__:
            if room != "report" or importlib.util.find_spec("matplotlib"):
                assert getattr(package, name) is not None and name in dir(package)
        with pytest.raises(AttributeError, match="Public: "):
            package.nothing  # noqa: B018


def test_the_version_is_that_of_the_package() -> None:
    project = Path(__file__).resolve().parent.parent / "pyproject.toml"
    if not project.exists():
        pytest.skip("not a checkout")
    assert cnndetect.__version__ == tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]


def test_an_unknown_name_lists_the_public_ones() -> None:
    with pytest.raises(AttributeError, match="'scores'.*list_detectors"):
        cnndetect.scores  # noqa: B018


def test_import_is_quick_and_leaves_torch_alone() -> None:
    program = (
        "import sys, time; start = time.perf_counter(); import cnndetect; seconds = time.perf_counter() - start; "
        "print(seconds, sorted({'torch', 'numpy', 'PIL', 'scipy'} & set(sys.modules)))"
    )
    found = [_python(program).split(" ", 1) for _ in range(3)]
    assert {heavy.strip() for _, heavy in found} == {"[]"}
    assert min(float(seconds) for seconds, _ in found) < 0.3


def test_scoring_leaves_torchvision_and_the_optimisers_alone() -> None:
    program = (
        "import sys, numpy, cnndetect; cnndetect.score(numpy.zeros((8, 8, 3), numpy.uint8), device='cpu'); "
        "print(sorted({'torchvision', 'scipy.optimize', 'sklearn', 'pandas', 'transformers'} & set(sys.modules)))"
    )
    assert _python(program).strip() == "[]"


def test_score_is_callable_in_every_order_of_imports() -> None:
    assert _python(ORDERS).splitlines() == ["0.5 True", "0.5 False", "0.5 False", "0.5 False", "0.5 False"]
