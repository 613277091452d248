"""docs/tutorial.ipynb from docs/tutorial.py: the same cells, run from top to bottom, with their tables and pictures."""

from __future__ import annotations

import io
import os
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path

from blocks import ROOT
from PIL import Image

SOURCE, TARGET = ROOT / "docs" / "tutorial.py", ROOT / "docs" / "tutorial.ipynb"
WIDEST_PX = 760


def make() -> None:
    """Run the cells in a fresh kernel and keep what they show, pictures made small."""
    from nbclient import NotebookClient

    made = cells(SOURCE.read_text(encoding="utf-8"))
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(made, timeout=1800, resources={"metadata": {"path": folder}}).execute()
    for cell in made.cells:
        cell.metadata = {}
        cell.outputs = (
            [tidy(output) for output in cell.get("outputs", []) if output.get("name") != "stderr"] if cell.cell_type == "code" else None
        )
        if cell.cell_type != "code":
            del cell["outputs"]
    made.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    import nbformat

    TARGET.write_text(nbformat.writes(made) + "\n", encoding="utf-8")


def cells(script: str):  # noqa: ANN201  a NotebookNode
    """The cells of a script with ``# %%`` marks; each has an id that depends on its place alone."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    made = new_notebook()
    for place, part in enumerate(script.split("\n# %%")):
        mark, _, body = part.removeprefix("# %%").partition("\n")
        if mark.strip() == "[markdown]":
            lines = [line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines() if not line.startswith("# ruff:")]
            cell = new_markdown_cell("\n".join(lines))
        else:
            cell = new_code_cell(body.strip())
        cell.id = f"cell-{place}"
        made.cells.append(cell)
    return made


def tidy(output):  # noqa: ANN001, ANN201  a NotebookNode
    """An output without paths of this machine, its pictures at most WIDEST_PX wide."""
    data = output.get("data", {})
    if "image/png" in data:
        with Image.open(io.BytesIO(b64decode(data["image/png"]))) as image:
            picture = image.convert("RGB")
        picture.thumbnail((WIDEST_PX, 10 * WIDEST_PX), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.quantize(128, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
        data["image/png"] = b64encode(buffer.getvalue()).decode("ascii")
    for kind in ("text/plain", "text/html"):
        if kind in data:
            data[kind] = _anonymous(data[kind])
    if "text" in output:
        output["text"] = _anonymous(output["text"])
    return output


def _anonymous(text: str) -> str:
    return text.replace(f"{ROOT}/", "").replace(str(Path.home()), "~")
