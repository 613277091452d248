"""Makes the pictures of gallery.md anew from the results that ship with the package: python docs/make_gallery.py"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from cnndetect.paths import reference_results_root
from cnndetect.report.build import build_report
from cnndetect.report.inputs import read_inputs

HERE = Path(__file__).resolve().parent


def to_jpeg(png: Path, target: Path) -> None:
    """Sheets of photographs, small enough for a document."""
    with Image.open(png) as image:
        picture = image.convert("RGB")
    picture.thumbnail((1000, 10000), Image.Resampling.LANCZOS)
    picture.save(target, quality=78)


def main() -> None:
    """Build the report of mini, and keep the figures that gallery.md shows."""
    wanted = re.findall(r"\]\(gallery/([\w.-]+\.(?:png|jpg))\)", (HERE / "gallery.md").read_text(encoding="utf-8"))
    inputs = read_inputs("mini", protocol="nocrop", results=[reference_results_root()])
    with tempfile.TemporaryDirectory() as folder:
        report = build_report(inputs, folder, progress=True)
        shutil.rmtree(HERE / "gallery", ignore_errors=True)
        (HERE / "gallery").mkdir()
        for name in wanted:
            made = report.page.parent / "figures" / f"{Path(name).stem}.png"
            if name.endswith(".png"):
                shutil.copyfile(made, HERE / "gallery" / name)
            else:
                to_jpeg(made, HERE / "gallery" / name)
    print(f"{len(wanted)} pictures in {HERE / 'gallery'}")


if __name__ == "__main__":
    main()
