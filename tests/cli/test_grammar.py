"""One grammar of options over the whole program: an idea has one spelling and one default, and former spellings go on working."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click
import pytest

from cnndetect.cli.groups import Verbs
from cnndetect.cli.main import cnndetect as program
from cnndetect.cli.main import main
from cnndetect.renamed import Renamed

# Words for an idea that has a spelling already.
SYNONYMS = {
    "out": {"dest", "destination", "output", "output-dir", "results-dir", "target", "to"},
    "photos": {"photographs", "pictures", "folder", "images"},
    "limit": {"max-images", "most-images", "max-count", "number"},
    "results": {"results-dir", "result"},
    "detector": {"model", "detectors", "network", "checkpoint"},
    "degradation": {"degradations", "condition"},
    "suite": {"suites", "test-set", "benchmark"},
    "val": {"validation", "compare"},
    "from-file": {"from-archive", "archive", "source"},
    "yes": {"accept-licence", "accept", "y"},
    "dry-run": {"plan", "simulate"},
    "json": {"as-json", "machine"},
    "csv": {"table", "to-csv"},
}

# What differs from the default of all others, and why.
OTHER_DEFAULTS = {
    ("bench run", "--suite"): "scores every suite that is here",
    ("bench compare", "--suite"): "takes the suite whose results are there",
    ("ablation page", "--suite"): "takes the suite whose results are there",
    ("data verify", "--suite"): "told by the folders",
    ("bench leaderboard table", "--suite"): "a table of each",
    ("bench leaderboard table", "--protocol"): "counts with --suite alone",
    ("report", "--limit"): "a page of a huge suite would take hours",
    ("detectors ranges", "--limit"): "a few images show the ranges",
    ("detectors speed", "--batch-size"): "the figure is of one core",
    ("zoo train", "--device"): "small generators are drawn and trained on the CPU",
    ("zoo build-suite", "--device"): "small generators are drawn and trained on the CPU",
    ("zoo sample", "--seed"): "not the seed that the generator was trained with",
}
# Degradations and counts differ by what a verb measures; the trainer's flags are None where the recipe decides.
SHARED = ("--detector", "--device", "--suite", "--protocol", "--limit", "--results", "--json", "--draws", "--seed", "--batch-size", "--val")


def _leaves(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, click.Command]]:
    if not isinstance(group, Verbs):
        return [(" ".join(path), group)]
    with click.Context(group) as ctx:
        return [one for name in group.verbs for one in _leaves(group.get_command(ctx, name), (*path, name))]


LEAVES = {id(command): (path, command) for path, command in reversed(_leaves(program))}.values()
OPTIONS = [(path, param) for path, command in LEAVES for param in command.params if isinstance(param, click.Option)]


def test_help_shows_one_spelling_of_an_option_and_no_former_one() -> None:
    former = {word for _, option in OPTIONS if isinstance(option, Renamed) for word in option.old}
    former -= {"--only"}  # names of generators; a pattern of cells was called the same once
    assert former >= {"--dest", "--max-images", "--folder", "--photographs", "--suites", "--accept-licence"}
    for path, option in OPTIONS:
        assert len(option.opts) == 1, (path, option.opts)
        assert option.opts[0] not in former, (path, option.opts)


def test_no_option_is_a_synonym_of_another() -> None:
    refused = {f"--{word}": f"--{spelling}" for spelling, words in SYNONYMS.items() for word in words}
    assert not [(path, option.opts[0], refused[option.opts[0]]) for path, option in OPTIONS if option.opts[0] in refused]


def test_an_option_has_one_default() -> None:
    defaults: dict[str, dict[object, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, option in OPTIONS:
        name = option.opts[0]
        if name in SHARED and (path, name) not in OTHER_DEFAULTS and path not in ("train", "ablation run"):
            with click.Context(click.Command(path)) as ctx:
                defaults[name][repr(option.get_default(ctx))].append(path)
    assert set(defaults) == set(SHARED)
    assert all(len(found) == 1 for found in defaults.values()), {name: dict(found) for name, found in defaults.items() if len(found) > 1}
    known = {(path, option.opts[0]) for path, option in OPTIONS}
    assert set(OTHER_DEFAULTS) <= known, "an exception for an option that is gone"


def test_former_spellings_say_the_same() -> None:
    for path, command in LEAVES:
        for option in command.params:
            for old in option.old if isinstance(option, Renamed) else ():
                words = [] if option.is_flag else ["3"]
                alone = click.Command(path, params=[option], callback=lambda **given: given)
                given = [alone.main([word, *words], standalone_mode=False) for word in (option.opts[0], old)]
                assert given[0] == given[1] != {option.name: None}, (path, old)


@pytest.mark.parametrize("words", [["audit", "FOLDER"], ["audit", "--suite", "FOLDER"]])
def test_audit_takes_its_suite_as_others_do(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path) if word == "FOLDER" else word for word in words]) == 1
    assert str(tmp_path) in capsys.readouterr().err
