"""The GitHub Action's own script, run as GitHub runs it: its answer, its summary, and its failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_suite import draw_suite

ROOT = Path(__file__).resolve().parent.parent
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")


def acted(tmp_path: Path, **inputs: str) -> tuple[int, Path, str]:
    """Exit status, file of the answer, summary."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    script = next(step["run"] for step in action["runs"]["steps"] if step.get("id") == "run")
    (tmp_path / "bin").mkdir(exist_ok=True)
    for name, module in (("cnndetect", "-m cnndetect"), ("python", "")):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    env = {**os.environ, **files, "RUNNER_TEMP": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    env |= {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        "CNNDETECT_RESULTS": str(tmp_path / "results"),
        "DETECTOR": "",
        "FAIL_ON_FAKE": "false",
    }
    done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], env=env | inputs, capture_output=True, text=True)
    summary = tmp_path / "GITHUB_STEP_SUMMARY"
    return done.returncode, tmp_path / f"cnndetect-{inputs['COMMAND']}.json", summary.read_text() if summary.exists() else done.stderr


def test_score_fails_on_fakes_only_where_asked(tmp_path: Path) -> None:
    suite = draw_suite(tmp_path / "my suite; touch pwned")
    words = {"COMMAND": "score", "FOLDER": str(suite), "DETECTOR": "drawn_suite:unsaid"}
    status, answer, summary = acted(tmp_path, **words)
    assert status == 0 and len(json.loads(answer.read_text())["images"]) == 16 and "### cnndetect score" in summary
    assert acted(tmp_path, **words, FAIL_ON_FAKE="true")[0] == 1
    assert not list(tmp_path.rglob("pwned"))


def test_another_command_is_refused(tmp_path: Path) -> None:
    status, _, said = acted(tmp_path, COMMAND="train", FOLDER=".")
    assert status == 2 and "Expected score, bench or audit" in said
