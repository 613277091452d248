"""What MkDocs needs beyond docs/: README as the home page, the leaderboard and the changelog as pages, and links out of docs/.

A link to a file of the repository that is no page keeps its words and names the file; with CNNDETECT_REPOSITORY set to the
address of the repository's files it becomes a link again.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"README.md": "index.md", "benchmarks/LEADERBOARD.md": "leaderboard.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(?P<image>!?)\[(?P<words>(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*)\]\((?P<target>[^)\s]+)\)")


def on_files(files, config):  # noqa: ANN001, ANN201  MkDocs' own types
    """Add the pages that lie outside docs/."""
    for source, target in PAGES.items():
        text = moved((ROOT / source).read_text(encoding="utf-8"), posixpath.dirname(source))
        files.append(File.generated(config, target, content=text))
    return files


def on_page_markdown(markdown, page, config, files):  # noqa: ANN001, ANN201
    """Mend the links of a page in docs/ that lead out of it."""
    return markdown if page.file.src_uri in PAGES.values() else moved(markdown, "docs")


def moved(text: str, folder: str) -> str:
    """The links of a Markdown file in ``folder`` of the repository, as they are for a page in docs/."""

    def mended(found: re.Match[str]) -> str:
        target, _, anchor = found["target"].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        words = _LINK.sub(mended, found["words"])
        if path in PAGES:
            return f"{found['image']}[{words}]({PAGES[path]}{'#' + anchor if anchor else ''})"
        if path.startswith("docs/"):
            return f"{found['image']}[{words}]({path.removeprefix('docs/')}{'#' + anchor if anchor else ''})"
        base = os.environ.get("CNNDETECT_REPOSITORY")
        return f"[{words}]({base.rstrip('/')}/{path})" if base else words if "`" in words or "!" in words else f"{words} (`{path}`)"

    # Blocks of code are left alone.
    parts = re.split(r"(```.*?```)", text, flags=re.S)
    return "".join(part if place % 2 else _LINK.sub(mended, part) for place, part in enumerate(parts))
