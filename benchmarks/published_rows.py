"""Measure the published detectors whose complete weights a program can have: fetch, score, time, print one table.

    python benchmarks/published_rows.py --accept-licences --results benchmarks/results
    python benchmarks/published_rows.py --suite mini --suite public --results DIR --detector tiny-ladeda-wildrf

Images are scored in --work, and what is finished there or in the results is not scored again; the rows of a detector are then packed
into one NAME.tar.xz of the results. A package with requirements of its own (sahu65)
is installed into a virtual environment (--venv) that sees the packages of this one behind its own. A detector that fails is named
at the end, and the others are measured all the same.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
from pathlib import Path

from renew_results import resume, run

from cnndetect.bench.archives import SUFFIX, pack
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.published.fetching import is_here
from cnndetect.detectors.published.sahu65 import VERSION
from cnndetect.paths import RESULTS

ROOT = Path(__file__).resolve().parent.parent
# Small files with a checksum; the others need a backbone or a browser.
NAMES = (
    "tiny-ladeda-forensynths", "tiny-ladeda-wildrf", "meso4-deepfakes", "meso4-face2face", "mesoinception4-deepfakes",
    "mesoinception4-face2face", "sahu65",
)  # fmt: skip
PACKAGES = {"sahu65": f"sahu65=={VERSION}"}


def main() -> int:
    """0 done, 1 where a detector failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", action="append", help="repeatable (default: mini)")
    parser.add_argument("--detector", action="append", help=f"repeatable (default: {', '.join(NAMES)})")
    parser.add_argument("--results", required=True, help="folder of results; those that ship lie in benchmarks/results")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "rows", metavar="DIR", help="default: runs/rows of the checkout")
    parser.add_argument("--limit", help="images per class, for a trial that is no result")
    parser.add_argument("--seconds", default="5", help="to time each detector; 0 leaves the speed out (default: 5)")
    parser.add_argument("--venv", type=Path, help="for packages with requirements of their own (default: RESULTS/../venv-peers)")
    parser.add_argument("--accept-licences", action="store_true", help="of the weights that are fetched; their terms are printed")
    given = parser.parse_args()
    suites, failed = given.suite or ["mini"], []
    for name in given.detector or NAMES:
        try:
            python = _ready(name, given)
            work, archive = given.work / RESULTS / name, Path(given.results, name + SUFFIX)
            resume(archive, work)
            for suite in suites:
                limit = ["--limit", given.limit] if given.limit else []
                run("bench", "--suite", suite, "--detector", name, "--results", str(given.work), *limit, python=python, quiet=False)
            if not given.limit:
                pack(work, archive)
            if float(given.seconds) > 0:
                run("detectors", "speed", name, "--seconds", given.seconds, "--results", given.results, python=python, quiet=False)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name}: {' '.join(map(str, error.cmd))} ended with {error.returncode}")
    if not given.limit:
        run("leaderboard", "--suites", ",".join(suites), "--results", given.results, quiet=False)
    print("\n".join(failed), file=sys.stderr)
    return int(bool(failed))


def _ready(name: str, given: argparse.Namespace) -> str:
    """Have the weights here, and return the interpreter that loads them."""
    if is_here(PUBLISHED[name]):
        return sys.executable
    if name not in PACKAGES:
        run("detectors", "get", name, *(["--accept-licence"] if given.accept_licences else []), quiet=False)
        return sys.executable
    venv = given.venv or Path(given.results).resolve().parent / "venv-peers"
    python = venv / "bin" / "python"
    if not (venv / "ready").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", PACKAGES[name]], check=True)
        own = subprocess.run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, check=True)
        Path(own.stdout.decode().strip(), "behind.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        (venv / "ready").touch()
    return str(python)


if __name__ == "__main__":
    sys.exit(main())
