"""The audit of a bench run: one line per set that needs no detector, made once for its images, marked in the leaderboard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnndetect.analysis.audit import gate
from cnndetect.bench.__main__ import main
from cnndetect.bench.audits import audit_path, stored_audit
from cnndetect.bench.leaderboard import leaderboard
from cnndetect.errors import DataError


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A suite whose san has JPEG reals and PNG fakes, and whose crn is quiet; and the results of two detectors."""
    root = tmp_path_factory.mktemp("audits")
    rng = np.random.default_rng(0)
    for family, endings in (("crn", ("png", "png")), ("san", ("jpg", "png"))):
        for name, ending in zip(("0_real", "1_fake"), endings, strict=True):
            folder = root / "suite" / family / name
            folder.mkdir(parents=True)
            for index in range(14):
                array = rng.normal(120, 40, (24, 24, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(array).save(folder / f"{index}.{ending}")
    assert _bench(root, "unsaid") == 0
    return root / "suite", root / "r"


def _bench(root: Path, detector: str, *words: str) -> int:
    results = ["--suite", str(root / "suite"), "--results", str(root / "r")]
    return main([*results, "--detector", f"drawn_suite:{detector}", *words])


def test_a_biased_set_gets_a_line_with_both_aps(ran, capsys) -> None:
    suite, _ = ran
    assert _bench(suite.parent, "unsaid") == 0
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith("‡ san: files")]
    assert len(lines) == 1 and "AP 100.0" in lines[0] and "unsaid" in lines[0]
    assert "‡ crn" not in text
    assert _bench(suite.parent, "unsaid", "--no-audit") == 0
    assert "‡" not in capsys.readouterr().out


def test_an_audit_is_made_once_for_the_images_and_not_for_a_detector(ran, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    suite, _ = ran
    monkeypatch.setattr(gate, "audit_facts", lambda *args, **kwargs: pytest.fail("audited again"))
    assert _bench(suite.parent, "confessed", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["test_sets"]["san"]["audit"]["shortcuts"][0]["name"] == "files"
    assert found["test_sets"]["crn"]["audit"]["shortcuts"] == []
    assert _bench(suite.parent, "confessed", "--limit", "2") == 0  # a trial is of other images


def test_the_leaderboard_marks_such_sets_while_the_images_are_the_same(ran) -> None:
    _, results = ran
    text = leaderboard(results)
    head = next(line for line in text.splitlines() if line.startswith("| detector"))
    assert "san ‡" in head and "crn ‡" not in head and "- san: files" in text
    path = audit_path(results, "suite@0", "san")
    content = json.loads(path.read_text())
    assert stored_audit(results, "suite@0", "san", content["fingerprint"]) is not None
    assert stored_audit(results, "suite@0", "san", "0" * 64) is None
    path.with_name("crn.json").write_text("{}")
    with pytest.raises(DataError, match="Delete it"):
        leaderboard(results)
