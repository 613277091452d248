"""Write the sample of the suite public that ships: a few photographs, and what each generator made of them.

    python benchmarks/public_sample.py          # where the suite was built; benchmarks/public-sample

Nothing is picked by eye: of the photographs that all generators have, evenly chosen ones. Two generators are left out: one paints faces, and
the teacher of the other has a non-commercial licence.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from cnndetect.bench.suites import PUBLIC, TestSet, find_suites
from cnndetect.data.folders import FAKE, REAL, evenly, scan
from cnndetect.data.pack import pack_suite
from cnndetect.data.test_only import MARK

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "benchmarks" / "public-sample"
PHOTOGRAPHS = 3
WITHOUT = ("dcgan-face", "mobilestylegan")


def main() -> None:
    """Choose, copy, pack."""
    sets = [one for one in find_suites(PUBLIC)[0].sets if one.name not in WITHOUT]
    images = {one.name: {label: _images(one, label) for label in (0, 1)} for one in sets}
    common = sorted(set.intersection(*(set(one[label]) for one in images.values() for label in (0, 1))))
    chosen = evenly(common, PHOTOGRAPHS, ends=True)
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder)
        (suite / "reals").mkdir()
        for name in chosen:
            shutil.copy(images[sets[0].name][0][name], suite / "reals" / f"{name}.png")
        for one in sets:
            (suite / one.name / FAKE).mkdir(parents=True)
            (suite / one.name / f"{REAL}.txt").write_text("".join(f"../reals/{name}.png\n" for name in chosen), encoding="utf-8")
            for name in chosen:
                shutil.copy(images[one.name][1][name], suite / one.name / FAKE / f"{name}.png")
        pack_suite(suite, OUT, effort=6)
    (OUT / MARK).touch()
    (OUT / "ATTRIBUTION.md").write_text(_attribution(chosen), encoding="utf-8")


def _images(test_set: TestSet, label: int) -> dict[str, Path]:
    """Stem -> file, of one class."""
    return {sample.path.stem: sample.path for sample in scan(test_set.root) if sample.label == label}


def _attribution(chosen: list[str]) -> str:
    """The lines of these photographs from the attribution of the embedded suite, which uses them all."""
    lines = (ROOT / "benchmarks" / "mini" / "ATTRIBUTION.md").read_text(encoding="utf-8").splitlines()
    names = [re.sub(r"__\d+$", "", name) for name in chosen]
    known = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    head = [line for line in lines if line.startswith(("| name", "|---"))][:2]
    words = [
        "# Photographs of the sample of the suite public",
        "",
        "Each `reals/NAME__K.png` is a 128 px crop of the photograph NAME. The fakes of the same name were made from it by the networks that",
        "docs/public-suite.md lists, and fall under the photograph's licence and the network's.",
        "",
    ]
    return "\n".join([*words, *head, *(known[name] for name in names)]) + "\n"


if __name__ == "__main__":
    main()
