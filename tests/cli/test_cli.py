"""The program: every verb meets a wrong name, a missing file and an empty folder; help is quick; an interruption is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cnndetect.ablation.cells import OWN
from cnndetect.cli import ablation, report
from cnndetect.cli.groups import Verbs
from cnndetect.cli.guard import DONE, FAILED, INTERRUPTED, MISUSED
from cnndetect.cli.main import cnndetect as program
from cnndetect.cli.main import main
from cnndetect.metrics.intervals import DRAWS
from cnndetect.report.build import SECTIONS
from cnndetect.train.options import parse, words_of

# MISSING is a path that does not exist, EMPTY a folder without files.
WRONG_NAMES = [
    "score MISSING/a.png --detector progan8-npt",
    "bench --suite EMPTY --protocol nocropp",
    "bench --suite EMPTY --degradation jpg_75",
    "bench leaderbord",
    "compare --detektor x",
    "robustness --suite mini --degradation jpg_75",
    "bench alarms --photos EMPTY --detector progan8-npt",
    "report --suite mini --out EMPTY --section leaderbord",
    "train --data EMPTY --name n --recipe mini-nprr",
    "train --data EMPTY --name n --recip mini-npr",
    "data info forensinths",
    "data get forensynths --only biggann --yes",
    "data verify EMPTY --suite forensinths",
    "zoo train progam --photos EMPTY --out EMPTY",
    "zoo shet x",
    "detectors info progan8-npt",
    "detectors get blur_jpg_prob0.3",
    "detectors pack MISSING/a.pth EMPTY/b.safetensors --bits 7",
    "detectors calibrate progan8-npt --val EMPTY",
    "detectors fuse effnet-progam effnet-any --val EMPTY --out EMPTY/x.json",
    "ablation scor",
    "serve --detektor x",
    "list familys",
    "skore x",
]
MISSING_FILES = [
    "score MISSING/a.png",
    "bench --suite MISSING",
    "leaderboard --results MISSING",
    "compare --results MISSING",
    "robustness --suite MISSING",
    "bench alarms --photos MISSING",
    "report --suite MISSING --out EMPTY",
    "train --data MISSING --name n --out EMPTY",
    "audit --suite MISSING",
    "data verify MISSING --suite forensynths",
    "data get progan-val --from-file MISSING/a.zip --yes",
    "zoo train san --photos MISSING --out EMPTY",
    "zoo sample san --weights MISSING/g.pt --photos EMPTY --out EMPTY",
    "zoo pack MISSING/g.pt --out EMPTY/g.pt",
    "detectors pack MISSING/a.pth EMPTY/b.safetensors",
    "detectors calibrate effnet-any --val MISSING",
    "serve --port 0 --detector MISSING/a.pth",
    "ablation --data MISSING --out EMPTY --trunk npr",
    "ablation page --results MISSING --summaries EMPTY --out EMPTY/p.md",
]
EMPTY_FOLDERS = [
    "score EMPTY",
    "bench --suite EMPTY",
    "leaderboard --results EMPTY",
    "compare --results EMPTY",
    "robustness --suite EMPTY",
    "bench alarms --photos EMPTY",
    "report --suite EMPTY --out EMPTY",
    "train --data EMPTY --name n --out EMPTY",
    "audit --suite EMPTY",
    "zoo train san --photos EMPTY --out EMPTY",
    "zoo photos --photos EMPTY --out EMPTY",
    "zoo distance EMPTY",
    "zoo sheet EMPTY --out EMPTY/s.jpg",
    "detectors calibrate effnet-any --val EMPTY",
    "ablation --data EMPTY --out EMPTY --trunk npr",
]


def _run(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    (folder / "empty").mkdir(exist_ok=True)
    words = command.replace("MISSING", str(folder / "missing")).replace("EMPTY", str(folder / "empty")).split()
    status = main(words)
    answer = capsys.readouterr()
    assert answer.out == "" and "Traceback" not in answer.err
    return status, answer.err


@pytest.fixture(autouse=True)
def _own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNDETECT_RESULTS", str(tmp_path / "results"))


@pytest.mark.parametrize("command", WRONG_NAMES)
def test_a_wrong_name_is_misuse_and_says_what_there_is(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, error = _run(command, tmp_path, capsys)
    assert status == MISUSED, error
    assert error.startswith("error: ") and any(word in error for word in ("Did you mean", "Possible options", "Known:", "not one of")), (
        error
    )


@pytest.mark.parametrize("command", MISSING_FILES)
def test_a_missing_file_is_named(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, error = _run(command, tmp_path, capsys)
    assert status == FAILED, error
    assert "missing" in error


@pytest.mark.parametrize("command", EMPTY_FOLDERS)
def test_an_empty_folder_is_named(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, error = _run(command, tmp_path, capsys)
    assert status == FAILED, error
    assert "empty" in error


def _commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(group, Verbs):
        return [path]
    with click.Context(group) as ctx:
        return [path, *(one for name in group.verbs for one in _commands(group.get_command(ctx, name), (*path, name)))]


def test_every_verb_has_help_without_torch_in_the_house() -> None:
    every = _commands(program)
    lines = "; ".join(f"assert main({[*path, '--help']!r}) == 0" for path in every)
    program_text = f"import sys\nfrom cnndetect.cli.main import main\n{lines}\nassert not {{'torch', 'torchvision'}} & set(sys.modules)"
    found = subprocess.run([sys.executable, "-c", program_text], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("Usage:") == len(every) > 30


def test_help_of_the_bench_takes_less_than_half_a_second_of_the_processor() -> None:
    def seconds() -> float:
        before = os.times()
        subprocess.run([sys.executable, "-m", "cnndetect.bench", "--help"], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize(("verb", "words"), [("bench", "the same command continues"), ("audit", "interrupted")])
def test_an_interruption_is_one_line_and_130(
    verb: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cnndetect.bench.suites.find_suites", interrupted)
    assert main([verb, "--suite", "mini"]) == INTERRUPTED
    answer = capsys.readouterr()
    assert answer.out == "" and len(answer.err.splitlines()) == 1 and words in answer.err


def test_an_interruption_while_the_program_is_imported_is_one_line_too() -> None:
    lines = [
        "import sys",
        "class Interrupted:",
        "    def find_spec(self, name, path=None, target=None):",
        "        if name == 'cnndetect.cli.main': raise KeyboardInterrupt",
        "sys.meta_path.insert(0, Interrupted())",
        "from cnndetect.__main__ import main",
        "sys.exit(main())",
    ]
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (INTERRUPTED, "interrupted\n")


def test_a_suite_that_is_nearly_one_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--suite", "min"]) == MISUSED and "Did you mean 'mini'" in capsys.readouterr().err


def test_names_are_listed_in_one_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "protocols"]) == DONE and sorted(capsys.readouterr().out.split()) == ["crop224", "nocrop"]
    assert main(["list", "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert set(SECTIONS) == set(found["sections"]) and "jpeg_75" in found["degradations"] and "stylegan" in found["families"]


def test_no_flag_is_abbreviated_and_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--prot", "nocrop"]) == MISUSED and "--protocol" in capsys.readouterr().err
    assert main(["--version"]) == DONE and capsys.readouterr().out.startswith("cnndetect ")
    assert main([]) == MISUSED and "Verbs:" in capsys.readouterr().err


def test_what_help_lists_is_what_there_is() -> None:
    assert report.SECTIONS == tuple(SECTIONS) and ablation.OWN == OWN
    with click.Context(program) as ctx:
        bench = program.get_command(ctx, "bench")
        run = bench.get_command(ctx, "run")  # type: ignore[union-attr]
    assert next(param for param in run.params if param.name == "draws").default == DRAWS


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--recipe", "mini-npr", "--resize-px", "none"],
        ["--no-flip", "--jpeg-quality", "60", "90", "--classes", "cat,dog", "--max-seconds", "60"],
    ],
)
def test_a_configuration_and_its_command_line_say_the_same(words: list[str]) -> None:
    config = parse(["--data", "d", "--name", "n", "--out", "o", *words])
    assert parse(words_of(config)) == config


def test_the_modules_are_the_program(tmp_path: Path) -> None:
    for module in ("score", "bench", "train", "zoo", "data", "audit", "report", "detectors"):
        found = subprocess.run([sys.executable, "-m", f"cnndetect.{module}", "--no-such"], capture_output=True, text=True, check=False)
        assert found.returncode == MISUSED and f"cnndetect {module}" in found.stderr, found.stderr


@pytest.mark.parametrize("module", ["bench.paired", "zoo.families.progan", "analysis.explain"])
def test_a_module_that_is_no_program_says_so(module: str) -> None:
    found = subprocess.run([sys.executable, "-m", f"cnndetect.{module}", "--help"], capture_output=True, text=True, check=False)
    assert found.returncode == MISUSED and "cnndetect VERB" in found.stderr and not found.stdout
