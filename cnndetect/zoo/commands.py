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

    photos = verbs.add_parser("photos", help="cut 128 px crops from photographs, in two halves by photograph")
    source = photos.add_mutually_exclusive_group(required=True)
    source.add_argument("--packages", metavar="DIR", help="Debian packages of free photographs, one folder each (dpkg-deb -x)")
    source.add_argument("--folder", metavar="DIR", help="photographs of your own, 256 px or more on the short side")
    photos.add_argument("--per-photo", type=int, default=None, metavar="N", help="N crops of every photograph; they overlap")
    photos.add_argument("--out", required=True, metavar="DIR")
    photos.set_defaults(run=_photos)

    train = verbs.add_parser("train", help="train one generator family; resumes")
    train.add_argument("family", metavar="FAMILY")
    train.add_argument("--photos", required=True, metavar="DIR")
    train.add_argument("--split", default=None, help="train, validation or test by file number; all files where not given")
    train.add_argument("--out", required=True, metavar="DIR")
    train.add_argument("--recipe", default="cpu", help="cpu (default) or gpu; cpu-tune, gpu-tune where the family has them")
    train.add_argument("--start", default=None, metavar="CHECKPOINT", help="begin with the networks of this checkpoint")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device", default="cpu")
    train.set_defaults(run=_train)

    sample = verbs.add_parser("sample", help="write an ordinary test set: 0_real.txt and 1_fake/")
    sample.add_argument("family", metavar="FAMILY")
    sample.add_argument("--weights", required=True, metavar="FILE")
    sample.add_argument("--photos", required=True, metavar="DIR", help="128 px photographs: the reals, and the inputs of translations")
    sample.add_argument("--count", type=int, default=None)
    sample.add_argument("--seed", type=int, default=3)
    sample.add_argument("--out", required=True, metavar="DIR")
    sample.set_defaults(run=_sample)

    training = verbs.add_parser("build-training", help="write a detector's training set from photographs and ProGANs")
    training.add_argument("--photos", required=True, metavar="DIR", help="one folder per category")
    training.add_argument("--generator", action="append", required=True, metavar="CATEGORY=FILE")
    training.add_argument("--per-category", type=int, default=None, metavar="N", help="photographs, mirror images, native crops: up to N")
    training.add_argument(
        "--native-crops", type=int, default=0, metavar="K", help="crops of each photograph at native size, JPEG grid and all; fakes alike"
    )
    training.add_argument("--out", required=True, metavar="DIR")
    training.set_defaults(run=_build_training)

    suite = verbs.add_parser("build-suite", help="write a suite: train what is missing, then reals and one test set per family")
    suite.add_argument("--photos", required=True, metavar="DIR", help="what the photos verb wrote: generators/ and suite/")
    suite.add_argument("--generator", action="append", default=[], metavar="FILE", help="use this one instead of training")
    suite.add_argument("--family", action="append", default=[], help="train this family; may be given again (default: the eleven)")
    suite.add_argument("--work", default=None, metavar="DIR", help="where generators are trained; OUT/../generators by default")
    suite.add_argument("--recipe", default="cpu")
    suite.add_argument("--device", default="cpu")
    suite.add_argument("--count", type=int, default=None, metavar="N", help="fakes per family; as many as reals by default")
    suite.add_argument("--attribution", default=None, metavar="FILE", help="attribution.json written by the photos verb")
    suite.add_argument("--out", required=True, metavar="DIR")
    suite.set_defaults(run=_build_suite)

    pack = verbs.add_parser("pack", help="write a generator with one byte per weight, half the size")
    pack.add_argument("weights", metavar="FILE")
    pack.add_argument("--out", required=True, metavar="FILE")
    pack.set_defaults(run=_pack)

    distance = verbs.add_parser("distance", help="Frechet distance of every test set of a suite to its reals, with a floor")
    distance.add_argument("suite", metavar="SUITE_DIR")
    distance.add_argument("--floor", default=None, metavar="DIR", help="other photographs: their distance to the reals is the floor")
    distance.set_defaults(run=_distance)

    sheet = verbs.add_parser("sheet", help="a contact sheet of a test set: reals above, fakes below")
    sheet.add_argument("test_set", metavar="TEST_SET_DIR")
    sheet.add_argument("--columns", type=int, default=8)
    sheet.add_argument("--out", required=True, metavar="FILE.jpg")
    sheet.set_defaults(run=_sheet)
    return main


def _pack(options: argparse.Namespace) -> object:
    from cnndetect.zoo.registry import pack

    return {"generator": str(pack(options.weights, options.out))}


def _distance(options: argparse.Namespace) -> object:
    from cnndetect.zoo.frechet import suite_distances

    return suite_distances(options.suite, floor=options.floor)


def _sheet(options: argparse.Namespace) -> object:
    from cnndetect.zoo.sheets import contact_sheet

    contact_sheet(options.test_set, columns=options.columns).save(options.out, quality=62)
    return {"sheet": options.out}


def _photos(options: argparse.Namespace) -> object:
    from cnndetect.zoo.photographs.free_photos import free_photos, own_photos, write_crops

    source = free_photos(options.packages) if options.packages else own_photos(options.folder)
    number = options.per_photo
    limits = {} if number is None else {"generators": number, "suite": number, "overlapping": True}
    records = write_crops(source, options.out, **limits)
    path = Path(options.out) / "attribution.json"
    path.write_text(json.dumps(records, indent=1, ensure_ascii=False), encoding="utf-8")
    return {"photographs of the suite": len(records), "attribution": str(path)}


def _train(options: argparse.Namespace) -> object:
    import torch

    from cnndetect.data.photos import load_photos, split_files
    from cnndetect.images import list_images, open_image
    from cnndetect.zoo.registry import train_family

    # Denormal numbers slow critics down five times on a CPU.
    torch.set_flush_denormal(True)
    if options.split:
        photos = load_photos(split_files(options.photos, options.split))
    else:
        photos = np.stack([np.asarray(open_image(file)) for file in list_images(options.photos)])
    path = train_family(
        options.family, photos, options.out,
        recipe=options.recipe, seed=options.seed, device=options.device, start=options.start,
    )  # fmt: skip
    return {"generator": str(path), "photographs": len(photos)}


def _sample(options: argparse.Namespace) -> object:
    from cnndetect.errors import ProtocolError
    from cnndetect.zoo.build import build_test_set
    from cnndetect.zoo.registry import load_generator

    generator = load_generator(options.weights)
    if generator.family.name != options.family:
        raise ProtocolError(f"{options.weights} is a {generator.family.name} generator, not {options.family}. Name the right family.")
    count = build_test_set(generator, Path(options.photos), Path(options.out), count=options.count, seed=options.seed)
    return {"fakes": count, "folder": options.out}


def _build_training(options: argparse.Namespace) -> object:
    from cnndetect.zoo.build import build_training_set

    generators = dict(pair.split("=", 1) for pair in options.generator)
    return build_training_set(options.photos, generators, options.out, per_category=options.per_category, native_crops=options.native_crops)


def _build_suite(options: argparse.Namespace) -> object:
    from cnndetect.zoo.build import build_suite, train_missing
    from cnndetect.zoo.registry import ELEVEN

    photos, generators = Path(options.photos), list(options.generator)
    if not generators or options.family:
        work = Path(options.work) if options.work else Path(options.out).parent / "generators"
        families = options.family or ELEVEN
        generators += train_missing(photos / "generators", work, families, recipe=options.recipe, device=options.device)
    reals = photos / "suite" if (photos / "suite").is_dir() else photos
    return build_suite(reals, generators, options.out, count=options.count, attribution=options.attribution, device=options.device)
