"""Documents: links lead somewhere, named commands exist, the suite's photographs are all attributed."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

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
