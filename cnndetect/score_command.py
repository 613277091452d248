"""The words of `python -m cnndetect.score` enter; lines, JSON and CSV leave."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from cnndetect.detectors.base import Detector
from cnndetect.detectors.calibration import calibrated
from cnndetect.errors import CnndetectError, DataError, LayoutError, UnknownNameError
from cnndetect.images import list_images
from cnndetect.scoring import BATCH_SIZE, PROTOCOL, Scored, load_detector, score_stream

EXAMPLES = """\
A line per image: fakeness, a tab, the path. Fakeness orders images; it is not the probability of being fake.
Exit status: 0 all scored, 1 some image failed (named on stderr), 2 misused.

examples:
  python -m cnndetect.score photo.jpg
  python -m cnndetect.score holiday-photos/ --sort --csv scores.csv
  python -m cnndetect.score a.png folder/ --json --detector my.pth --device cuda
  python -m cnndetect.score photo.jpg --explain where.png
"""


@dataclass(frozen=True)
class Row:
    """An image file and what became of it."""

    path: Path
    scored: Scored

    @property
    def failed(self) -> bool:
        return self.scored.error is not None


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, score, print; 0 done, 1 failed, 2 misused."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        with ExitStack() as stack:
            # What can be misspelt comes before the network.
            files = find_files(options.paths)
            if options.explain and len(files) != 1:
                parser.error(f"--explain takes one image, and {len(files)} were given")
            table = _open_table(options.csv, stack) if options.csv else None
            detector = load_detector(options.detector, device=options.device)
            detector = calibrated(detector) if options.calibrated else detector
            rows: Iterable[Row] = score_files(files, detector=detector, batch_size=options.batch_size)
            status = _report(rows, detector, table, options)
            if options.explain and status == 0:
                _explain(files[0], detector, options.explain)
            return status
    except UnknownNameError as error:
        parser.error(str(error))
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def make_parser() -> argparse.ArgumentParser:
    """The options of `python -m cnndetect.score`."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.score",
        description="Score images for traces of CNN generators, at their native size.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|FOLDER", help="images, and folders to walk")
    parser.add_argument("--logit", action="store_true", help="print the logit instead of the fakeness")
    parser.add_argument("--calibrated", action="store_true", help="by the threshold and temperature frozen with the weights")
    parser.add_argument("--sort", action="store_true", help="most fake first, once all are scored")
    parser.add_argument("--json", action="store_true", help="print one JSON document, fakeness and logit")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write path, fakeness, logit, error")
    parser.add_argument("--explain", type=Path, metavar="OUT.png", help="of one image: also draw where its logit comes from")
    parser.add_argument("--detector", metavar="NAME|FILE|MODULE:FACTORY", help="default: the bundled one")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:N; default: CUDA where there is one")
    parser.add_argument(
        "--batch-size", type=_count, default=BATCH_SIZE, metavar="N", help="images of equal size at once (default %(default)s)"
    )
    return parser


def find_files(given: Sequence[Path]) -> list[Path]:
    """Files as they are given, folders replaced by the images below them.

    Raises LayoutError for a folder without images.
    """
    files: list[Path] = []
    for path in given:
        found = list_images(path) if path.is_dir() else [path]
        if not found:
            raise LayoutError(f"{path} holds no images. Expected files such as a.png or b.jpg in it or below it.")
        files += found
    return files


def score_files(files: Sequence[Path], *, detector: Detector, batch_size: int) -> Iterator[Row]:
    """Score files in order with a progress bar on stderr; failures are named there too."""
    # Nothing is drawn where stderr is not a terminal.
    with tqdm(total=len(files), desc="score", unit="image", file=sys.stderr, disable=None, leave=False) as bar:
        for scored in score_stream(files, detector=detector, batch_size=batch_size):
            bar.update()
            if scored.error is not None:
                tqdm.write(f"failed: {scored.error}", file=sys.stderr)
            yield Row(files[scored.index], scored)


def _report(rows: Iterable[Row], detector: Detector, table: TextIO | None, options: argparse.Namespace) -> int:
    if options.sort:  # by logit: fakeness ties near 1
        rows = sorted(rows, key=lambda row: (row.failed, -row.scored.logit if not row.failed else 0.0))
    writer = csv.writer(table) if table is not None else None
    images: list[Row] = []
    failures: list[Row] = []
    for row in rows:
        (failures if row.failed else images).append(row)
        if writer is not None:
            writer.writerow(_cells(row))
        if not row.failed and not options.json:
            tqdm.write(_line(row, logit=options.logit), file=sys.stdout)
    if options.json:
        print(json.dumps(_document(images, failures, detector), indent=2, sort_keys=True))
    if failures:
        print(f"{len(failures)} of {len(failures) + len(images)} images failed.", file=sys.stderr)
    return 1 if failures else 0


def _explain(file: Path, detector: Detector, target: Path) -> None:
    from cnndetect.analysis.explain import explain, save_overlay

    found = explain(file, detector=detector)
    save_overlay(file, found, target)
    what = "mean of the map = logit" if found.method == "cam" else "fall of the logit where a square is covered"
    values = f"{found.method}, {what}, {found.heat.min():+.2f} to {found.heat.max():+.2f}"
    print(f"wrote {target}: red speaks for fake, blue for real ({values})", file=sys.stderr)


def _line(row: Row, *, logit: bool) -> str:
    # A name may hold what would break the line, or bytes that no terminal shows.
    path = str(row.path).encode("utf-8", "backslashreplace").decode("utf-8").translate({9: r"\t", 10: r"\n", 13: r"\r"})
    return f"{row.scored.logit if logit else row.scored.fakeness:.6f}\t{path}"


def _cells(row: Row) -> list[object]:
    if row.failed:
        return [row.path, "", "", row.scored.error]
    return [row.path, row.scored.fakeness, row.scored.logit, ""]


def _document(images: list[Row], failures: list[Row], detector: Detector) -> dict[str, object]:
    return {
        "detector": detector.name,
        "weights_sha256": detector.weights_sha256,
        "protocol": PROTOCOL,
        "images": [{"path": str(row.path), "fakeness": row.scored.fakeness, "logit": row.scored.logit} for row in images],
        "failed": [{"path": str(row.path), "error": row.scored.error} for row in failures],
    }


def _open_table(path: Path, stack: ExitStack) -> TextIO:
    try:
        table = stack.enter_context(path.open("w", newline="", encoding="utf-8", errors="surrogateescape"))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Expected a file in an existing folder.") from error
    csv.writer(table).writerow(["path", "fakeness", "logit", "error"])
    return table


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected a whole number >= 1")
    return value
