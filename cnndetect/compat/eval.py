"""``python -m cnndetect.compat.eval`` scores the released test sets and writes the CSV of the original eval.py."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cnndetect.bench.run import Options, result_path, run_suite
from cnndetect.bench.suites import Suite, TestSet
from cnndetect.cli.guard import DONE, FAILED, answered
from cnndetect.compat.reference import DEFAULT_MODEL, ReferenceFigures, load_model, reference_figures
from cnndetect.data.official.catalog import DATASETS
from cnndetect.detectors.base import Detector
from cnndetect.errors import LayoutError, ProtocolError
from cnndetect.files import write_whole
from cnndetect.images import packs
from cnndetect.scoring.scores import read_scores
from cnndetect.transforms.degrade import DEGRADATIONS

# The original's test sets in its order, by folder.
VALS = tuple(DATASETS["forensynths"].groups)

EXAMPLES = """Scores are kept below RESULTS_DIR/scores, so that an interrupted run goes on where it stopped.

examples:
  python -m cnndetect.compat.eval --dataroot dataset/test
  python -m cnndetect.compat.eval --dataroot dataset/test --no_crop --vals biggan san --model_path weights/blur_jpg_prob0.1.pth
  python -m cnndetect.compat.eval --dataroot dataset/test --jpg_prob 1 --jpg_qual 75
"""


def main(arguments: list[str] | None = None) -> int:
    """Score test sets and write the CSV; the exit codes are those of cli/guard.py."""
    parser = _parser()
    options = parser.parse_args(arguments)
    return answered(lambda: _evaluate(options), parser.prog, resumes=True)


def _evaluate(options: argparse.Namespace) -> int:
    settings = Options(
        protocol="nocrop" if options.no_crop else "crop224",
        degradation=_degradation(options),
        batch_size=options.batch_size,
        draws=0,
        rerun=options.rerun,
    )
    sets = [TestSet(val, options.dataroot / val) for val in options.vals]
    absent = [test_set.name for test_set in sets if not packs.is_dir(test_set.root)]
    if len(absent) == len(sets):
        raise LayoutError(f"{options.dataroot} holds none of {', '.join(options.vals)}. Expected folders of these names.")
    detector = load_model(options.model_path, use_cpu=options.gpu_ids == "-1")
    failed = _run([test_set for test_set in sets if test_set.name not in absent], detector, settings, options)
    if absent:
        print(f"not in {options.dataroot}: {', '.join(absent)}", file=sys.stderr)
    return FAILED if absent or failed else DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.compat.eval",
        description="The original eval.py, its eval_config.py as options.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--dataroot", type=Path, default=Path("dataset/test"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--vals", nargs="+", default=list(VALS), metavar="NAME", help="sub-folders of dataroot; default: all 13")
    parser.add_argument("--model_path", default=DEFAULT_MODEL, metavar="FILE|NAME", help="default: %(default)s")
    parser.add_argument("--results_dir", type=Path, default=Path("results"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--no_crop", action="store_true", help="images at their own size; default: the middle 224 px")
    parser.add_argument("--batch_size", type=int, default=64, metavar="N", help="of images of equal size; sizes may be mixed")
    parser.add_argument("--gpu_ids", default=None, metavar="ID", help="-1 is the CPU; default: CUDA where there is one")
    parser.add_argument("--blur_prob", type=float, default=0, metavar="P", help="0 or 1")
    parser.add_argument("--blur_sig", default="0.5", metavar="PX")
    parser.add_argument("--jpg_prob", type=float, default=0, metavar="P", help="0 or 1")
    parser.add_argument("--jpg_qual", default="75", metavar="Q")
    parser.add_argument("--jpg_method", choices=("cv2", "pil"), default="cv2", help="the same bytes here")
    parser.add_argument("--rerun", action="store_true", help="score again what is finished")
    parser.add_argument("--json", action="store_true", help="print one JSON document, with real and fake accuracy")
    return parser


def _degradation(options: argparse.Namespace) -> str:
    """The named degradation that the original's options mean. Raises ProtocolError where there is none."""
    for name in ("blur_prob", "jpg_prob"):
        if getattr(options, name) not in (0, 1):
            raise ProtocolError(f"--{name} got {getattr(options, name):g}. Expected 0 or 1: what is drawn by lot cannot be repeated.")
    if options.blur_prob and options.jpg_prob:
        raise ProtocolError("--blur_prob 1 and --jpg_prob 1 were given together. Expected one degradation a run.")
    if not options.blur_prob and not options.jpg_prob:
        return "none"
    kind, given = ("blur", options.blur_sig) if options.blur_prob else ("jpeg", options.jpg_qual)
    strengths = {float(name.split("_")[1]): name for name in DEGRADATIONS if name.startswith(f"{kind}_")}
    try:
        return strengths[float(given)]
    except (KeyError, ValueError):
        flag = "--blur_sig" if options.blur_prob else "--jpg_qual"
        known = ", ".join(f"{strength:g}" for strength in sorted(strengths))
        raise ProtocolError(f"{flag} got {given!r}. Expected one of {known}.") from None


def _run(sets: Sequence[TestSet], detector: Detector, settings: Options, options: argparse.Namespace) -> int:
    """Score set after set; the CSV is whole after each. Returns how many images failed."""
    name = Path(options.model_path).name.removesuffix(".pth").replace(":", ".")
    if not options.json:
        print(f"{name} model testing on...")
    found: dict[str, ReferenceFigures] = {}
    failed = 0
    for test_set in sets:
        scores_root = options.results_dir / "scores"
        run_suite(detector, Suite("eval", 0, (test_set,)), settings, results=scores_root, progress=True)
        scores = read_scores(result_path(scores_root, detector.name, test_set.name, settings).with_suffix(".npz"))
        failed += int(scores.failed.sum())
        figures = found[test_set.name] = reference_figures(scores.labels, scores.logits)
        _write_csv(options.results_dir / f"{name}.csv", name, found)
        if not options.json:
            print(f"({test_set.name}) acc: {figures.accuracy}; ap: {figures.ap}", flush=True)
    if options.json:
        print(json.dumps({key: asdict(figures) for key, figures in found.items()}, indent=1))
    return failed


def _write_csv(path: Path, name: str, found: dict[str, ReferenceFigures]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([f"{name} model testing on..."])
    writer.writerow(["testset", "accuracy", "avg precision"])
    writer.writerows([val, figures.accuracy, figures.ap] for val, figures in found.items())
    write_whole(path, buffer.getvalue())


if __name__ == "__main__":
    sys.exit(main())
