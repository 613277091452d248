"""The page of a grid: its numbers are those of the result files, its verdicts follow the numbers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnndetect.ablation.cells import Condition
from cnndetect.ablation.findings import FAILS, HOLDS, UNTOLD, findings
from cnndetect.ablation.rows import Grid, collect, read_grid, read_summary, summarize
from cnndetect.bench.results import read_result
from cnndetect.cli.main import main as cnndetect_main
from cnndetect.errors import DataError
from tests.drawn_grid import AS_PUBLISHED, FAMILIES, draw_grid

ROOT = Path(__file__).resolve().parents[2]
DRAWS = 60


def main(words: list[str]) -> int:
    return cnndetect_main(["ablation", "page", *words])


def page(root: Path, *more: str, runs: bool = True) -> str:
    out = root / "docs" / "results.md"
    given = ["--results", str(root / "results"), "--summaries", str(root / "grid"), "--out", str(out), "--draws", str(DRAWS), *more]
    assert main([*(["--runs", str(root / "runs")] if runs else []), *given]) == 0
    return out.read_text(encoding="utf-8")


def grid(root: Path) -> Grid:
    collect(root / "runs", root / "grid")
    return read_grid(root / "grid", root / "results", draws=DRAWS)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_grid(tmp_path_factory.mktemp("grid"))


@pytest.fixture(scope="module")
def text(drawn: Path) -> str:
    return page(drawn)


def stored(root: Path, cell: str, family: str) -> float:
    return read_result(root / "results" / cell / f"{family}.nocrop.json").ap.value


def test_the_tables_hold_the_numbers_of_the_result_files(drawn: Path, text: str) -> None:
    for section, columns in (
        ("augmentation, all classes", [k for k in AS_PUBLISHED if k[1] == "all"]),
        ("number of classes", [("blur-jpeg-0.1", c) for c in ("2", "4", "all")]),
    ):
        table = text[text.index(f"npr: {section}") :]
        head = [cell.strip() for cell in re.search(r"\| AP, %.*", table)[0].split("|")[2:-1]]  # type: ignore[index]
        order = [(label, "all") for label in head] if "augmentation" in section else columns
        for family in (*FAMILIES, "**macro mean**"):
            line = next(line for line in table.splitlines() if line.startswith(f"| {family}"))
            for (augmentation, classes), cell in zip(order, line.split("|")[2:-1], strict=True):
                sets = FAMILIES if family == "**macro mean**" else (family,)
                cells = [f"npr-{augmentation}-c{classes}-s{seed}" for seed in range(3)]
                by_seed = [np.mean([stored(drawn, name, one) for one in sets]) for name in cells]
                value, sd, low, high = (100 * v for v in (np.mean(by_seed), np.std(by_seed, ddof=1), min(by_seed), max(by_seed)))
                assert cell.strip().startswith(f"{value:.1f} [") and cell.strip().endswith(f"<br>± {sd:.1f} ({low:.1f} to {high:.1f})")


def test_the_page_is_made_again_from_tracked_files_alone(drawn: Path, text: str) -> None:
    first = text
    figures = {path.name: path.read_bytes() for path in (drawn / "docs" / "figures").iterdir()}
    assert page(drawn, runs=False) == first
    assert {path.name: path.read_bytes() for path in (drawn / "docs" / "figures").iterdir()} == figures
    assert set(figures) == {"grid-npr-augmentation.png", "grid-npr-classes.png"} and sum(map(len, figures.values())) < 75_000
    links = [link for link in re.findall(r"\]\(([^)]+)\)", first) if not link.startswith("http")]
    assert links and all((drawn / "docs" / link).exists() for link in links)
    assert str(drawn) not in first, "no place of this machine"
    assert all(path.stat().st_size < 4000 for path in (drawn / "grid").iterdir())


def test_packed_results_make_the_same_page(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first, second = tmp_path / "a.tar.xz", tmp_path / "b.tar.xz"
    for archive in (first, second):
        page(drawn, "--pack", str(archive), runs=False)
    assert first.read_bytes() == second.read_bytes()
    from_archive = page(drawn, "--results", str(first), runs=False)
    from_folder = page(drawn, runs=False)
    assert from_archive.splitlines()[4:] == from_folder.splitlines()[4:], "only the command differs"
    (tmp_path / "torn.tar.xz").write_bytes(b"torn")
    assert main(["--results", str(tmp_path / "torn.tar.xz"), "--summaries", str(drawn / "grid"), "--out", str(tmp_path / "r.md")]) == 1
    assert "no archive of results" in capsys.readouterr().err


def test_reported_rows_stand_apart(drawn: Path, text: str) -> None:
    before, _, after = text.partition("## Reported, other data")
    rows = [
        row
        for row in json.loads((ROOT / "benchmarks" / "reported.json").read_text())["rows"]
        if row["source"] == "paper" and row["detector"].startswith("Wang")
    ]
    assert len(rows) >= 9 and all(row["detector"] in after and row["detector"] not in before for row in rows)
    line = next(line for line in after.splitlines() if "no augmentation" in line)
    assert [float(cell) for cell in line.split("|")[2:-1]] == [90.1, 100.0, 96.3, 72.2, 84.0, 100.0, 67.0, 93.5, 90.3, 96.2, 93.6, 98.2]


def test_commands_and_runs_are_listed(drawn: Path, text: str) -> None:
    runs = text[text.index("## Runs") :]
    assert len(re.findall(r"^\| \[npr-", runs, re.MULTILINE)) == 3 * len(AS_PUBLISHED)
    commands = re.findall(r"^python -m cnndetect.train .*", runs, re.MULTILINE)
    assert len(commands) == len(AS_PUBLISHED) and all("--seed $S" in one and "-s$S " in one for one in commands)
    assert "is not the same in all columns" in text, "classes bring images, and the page says so"


def verdicts(root: Path) -> dict[str, str]:
    return {found.claim.words: found.verdict for found in findings(grid(root), "npr")}


def test_verdicts_follow_the_numbers_and_flip_with_them(drawn: Path, tmp_path: Path) -> None:
    found = verdicts(drawn)
    for words in (
        "Blur+JPEG (0.1) lowers AP on SAN",
        "Blur+JPEG (0.5) lowers AP on Deepfake",
        "Blur+JPEG (0.1) raises the mean AP over the families other than SAN and Deepfake",
        "Blur alone lowers the mean AP over all families",
        "4 classes instead of 2 raise the mean AP over all families",
        "8 classes instead of 2 raise the mean AP over all families",
        "Diversity saturates: from 4 to 8 classes AP gains less per doubling than from 2 to 4",
    ):
        assert found[words] == HOLDS, words
    # The same grid with none and blur-jpeg exchanged, and the class counts the other way about.
    turned = dict(AS_PUBLISHED)
    for name in ("blur-jpeg-0.1", "blur-jpeg-0.5"):
        turned[name, "all"] = AS_PUBLISHED["none", "all"]
    turned["none", "all"] = AS_PUBLISHED["blur-jpeg-0.1", "all"]
    turned["blur-jpeg-0.1", "2"], turned["blur-jpeg-0.1", "4"] = (4.0, 4.0), (0.0, 0.0)
    flipped = verdicts(draw_grid(tmp_path, gaps=turned))
    for words in (
        "Blur+JPEG (0.1) lowers AP on SAN",
        "Blur+JPEG (0.5) lowers AP on Deepfake",
        "Blur+JPEG (0.1) raises the mean AP over the families other than SAN and Deepfake",
        "4 classes instead of 2 raise the mean AP over all families",
        "Diversity saturates: from 4 to 8 classes AP gains less per doubling than from 2 to 4",
    ):
        assert flipped[words] == FAILS, words


def test_what_is_missing_or_equal_cannot_be_told(tmp_path: Path) -> None:
    draw_grid(tmp_path, gaps={("none", "all"): (1.0, 1.0), ("blur-jpeg-0.1", "all"): (1.0, 1.0)}, seeds=(0,), per_class=10, twins=True)
    found = findings(grid(tmp_path), "npr")
    assert {one.verdict for one in found} == {UNTOLD}
    by_words = {one.claim.words: one for one in found}
    missing = by_words["Blur+JPEG (0.5) raises the mean AP over all families"]
    assert missing.difference is None and "blur-jpeg-0.5" in missing.sentence
    assert by_words["Blur+JPEG (0.1) raises the mean AP over all families"].difference is not None
    assert "one seed" in page(tmp_path)


def test_the_difference_is_of_means_over_seeds_and_holds_the_seeds(drawn: Path, tmp_path: Path) -> None:
    (found,) = [one for one in findings(grid(drawn), "npr") if one.claim.words == "JPEG alone raises the mean AP over all families"]
    means = {name: np.mean([stored(drawn, f"npr-{name}-call-s{s}", f) for s in range(3) for f in FAMILIES]) for name in ("none", "jpeg")}
    assert found.difference is not None and found.seeds == (3, 3)
    assert found.difference.value == pytest.approx(means["jpeg"] - means["none"], abs=1e-9)
    # Seeds that disagree widen the interval of a difference, not the interval over photographs alone.
    folded = grid(drawn)
    row = folded.rows[Condition("npr", "jpeg", "all")]
    moved = [replace(one, values=one.values + shift) for one, shift in zip(row.aps, (-0.2, 0.2, 0.0), strict=True)]
    folded.rows[Condition("npr", "jpeg", "all")] = replace(row, aps=tuple(moved))
    (wide,) = [one for one in findings(folded, "npr") if one.claim.words == found.claim.words]
    assert wide.difference is not None
    assert wide.difference.high - wide.difference.low > 1.5 * (found.difference.high - found.difference.low)


def test_cells_without_results_or_end_are_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    draw_grid(tmp_path, gaps={("none", "all"): (1.0, 1.0), ("jpeg", "all"): (1.0, 1.0)}, per_class=10)
    (tmp_path / "results" / "npr-jpeg-call-s1" / "san.nocrop.json").unlink()
    record = tmp_path / "runs" / "npr-jpeg-call-s2" / "record.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "stop_reason": None}))
    text = page(tmp_path)
    error = capsys.readouterr().err
    assert "npr-jpeg-call-s1: no results on san" in error and "npr-jpeg-call-s2" in error
    assert "npr-jpeg-call-s1" not in text[: text.index("Left out")] and "| one seed" not in text
    with pytest.raises(DataError, match="has not ended"):
        summarize(record.parent)


def test_results_of_other_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    draw_grid(tmp_path, gaps={("none", "all"): (1.0, 1.0)}, seeds=(0,), per_class=10)
    record = tmp_path / "runs" / "npr-none-call-s0" / "record.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "weights_sha256": "0" * 64}))
    with pytest.raises(DataError, match="other weights"):
        grid(tmp_path)


def test_images_seen_count_epochs_and_partial_ones(tmp_path: Path) -> None:
    draw_grid(tmp_path, gaps={("none", "all"): (1.0, 1.0)}, seeds=(0,), per_class=10)
    folder = tmp_path / "runs" / "npr-none-call-s0"
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()][:2]
    rows.insert(1, {**rows[1], "steps": 3, "partial": True})
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = summarize(folder)
    assert found.log["images"] == [640, 640 + 3 * 64, 1280] and found.images == 640
    found.save(tmp_path / "one.json")
    assert read_summary(tmp_path / "one.json") == found
