"""Outputs that documents quote come from commands, and are there."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
script = runpy.run_path(str(ROOT / "benchmarks" / "refresh_docs.py"))


def test_an_output_is_replaced_and_the_rest_stays() -> None:
    text = "before\n<!-- output of: python -m cnndetect.audit --help -->\nSTALE\n<!-- end -->\nafter\n"
    found = script["refreshed"](text)
    assert found.startswith("before\n<!-- output of: python -m cnndetect.audit --help -->\n```text\nUsage: cnndetect audit")
    assert found.endswith("\n```\n<!-- end -->\nafter\n") and "STALE" not in found
    assert script["refreshed"]("nothing quoted") == "nothing quoted"


def test_only_this_packages_modules_are_run() -> None:
    with pytest.raises(AssertionError):
        script["output_of"]("rm -r everything")


def test_documents_quote_no_empty_output() -> None:
    blocks = [block for page in sorted((ROOT / "docs").glob("*.md")) for block in script["BLOCK"].finditer(page.read_text("utf-8"))]
    assert len(blocks) >= 2 and all(block[0].count("\n") > 4 for block in blocks)
