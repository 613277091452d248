"""``cnndetect zoo``: small generators, and the test sets and training sets that they make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cnndetect.cli import options as shared
from cnndetect.cli.groups import Verbs
from cnndetect.cli.resynthesis import driven_options, train_driven
from cnndetect.errors import ProtocolError, lookup

_HERE = "cnndetect.cli.zoo"
zoo = Verbs(
    "zoo",
    {
        "photos": (f"{_HERE}:cut", "cut 128 px crops from photographs, to train on and to show"),
        "train": (f"{_HERE}:train", "train one generator family, from noise or driven by photographs; resumes"),
        "sample": (f"{_HERE}:sample", "write an ordinary test set: 0_real.txt and 1_fake/"),
        "resynthesise": ("cnndetect.cli.resynthesis:resynthesise", "paint photographs again with a trained decoder"),
        "build-pairs": ("cnndetect.cli.resynthesis:build_pairs", "write photographs and their resyntheses to train a detector on"),
        "build-training": (f"{_HERE}:build_training", "write a detector's training set from photographs and ProGANs"),
        "build-suite": (f"{_HERE}:build_suite", "write a suite: train what is missing, then one test set per family"),
        "pack": (f"{_HERE}:pack", "write a generator with one byte per weight, half the size"),
        "distance": (f"{_HERE}:distance", "Frechet distance of every test set of a suite to its reals, with a floor"),
        "public": ("cnndetect.cli.public:public", "build the suite public with generators that others trained"),
        "sheet": (f"{_HERE}:sheet", "a contact sheet of a test set: reals above, fakes below"),
    },
    help="Train small generators on photographs and build test sets with them.",
    epilog="""\b
examples:
  cnndetect zoo photos --packages unpacked --out free
  cnndetect zoo train san --photos free/generators --out runs/san
  cnndetect zoo sample san --weights runs/san/generator.pt --photos free/suite --out my-test-set""",
)

_photos = shared.photos("128 px photographs, as the photos verb writes them")
_out = shared.out("where it is written", required=True)
_recipe = click.option("--recipe", default="cpu", help="cpu or gpu; cpu-tune, gpu-tune where the family has them (default: cpu)")
_count = click.option("--count", type=shared.Count(), help="fakes of a family (default: as many as reals)")
_device = click.option("--device", default="cpu", metavar="NAME", help="cpu, cuda or cuda:N (default: cpu)")


def _print(answer: object) -> None:
    click.echo(json.dumps(answer, indent=1))


@click.command()
@click.option("--packages", type=shared.FILE, metavar="DIR", help="Debian packages of free photographs, one folder each (dpkg-deb -x)")
@shared.photos("photographs of your own, 256 px or more on the short side", old="--folder", required=False)
@click.option("--per-photo", type=shared.Count(), help="N crops of every photograph; they overlap")
@_out
def cut(packages: Path | None, photos: Path | None, per_photo: int | None, out: Path) -> None:
    """Cut 128 px crops from photographs: generators/ to train on, suite/ to show; no photograph lies in both.

    Of packages there is decoders/ too: photographs that only decoders driven by photographs may paint.
    """
    from cnndetect.files import write_whole
    from cnndetect.zoo.photographs.free_photos import free_photos, own_photos, write_crops

    if (packages is None) is (photos is None):
        raise ProtocolError(f"Got --packages {packages} and --photos {photos}. Expected one of them.")
    source = free_photos(packages) if packages else own_photos(str(photos))
    limits: dict[str, Any] = {} if per_photo is None else {"generators": per_photo, "suite": per_photo, "overlapping": True}
    records = write_crops(source, out, **limits)
    path = out / "attribution.json"
    write_whole(path, json.dumps(records, indent=1, ensure_ascii=False))
    _print({"photographs of the suite": len(records), "attribution": str(path)})


@click.command()
@click.argument("family")
@_photos
@click.option("--split", metavar="NAME", help="train, validation or test by file number (default: all files)")
@_out
@_recipe
@click.option("--start", type=shared.FILE, metavar="CHECKPOINT", help="begin with the networks of this checkpoint")
@shared.seed
@_device
@driven_options
def train(
    family: str, photos: Path, split: str | None, out: Path, recipe: str, start: Path | None, seed: int, device: str, source: str,
    **settings: Any,
) -> None:  # fmt: skip
    """Train the generator FAMILY on photographs; the same command resumes.

    With --from photographs an encoder drives its decoder, and both learn to give photographs of 256 px back.
    """
    if source == "photographs":
        _print(train_driven(family, photos, split, out, seed=seed, device=device, start=start, settings=settings))
        return
    given = [name for name, value in settings.items() if value is not None]
    if given:
        raise ProtocolError(f"--{given[0].replace('_', '-')} counts for decoders driven by photographs. Add --from photographs.")
    import numpy as np
    import torch

    from cnndetect.data.photos import load_photos, split_files
    from cnndetect.images import list_images, open_image
    from cnndetect.zoo.registry import FAMILIES, train_family

    lookup("family", FAMILIES, family)  # before photographs are read

    # Denormal numbers slow critics down five times on a CPU.
    torch.set_flush_denormal(True)
    if split:
        pixels = load_photos(split_files(photos, split))
    else:
        pixels = np.stack([np.asarray(open_image(file)) for file in _images(list_images(photos), photos)])
    path = train_family(family, pixels, out, recipe=recipe, seed=seed, device=device, start=start)
    _print({"generator": str(path), "photographs": len(pixels)})


def _images(files: list[Path], folder: Path) -> list[Path]:
    from cnndetect.errors import LayoutError

    if not files:
        raise LayoutError(f"{folder} holds no images. Expected 128 px photographs; make them with: cnndetect zoo photos")
    return files


@click.command()
@click.argument("family")
@click.option("--weights", type=shared.FILE, required=True, metavar="FILE")
@_photos
@_count
@click.option("--seed", type=shared.Count(0), default=3, help="of the generator's noise (default: 3)")
@_out
def sample(family: str, weights: Path, photos: Path, count: int | None, seed: int, out: Path) -> None:
    """Write a test set of the generator FAMILY: 0_real.txt and 1_fake/."""
    from cnndetect.images import list_images
    from cnndetect.zoo.build import build_test_set
    from cnndetect.zoo.makers import Made
    from cnndetect.zoo.registry import load_generator

    generator = load_generator(weights)
    if generator.family.name != family:
        raise ProtocolError(f"{weights} is a {generator.family.name} generator, not {family}. Name the right family.")
    _print({"fakes": build_test_set(Made(generator), list_images(photos), out, count=count, seed=seed), "folder": str(out)})


@click.command()
@shared.photos("one folder per category")
@click.option("--generator", "generators", multiple=True, required=True, metavar="CATEGORY=FILE", help="repeatable")
@click.option("--per-category", type=shared.Count(), help="photographs, mirror images, native crops: up to N")
@click.option("--native-crops", type=shared.Count(0), default=0, help="of each photograph at native size, JPEG grid and all; fakes alike")
@_out
def build_training(photos: Path, generators: tuple[str, ...], per_category: int | None, native_crops: int, out: Path) -> None:
    """Write a detector's training set from photographs and ProGANs."""
    from cnndetect.zoo.build import build_training_set

    wrong = [pair for pair in generators if "=" not in pair]
    if wrong:
        raise ProtocolError(f"--generator got {wrong[0]!r}. Expected CATEGORY=FILE.")
    pairs = dict(pair.split("=", 1) for pair in generators)
    _print(build_training_set(str(photos), pairs, str(out), per_category=per_category, native_crops=native_crops))


@click.command()
@_photos
@click.option("--generator", "generators", multiple=True, metavar="FILE", help="use this one instead of training; repeatable")
@click.option(
    "--resynthesiser", "resynthesisers", multiple=True, metavar="FILE", help="a decoder that paints photographs again; repeatable"
)
@click.option("--family", "families", multiple=True, metavar="NAME", help="train this family; repeatable (default: the eleven)")
@click.option("--work", type=shared.FILE, metavar="DIR", help="where generators are trained (default: OUT/../generators)")
@_recipe
@_device
@_count
@click.option("--attribution", metavar="FILE", help="attribution.json written by the photos verb")
@_out
def build_suite(
    photos: Path, generators: tuple[str, ...], resynthesisers: tuple[str, ...], families: tuple[str, ...],
    work: Path | None, recipe: str, device: str, count: int | None,
    attribution: str | None, out: Path,
) -> None:  # fmt: skip
    """Write a suite: train what is missing, then reals and one test set per family.

    A family has as many reals as fakes, COUNT each, of as many photographs as there are. Several resynthesisers of one family take turns.
    """
    from cnndetect.zoo.build import build_suite as build
    from cnndetect.zoo.build import train_missing
    from cnndetect.zoo.registry import ELEVEN

    made: list[str | Path] = list(generators)
    if not (made or resynthesisers) or families:
        wanted = families or ELEVEN
        made += train_missing(photos / "generators", work or out.parent / "generators", wanted, recipe=recipe, device=device)
    _print(build(photos, made, out, resynthesisers=resynthesisers, count=count, attribution=attribution, device=device))


@click.command()
@click.argument("weights")
@shared.out("where it is written", required=True, metavar="FILE")
def pack(weights: str, out: Path) -> None:
    """Write the generator WEIGHTS with one byte per weight."""
    from cnndetect.zoo.registry import pack as write

    _print({"generator": str(write(weights, out))})


@click.command()
@click.argument("suite", metavar="FOLDER")
@click.option("--floor", metavar="DIR", help="other photographs: their distance to the reals is the floor")
def distance(suite: str, floor: str | None) -> None:
    """Print the Frechet distance of every test set of a suite to its reals."""
    from cnndetect.zoo.frechet import suite_distances

    _print(suite_distances(suite, floor=floor))


@click.command()
@click.argument("suite", metavar="FOLDER")
@click.option("--columns", type=shared.Count(), default=8, help="default: 8")
@shared.out("a folder takes one sheet of every test set of a suite", required=True, metavar="FILE.jpg|DIR")
def sheet(suite: str, columns: int, out: Path) -> None:
    """Draw a contact sheet of a test set, or of every one of a suite (a folder, or a name such as mini): reals above, fakes below."""
    from cnndetect.bench.suites import find_suites
    from cnndetect.zoo.sheets import contact_sheet, save_compact

    sheets = {out: Path(suite)} if out.suffix else {out / f"{one.name}.jpg": one.root for found in find_suites(suite) for one in found.sets}
    for path, root in sheets.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_compact(contact_sheet(root, columns=columns), path, quality=62)
    _print({"sheets": [str(path) for path in sheets]})
