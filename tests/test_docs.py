"""Documents: links lead somewhere, commands exist, generated parts are up to date, the suite's photographs are all attributed."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from cnndetect.cli.groups import Verbs
from cnndetect.cli.main import cnndetect as program
from cnndetect.images import list_images, packs, read_file

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    assert not [link for link in links if not (page.parent / link).exists()]
    modules = set(re.findall(r"python -m (cnndetect[\w.]*)", text))
    assert not [name for name in modules if find_spec(name) is None]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_and_options_of_every_command_exist(page: Path) -> None:
    wrong = []
    for words in commands_of(page.read_text(encoding="utf-8")):
        try:
            check_words(words)
        except click.BadOptionUsage:
            pass  # an option that is only named, without its value
        except click.ClickException as error:
            wrong.append(f"cnndetect {' '.join(words)}: {error.format_message()}")
    assert not wrong, "\n".join(wrong)


def commands_of(text: str) -> list[list[str]]:
    """The words after every ``cnndetect`` of a page: commands of code blocks, and those between backticks that have options."""
    lines = re.sub(r" \\\n\s*", " ", text).splitlines()
    typed = [
        match[1] for line in lines if (match := re.match(r"\s*(?:\$ |\S+=\S+ |[\w./-]*/python -m |python -m )?cnndetect ([a-z].*)", line))
    ]
    quoted = [words for words in re.findall(r"`cnndetect ([^`]*)`", text) if " --" in words]
    found = []
    for words in [*typed, *[words.replace("\n", " ") for words in quoted]]:
        kept = re.split(r"(?<= )[|>#](?= |$)| && ", words)[0]
        found.append([word for word in shlex.split(kept) if word not in ("...", "…")])
    return found


def check_words(words: list[str]) -> None:
    """Raises ClickException where a verb or an option does not exist; values are not looked at."""
    command: click.Command = program
    context = click.Context(command, info_name="cnndetect")
    while isinstance(command, Verbs):
        if command.default and (not words or words[0].startswith("-")):
            words = [command.default, *words]
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=found.name)
    command.make_parser(context).parse_args(list(words))


@pytest.fixture(scope="module")
def blocks():
    """The part of ``scripts/docs`` that makes pages."""
    sys.path.insert(0, str(ROOT / "scripts" / "docs"))
    try:
        yield importlib.import_module("blocks")
    finally:
        sys.path.remove(str(ROOT / "scripts" / "docs"))


def test_generated_parts_are_up_to_date(blocks) -> None:
    pages = blocks.all_pages()
    assert {"README.md", "model-card.md", "audit.md", "compare-detectors.md"} <= {page.name for page in pages}
    stale = [f"{page.name}: {what}" for page in pages for what in blocks.stale(page)]
    assert not stale, "out of date, run make docs:\n" + "\n".join(stale)


def test_a_part_is_out_of_date_once_its_marker_or_its_results_change(blocks, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(blocks, "output_of", lambda command: f"printed by {command}\nsecond\nthird\n")
    made = blocks.block("console", "cnndetect bench --detector DEFAULT | head 2")
    assert (
        f"$ cnndetect bench --detector {blocks.default_detector()}\nprinted by" in made
        and "second\n...\n```" in made
        and "third" not in made
    )
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{made}\n\nafter\n", encoding="utf-8")
    assert blocks.stale(page) == []
    page.write_text(page.read_text("utf-8").replace("head 2 -->", "head 3 -->"), encoding="utf-8")
    assert blocks.stale(page) == ["cnndetect bench --detector DEFAULT | head 3"]
    page.write_text(f"{made}\n", encoding="utf-8")
    monkeypatch.setattr(blocks, "_inputs", lambda: "other results")
    assert blocks.stale(page) == ["cnndetect bench --detector DEFAULT | head 2"]


def test_only_this_packages_program_is_run(blocks) -> None:
    with pytest.raises(AssertionError, match="only this package"):
        blocks.output_of("rm -r everything")


def test_readme_says_what_the_project_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"python-{project['requires-python'].removeprefix('>=')}%2B" in readme
    assert f"licence-{project['license'].replace('-', '--')}" in readme and f"license: {project['license']}" in citation
    assert f"version: {project['version']}" in citation and (ROOT / "cnndetect" / "py.typed").is_file()


def test_every_real_of_the_suite_is_attributed_under_a_free_licence() -> None:
    lines = (ROOT / "benchmarks" / "mini" / "ATTRIBUTION.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]
    licences = {row[0]: row[2] for row in rows}
    photographs = {path.name.split("__")[0] for path in list_images(ROOT / "benchmarks" / "mini" / "reals")}
    assert photographs == set(licences)
    assert all(re.match(r"(CC0|CC-BY|CC-BY-SA|public-domain)(-\d|$)", licence) for licence in licences.values())
    assert all(row[1] for row in rows)


def test_the_suite_leaves_through_one_encoder() -> None:
    # Format, size, alpha and chunks of the file must not tell real from fake.
    def header(content: bytes) -> tuple[bytes, bytes, bool]:
        # RIFF, "WEBPVP8L", length of the one chunk, then the signature, both sizes, alpha and version in five bytes.
        length = int.from_bytes(content[16:20], "little")
        return content[8:16], content[20:25], 20 + length + length % 2 == len(content)

    mini = ROOT / "benchmarks" / "mini"
    images = [path for folder in packs.child_folders(mini) for path in list_images(folder)]
    headers = {header(read_file(path)) for path in images}
    assert len(images) > 400 and len(headers) == 1 and next(iter(headers))[0] == b"WEBPVP8L" and next(iter(headers))[2]


def test_the_tree_stays_small() -> None:
    kept = [path for folder in ("benchmarks", "weights", "cnndetect", "tests", "docs") for path in (ROOT / folder).rglob("*")]
    assert sum(path.stat().st_size for path in kept if path.is_file() and "__pycache__" not in path.parts) < 60e6
