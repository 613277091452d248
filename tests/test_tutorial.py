"""The tutorial runs from top to bottom, says what its words promise, and writes only where it was told to."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_the_tutorial_runs(tmp_path) -> None:
    folder, out = tmp_path / "elsewhere", tmp_path / "out"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CNNDETECT_RESULTS": str(tmp_path / "own"), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "tutorial.py"), str(out)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "rank 1" in run.stdout and "Trained on ProGAN alone" in run.stdout and "; AP by files alone" in run.stdout
    assert ": a tie" in run.stdout or ": a difference" in run.stdout
    assert (out / "report" / "report.html").is_file() and (out / "roc.png").is_file() and (out / "scores.svg").is_file()
    assert not list(folder.iterdir()) and not (tmp_path / "own").exists()


def test_every_cell_opens_with_its_mark() -> None:
    lines = (ROOT / "docs" / "tutorial.py").read_text(encoding="utf-8").splitlines()
    titles = [line for line in lines if line.startswith("# ## ")]
    assert [line.split()[2] for line in titles] == [f"{number}." for number in range(1, len(titles) + 1)]
    assert sum(line == "# %%" for line in lines) >= len(titles)


def test_the_notebook_is_the_script_with_its_output() -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    sys.path.insert(0, str(ROOT / "scripts" / "docs"))
    try:
        notebook = importlib.import_module("tutorial_notebook")
    finally:
        sys.path.remove(str(ROOT / "scripts" / "docs"))
    made = notebook.cells((ROOT / "docs" / "tutorial.py").read_text(encoding="utf-8"))
    kept = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    assert [(c.cell_type, c.source) for c in kept.cells] == [(c.cell_type, c.source) for c in made.cells], "run make docs"
    shown = [kind for cell in kept.cells for output in cell.get("outputs", []) for kind in output.get("data", {})]
    assert "image/png" in shown and "text/html" in shown
    assert (ROOT / "docs" / "tutorial.ipynb").stat().st_size < 500_000


def test_the_gallery_shows_what_the_report_draws() -> None:
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[(.+)\]\(figures/([\w.-]+\.(?:png|jpg))\)", page)
    assert len(shown) > 8 and all(len(words) > 20 for words, _ in shown)
    # Every function that the page names is there and makes a Figure.
    for module, function in re.findall(r"`figures\.(\w+)\.(\w+)`", page):
        draw = getattr(importlib.import_module(f"cnndetect.report.figures.{module}"), function)
        assert "Figure" in str(draw.__annotations__["return"])
    assert sum(path.stat().st_size for path in (ROOT / "docs").rglob("*.*") if path.suffix in (".png", ".jpg")) < 3e6
