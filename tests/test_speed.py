"""The command that measures all speeds again: it resumes, names what failed, and covers every program of its folder."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "speed"


@pytest.fixture
def everything(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("all")
    monkeypatch.setattr(module, "WORK", tmp_path / "work")
    monkeypatch.setattr(module, "HERE", tmp_path / "figures")
    (tmp_path / "work").mkdir()
    (tmp_path / "figures").mkdir()
    yield module
    for name in ("all", "scoring", "contender"):
        sys.modules.pop(name, None)


def test_every_program_of_the_folder_is_run_or_needs_a_choice(everything) -> None:
    run = {step.words[0] for step in everything.steps(["one"], Path("pairs"))}
    helpers = {"all.py", "page.py", "contender.py"}
    # The trainer's pipeline depends on a recipe and on photographs of the user.
    assert {path.name for path in FOLDER.glob("*.py")} == run | helpers | {"training.py"}
    assert all((FOLDER / name).exists() for name in run)


def test_what_is_measured_stays_and_what_fails_is_named(everything, tmp_path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nopen('ran', 'a').write('x')\nprint('[1]')\nsys.exit('trouble') if len(sys.argv) > 1 else print('{}')\n")
    everything.ROOT = tmp_path
    good = everything.Step("good", "good", (str(program),), 0)
    bad = everything.Step("bad", "bad", (str(program), "--out", "nowhere"), 0)
    assert everything.measure([good, bad]) == ["bad"]
    assert json.loads(good.file.read_text()) == [[1], {}] and not bad.file.exists()
    assert "trouble" in (everything.WORK / "bad.log").read_text()
    assert [path.name for path in everything.put_together([bad])] == []


def test_sizes_of_one_detector_are_put_together(everything) -> None:
    def part(size: str, rate: float) -> dict:
        return {"machine": {"load": rate, "gemm_gflops": {"float32": rate}}, "detectors": {"one": {"flops_224": 1.0, "sizes": {size: {}}}}}

    found = everything.merged([part("64", 2.0), part("224", 1.0)])
    assert found["machine"] == {"load": 2.0, "gemm_gflops": {"float32": 2.0}}
    assert found["detectors"] == {"one": {"flops_224": 1.0, "sizes": {"64": {}, "224": {}}}}
