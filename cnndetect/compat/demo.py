"""``python -m cnndetect.compat.demo -f IMAGE`` prints the line of the original demo.py for one image."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cnndetect.cli.guard import DONE, answered
from cnndetect.compat.reference import DEFAULT_MODEL, crop_protocol, load_model
from cnndetect.errors import ImageError
from cnndetect.scoring import score_stream

EXAMPLES = """The figure is not calibrated: it orders images and is not the probability of being fake.

examples:
  python -m cnndetect.compat.demo -f photo.png
  python -m cnndetect.compat.demo -f photo.png -m weights/blur_jpg_prob0.1.pth -c 224
  python -m cnndetect.compat.demo -f photo.png -m progan8-r50-bj01 --use_cpu
"""


def main(arguments: list[str] | None = None) -> int:
    """Score one image; the exit codes are those of cli/guard.py."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.compat.demo",
        description="The original demo.py.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-f", "--file", type=Path, required=True, metavar="IMAGE")
    parser.add_argument("-m", "--model_path", default=DEFAULT_MODEL, metavar="FILE|NAME", help="default: %(default)s")
    parser.add_argument("-c", "--crop", type=int, default=None, metavar="PX", help="middle square; default: the whole image")
    parser.add_argument("--use_cpu", action="store_true")
    options = parser.parse_args(arguments)
    return answered(lambda: _score(options), parser.prog)


def _score(options: argparse.Namespace) -> int:
    protocol = crop_protocol(options.crop)
    detector = load_model(options.model_path, use_cpu=options.use_cpu)
    (scored,) = score_stream([options.file], detector=detector, protocol=protocol)
    if scored.error is not None:
        raise ImageError(scored.error)
    print(f"probability of being synthetic: {100 * scored.fakeness:.2f}%")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
