"""The verbs of ``python -m cnndetect.zoo``: parsed arguments in, one call each."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

EXAMPLES = """examples:
  python -m cnndetect.zoo photos --packages unpacked --out free
  python -m cnndetect.zoo train san --photos free/generators --out runs/san
  python -m cnndetect.zoo sample san --weights runs/san/generator.pt --photos free/suite --out my-test-set
"""


def parser() -> argparse.ArgumentParser:
    """The command line, one sub-command per verb."""
    main = argparse.ArgumentParser(
        prog="python -m cnndetect.zoo",
        description="Train small generators on photographs and build test sets with them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = main.add_subparsers(required=True, metavar="VERB")

    photos = verbs.add_parser("photos", help="cut 128 px crops from unpacked Debian packages of free photographs")
    photos.add_argument("--packages", required=True, metavar="DIR", help="one folder per package, made with dpkg-deb -x")
    photos.add_argument("--out", required=True, metavar="DIR")
    photos.set_defaults(run=_photos)

    train = verbs.add_parser("train", help="train one generator family; resumes")
    train.add_argument("family", metavar="FAMILY")
    train.add_argument("--photos", required=True, metavar="DIR")
    train.add_argument("--split", default=None, help="train, validation or test by file number; all files where not given")
    train.add_argument("--out", required=True, metavar="DIR")
    train.add_argument("--recipe", default="cpu", choices=("cpu", "gpu"))
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device", default="cpu")
    train.set_defaults(run=_train)

    sample = verbs.add_parser("sample", help="write an ordinary test set: 0_real.txt and 1_fake/")
    sample.add_argument("family", metavar="FAMILY")
    sample.add_argument("--weights", required=True, metavar="FILE")
    sample.add_argument(
        "--photos", required=True, metavar="DIR", help="128 px photographs: the reals, and the inputs of translations"
    )
    sample.add_argument("--count", type=int, default=None)
    sample.add_argument("--seed", type=int, default=3)
    sample.add_argument("--out", required=True, metavar="DIR")
    sample.set_defaults(run=_sample)

    training = verbs.add_parser("build-training", help="write a detector's training set from photographs and ProGANs")
    training.add_argument("--photos", required=True, metavar="DIR", help="one folder per category")
    training.add_argument("--generator", action="append", required=True, metavar="CATEGORY=FILE")
    training.add_argument("--out", required=True, metavar="DIR")
    training.set_defaults(run=_build_training)

    suite = verbs.add_parser("build-suite", help="write a suite: shared reals and one test set per generator")
    suite.add_argument("--photos", required=True, metavar="DIR", help="128 px photographs that no generator has seen")
    suite.add_argument("--generator", action="append", required=True, metavar="FILE")
    suite.add_argument("--attribution", default=None, metavar="FILE", help="attribution.json written by the photos verb")
    suite.add_argument("--out", required=True, metavar="DIR")
    suite.set_defaults(run=_build_suite)
    return main


def _photos(options: argparse.Namespace) -> object:
    from cnndetect.data.free_photos import write_crops

    records = write_crops(options.packages, options.out)
    path = Path(options.out) / "attribution.json"
    path.write_text(json.dumps(records, indent=1, ensure_ascii=False), encoding="utf-8")
    return {"photographs of the suite": len(records), "attribution": str(path)}


def _train(options: argparse.Namespace) -> object:
    import torch

    from cnndetect.data.photos import load_photos, split_files
    from cnndetect.images import list_images, open_image
    from cnndetect.zoo.families import train_family

    # Denormal numbers slow critics down five times on a CPU.
    torch.set_flush_denormal(True)
    if options.split:
        photos = load_photos(split_files(options.photos, options.split))
    else:
        photos = np.stack([np.asarray(open_image(file)) for file in list_images(options.photos)])
    path = train_family(options.family, photos, options.out, recipe=options.recipe, seed=options.seed, device=options.device)
    return {"generator": str(path), "photographs": len(photos)}


def _sample(options: argparse.Namespace) -> object:
    from cnndetect.errors import ProtocolError
    from cnndetect.zoo.build import build_test_set
    from cnndetect.zoo.families import load_generator

    generator = load_generator(options.weights)
    if generator.family.name != options.family:
        raise ProtocolError(
            f"{options.weights} is a {generator.family.name} generator, not {options.family}. Name the right family."
        )
    count = build_test_set(generator, Path(options.photos), Path(options.out), count=options.count, seed=options.seed)
    return {"fakes": count, "folder": options.out}


def _build_training(options: argparse.Namespace) -> object:
    from cnndetect.zoo.build import build_training_set

    return build_training_set(options.photos, dict(pair.split("=", 1) for pair in options.generator), options.out)


def _build_suite(options: argparse.Namespace) -> object:
    from cnndetect.zoo.build import build_suite

    return build_suite(options.photos, options.generator, options.out, attribution=options.attribution)
