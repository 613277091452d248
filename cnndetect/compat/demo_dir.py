"""``python -m cnndetect.compat.demo_dir -d FOLDER`` prints the figures of the original demo_dir.py for folders of real and fake images."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from cnndetect.cli.guard import answered
from cnndetect.compat.reference import DEFAULT_MODEL, ahead, crop_protocol, load_model, reference_figures
from cnndetect.counting import counted
from cnndetect.data.folders import Sample, scan
from cnndetect.detectors.base import Detector
from cnndetect.errors import ImageError
from cnndetect.images import to_rgb_array
from cnndetect.progress import bar, say
from cnndetect.scoring import score_stream
from cnndetect.transforms.preprocess import Protocol

EXAMPLES = """Figures are in percent; several folders are pooled into one figure.

examples:
  python -m cnndetect.compat.demo_dir -d dataset/test/biggan
  python -m cnndetect.compat.demo_dir -d dataset/test/cyclegan/apple dataset/test/cyclegan/horse -c 224 -b 64
  python -m cnndetect.compat.demo_dir -d dataset/test/seeingdark --size_only
"""


@dataclass
class Sizes:
    """Heights and widths of the images as they enter the network, one after the other."""

    pixels: list[tuple[int, int]] = field(default_factory=list)

    def line(self) -> str:
        """Mean and deviation, as the original prints them.

        >>> Sizes([(256, 512)]).line()
        'Average sizes: [256.00+/-0.00] x [512.00+/-0.00] = [0.13+/-0.00 Mpix]'
        """
        sizes = np.array(self.pixels, dtype=np.float64).reshape(-1, 2)  # [N, 2]
        if not len(sizes):
            return "Average sizes: no image could be read"
        columns = (sizes[:, 0], sizes[:, 1], sizes.prod(axis=1) / 1e6)
        high, wide, area = (f"{column.mean():.2f}+/-{column.std():.2f}" for column in columns)
        return f"Average sizes: [{high}] x [{wide}] = [{area} Mpix]"


def main(arguments: list[str] | None = None) -> int:
    """Score folders; the exit codes are those of cli/guard.py."""
    parser = _parser()
    options = parser.parse_args(arguments)
    return answered(lambda: _score(options), parser.prog)


def _score(options: argparse.Namespace) -> int:
    protocol = crop_protocol(options.crop)
    samples = [sample for folder in options.dir for sample in scan(folder)]
    if options.size_only:
        return _sizes_only(samples, protocol, options)
    return _figures(samples, load_model(options.model_path, use_cpu=options.use_cpu), protocol, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.compat.demo_dir",
        description="The original demo_dir.py.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-d", "--dir", nargs="+", type=Path, required=True, metavar="FOLDER", help="each with 0_real/ and 1_fake/")
    parser.add_argument("-m", "--model_path", default=DEFAULT_MODEL, metavar="FILE|NAME", help="default: %(default)s")
    parser.add_argument("-b", "--batch_size", type=int, default=32, metavar="N", help="of images of equal size; sizes may be mixed")
    parser.add_argument("-j", "--workers", type=int, default=4, metavar="N", help="threads that decode")
    parser.add_argument("-c", "--crop", type=int, default=None, metavar="PX", help="middle square; default: the whole image")
    parser.add_argument("--use_cpu", action="store_true")
    parser.add_argument("--size_only", action="store_true", help="sizes and counts, no network")
    parser.add_argument("--json", action="store_true", help="fractions, as one JSON document")
    return parser


def _figures(samples: Sequence[Sample], detector: Detector, protocol: Protocol, options: argparse.Namespace) -> int:
    logits = np.full(len(samples), np.nan)
    failures, sizes = [], Sizes()
    with bar(total=len(samples), desc="score", leave=True) as shown:
        images = _images(samples, sizes, protocol, workers=options.workers)
        for scored in score_stream(images, detector=detector, batch_size=options.batch_size, protocol=protocol):
            logits[scored.index] = scored.logit
            if scored.error is not None:
                failures.append(scored.error)
                say(f"failed: {scored.error}")
            shown.update()
    labels = np.array([sample.label for sample in samples])
    found = reference_figures(labels, logits)
    if options.json:
        counts = {"n_real": int((labels == 0).sum()), "n_fake": int((labels == 1).sum()), "failed": failures}
        print(json.dumps({**asdict(found), **counts}, indent=1, sort_keys=True))
    else:
        print("\n".join([f"Loading [{len(options.dir)}] datasets", sizes.line(), _counts(samples)]))
        print(
            f"AP: {100 * found.ap:.2f}%, Acc: {100 * found.accuracy:.2f}%, Acc (real): {100 * found.accuracy_real:.2f}%, "
            f"Acc (fake): {100 * found.accuracy_fake:.2f}%"
        )
    if failures:
        print(f"{len(failures)} of {counted(len(samples), 'image')} failed, counted as the worst of the class.", file=sys.stderr)
    return 1 if failures else 0


def _sizes_only(samples: Sequence[Sample], protocol: Protocol, options: argparse.Namespace) -> int:
    sizes = Sizes()
    for _ in _images(samples, sizes, protocol, workers=options.workers):
        pass
    print("\n".join([f"Loading [{len(options.dir)}] datasets", sizes.line(), _counts(samples)]))
    return 0 if len(sizes.pixels) == len(samples) else 1


def _images(samples: Sequence[Sample], sizes: Sizes, protocol: Protocol, *, workers: int) -> Iterator[np.ndarray | Path]:
    """Decoded images; a file that cannot be decoded passes as its path, so that whoever opens it says why."""

    def decode(sample: Sample) -> np.ndarray | Path:
        try:
            return to_rgb_array(sample.path)
        except ImageError:
            return sample.path

    for image in ahead(decode, samples, workers=workers):
        if isinstance(image, np.ndarray):
            side = protocol.crop_px
            sizes.pixels.append((side, side) if side is not None else image.shape[:2])
        yield image


def _counts(samples: Sequence[Sample]) -> str:
    fakes = sum(sample.label for sample in samples)
    return f"Num reals: {len(samples) - fakes}, Num fakes: {fakes}"


if __name__ == "__main__":
    sys.exit(main())
