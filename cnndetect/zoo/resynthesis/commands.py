"""The verbs of the zoo that paint photographs again: options in, one call each."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_driven_options(train: argparse.ArgumentParser) -> None:
    """What ``train FAMILY --from photographs`` takes beside the options of every training."""
    group = train.add_argument_group("decoders that paint photographs again (--from photographs)")
    group.add_argument(
        "--from", dest="source", choices=("noise", "photographs"), default="noise", help="what drives the generator (default: noise)"
    )
    group.add_argument("--start-px", type=int, default=32, help="size of the decoder's first map of 128 px: 8, 16, 32 or 64")
    group.add_argument("--width", type=int, default=16, help="feature maps at full size")
    group.add_argument("--slope", type=float, default=0.2, help="of leaky ReLU")
    group.add_argument("--first-kernel", type=int, default=3, metavar="PX")
    group.add_argument("--fade", type=float, default=1.0, help="weight of the last level against the one below; 1: fully grown")
    group.add_argument("--noise", type=float, default=0.0, help="standard deviation added to the encoder's maps")
    group.add_argument("--steps", type=int, default=900)
    group.add_argument("--energy", type=float, default=1.0, help="weight of the local contrast")
    group.add_argument("--adversarial", type=float, default=0.02, help="weight of the patch critic")
    group.add_argument("--categories", default="", metavar="A,B", help="folders of photographs to learn from (default: all)")
    group.add_argument("--cache", default=None, metavar="DIR", help="keep the decoded photographs there; several trainings share them")


def train_driven(options: argparse.Namespace) -> dict[str, object]:
    """Train one decoder on photographs and write its weights and record."""
    import torch

    from cnndetect.zoo.loop import Job
    from cnndetect.zoo.resynthesis.config import DrivenConfig
    from cnndetect.zoo.resynthesis.crops import Photographs, files_of
    from cnndetect.zoo.resynthesis.painter import load_painter, write_record
    from cnndetect.zoo.resynthesis.training import train

    torch.set_flush_denormal(True)
    categories = tuple(name for name in options.categories.split(",") if name)
    config = DrivenConfig(
        options.family, start_px=options.start_px, width=options.width, seed=options.seed, steps=options.steps, slope=options.slope,
        first_kernel=options.first_kernel, fade=options.fade, noise=options.noise, energy=options.energy, adversarial=options.adversarial,
        categories=categories,
    )  # fmt: skip
    files = files_of(options.photos, options.split or "train", categories)
    job = Job(Path(options.out), device=options.device, log_steps=50, checkpoint_seconds=60)
    path = train(Photographs(files, options.cache), config, job)
    write_record(load_painter(path), Path(options.out) / "record.json", photographs=len(files))
    return {"weights": str(path), "photographs": len(files)}


def add_verbs(verbs: argparse._SubParsersAction) -> None:
    """``resynthesise`` and ``build-pairs``."""
    again = verbs.add_parser("resynthesise", help="paint photographs again with a trained decoder")
    again.add_argument("family", metavar="FAMILY")
    again.add_argument("--weights", required=True, metavar="FILE")
    again.add_argument("--photos", required=True, metavar="DIR")
    again.add_argument("--out", required=True, metavar="DIR")
    again.set_defaults(run=_resynthesise)

    pairs = verbs.add_parser("build-pairs", help="write photographs and their resyntheses for the training of a detector; resumes")
    pairs.add_argument("--weights", required=True, metavar="FILE")
    pairs.add_argument("--name", required=True, help="folder of this decoder, such as progan_d4_w16")
    pairs.add_argument("--photos", required=True, metavar="DIR", help="folders of categories, 256 px")
    pairs.add_argument("--split", required=True, choices=("train", "val"))
    pairs.add_argument("--share", type=float, default=1.0, help="of the photographs; a larger share holds the smaller one")
    pairs.add_argument("--out", required=True, metavar="DIR")
    pairs.set_defaults(run=_pairs)


def _resynthesise(options: argparse.Namespace) -> object:
    import numpy as np
    from PIL import Image

    from cnndetect.errors import ProtocolError
    from cnndetect.images import list_images, open_image
    from cnndetect.zoo.photographs.free_photos import encode_png
    from cnndetect.zoo.resynthesis.painter import load_painter, write_record

    painter = load_painter(options.weights)
    if painter.config.family != options.family:
        raise ProtocolError(f"{options.weights} is a {painter.config.family} decoder, not {options.family}. Name the right family.")
    root, out = Path(options.photos), Path(options.out)
    files = list_images(root)
    for file in files:
        path = (out / file.relative_to(root)).with_suffix(".png")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            painted = painter.paint(np.asarray(open_image(file))[None], [file.stem])[0]
            path.write_bytes(encode_png(Image.fromarray(painted)))
    write_record(painter, out / "record.json")
    return {"images": len(files), "folder": str(out)}


def _pairs(options: argparse.Namespace) -> object:
    import torch

    from cnndetect.zoo.resynthesis.painter import load_painter
    from cnndetect.zoo.resynthesis.pairs import build_pairs

    torch.set_flush_denormal(True)
    painter = load_painter(options.weights)
    count = build_pairs(options.photos, painter, options.name, options.out, split=options.split, share=options.share)
    return {"pairs": count, "folder": str(Path(options.out) / options.split / options.name)}
