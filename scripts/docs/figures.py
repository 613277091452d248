"""The figures of the documentation: those of one report of the embedded suite, made small, and README's teaser.

A page names its figures as ``figures/NAME.png`` or ``figures/NAME.jpg``; NAME is a figure of the report, or one of ALIASES where
its name holds that of a detector or a family. What no page names is removed.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import blocks
import public_sheet
import teaser
from PIL import Image

from cnndetect.zoo.sheets import save_compact

FIGURES = blocks.ROOT / "docs" / "figures"
WIDEST_PX, COLOURS = 1000, 128
KEPT = re.compile(r"^(teaser|public|grid-.*|coverage.*|performance.*)$")  # made elsewhere


def make() -> list[str]:
    """Build the report of the embedded suite, copy what pages show, and draw the teaser. Returns what the report does not have."""
    FIGURES.mkdir(exist_ok=True)
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "cnndetect", "report", "--suite", "mini", "--results", "benchmarks/results", "--out", out]
        subprocess.run([*command, "--limit", "none", "--jobs", "1"], cwd=blocks.ROOT, stdout=subprocess.DEVNULL, check=False)
        for name in sorted(wanted()):
            stem, suffix = name.rsplit(".", 1)
            if KEPT.match(stem):
                continue
            source = Path(out) / "figures" / f"{aliases().get(stem, stem)}.png"
            if not source.is_file():
                failed.append(f"figures/{name}: the report has no figure {source.stem}")
                continue
            photographs(source, FIGURES / name) if suffix == "jpg" else shutil.copyfile(source, FIGURES / name)
        peaks = sorted((Path(out) / "data").glob("spectra-[0-9]*.csv"))
        lines = [path.read_text("utf-8").splitlines() for path in peaks]
        (FIGURES / "spectrum-peaks.csv").write_text("\n".join([lines[0][0], *(row for part in lines for row in part[1:])]) + "\n", "utf-8")
    teaser.make(FIGURES / "teaser.jpg")
    public_sheet.make(FIGURES / "public.jpg")
    for path in (path for path in FIGURES.iterdir() if path.suffix in (".png", ".jpg") and not KEPT.match(path.stem)):
        if path.name not in wanted():
            path.unlink()
        elif path.suffix == ".png":
            shrink(path)
    return failed


def wanted() -> set[str]:
    """Names of the figures that README and the pages of docs show."""
    pages = [blocks.ROOT / "README.md", *(blocks.ROOT / "docs").rglob("*.md")]
    return {name for page in pages for name in re.findall(r"\]\((?:docs/)?figures/([\w.-]+\.(?:png|jpg))\)", page.read_text("utf-8"))}


def aliases() -> dict[str, str]:
    """Name in a page -> figure of the report."""
    family = blocks.first_family()
    kinds = ("forest", "roc", "pr", "scores", "sheet", "explain", "profile", "audit")
    return {f"{kind}-family": f"{kind}-{family}" for kind in kinds}


def photographs(png: Path, target: Path) -> None:
    """A sheet of photographs as a JPEG, small enough for a document."""
    with Image.open(png) as image:
        picture = image.convert("RGB")
    picture.thumbnail((WIDEST_PX, 10 * WIDEST_PX), Image.Resampling.LANCZOS)
    save_compact(picture, target, quality=75)


def shrink(path: Path) -> None:
    """Rewrite a PNG with fewer pixels and colours where that makes it smaller."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        picture = image.convert("RGB")
        picture.thumbnail((WIDEST_PX, 10 * WIDEST_PX), Image.Resampling.LANCZOS)
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    if len(buffer.getvalue()) < path.stat().st_size:
        path.write_bytes(buffer.getvalue())
