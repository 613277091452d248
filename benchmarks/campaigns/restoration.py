"""Print how near SAN and SITD come to a photograph, and how near simple rules come: mean PSNR in dB.

python benchmarks/campaigns/restoration.py free/suite weights/zoo/san.pt weights/zoo/sitd.pt

A crop of 128 px is reduced by four (SAN) or exposed as a dark raw (SITD), then restored by the network and by the rule: bicubic
magnification; bilinear demosaicing of the amplified raw and gamma 2.2. Differences are paired; the error is that over crops.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tabulate import tabulate
from torch import Tensor

from cnndetect.images import list_images, open_image
from cnndetect.progress import bar
from cnndetect.zoo.families import san, sitd
from cnndetect.zoo.loop import generator_for
from cnndetect.zoo.registry import Generator, load_generator


def main(photos: Path, weights: Sequence[Path]) -> None:
    """One row for every generator."""
    files, rows = list_images(photos), []
    for generator in map(load_generator, weights):
        found = []
        for place, file in enumerate(bar(files, desc=generator.family.name, unit="crop")):
            photo = torch.from_numpy(np.asarray(open_image(file).convert("RGB")) / np.float32(255)).permute(2, 0, 1)[None]
            restored = generator.family.module.translate(generator.network, photo, generator.config, generator_for(0, place))
            found.append((psnr(restored, photo), psnr(simple(generator, photo, generator_for(0, place)), photo)))
        by_network, by_rule = np.array(found).T
        difference = by_network - by_rule
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        rows.append([generator.family.name, len(files), by_network.mean(), by_rule.mean(), f"{difference.mean():+.2f} +- {error:.2f}"])
    print(tabulate(rows, ["family", "crops", "network", "simple rule", "difference"], tablefmt="github", floatfmt=".2f"))


def simple(generator: Generator, photo: Tensor, rng: torch.Generator) -> Tensor:
    """What the rule of the family makes of a photograph [1, 3, H, W] in [0, 1]; ``rng`` draws the same exposure as for the network."""
    if generator.family.module is san:
        return F.interpolate(san.reduce_four(photo), scale_factor=san.SCALE, mode="bicubic").clamp(0, 1)
    if generator.family.module is sitd:
        return developed(sitd.expose(photo, generator.config, rng))
    sys.exit(f"No simple rule restores what {generator.family.name} restores. Expected san or sitd.")


def developed(raw: Tensor) -> Tensor:
    """Bilinear demosaicing of packed raw (red, green, green, blue) [N, 4, H, W], then gamma: [N, 3, 2H, 2W] in [0, 1].

    >>> developed(torch.full((1, 4, 2, 2), 0.25)).mean().item() == 0.25 ** (1 / 2.2)
    True
    """
    near = torch.tensor([0.5, 1.0, 0.5])
    weights = near[:, None] * near
    channels = []
    for planes in ((0,), (1, 2), (3,)):
        sparse, known = (torch.zeros(len(raw), 1, 2 * raw.shape[2], 2 * raw.shape[3]) for _ in range(2))
        for plane in planes:
            row, column = divmod(plane, 2)
            sparse[:, 0, row::2, column::2], known[:, 0, row::2, column::2] = raw[:, plane], 1
        spread = [F.conv2d(one, weights[None, None], padding=1) for one in (sparse, known)]
        channels.append(spread[0] / spread[1])
    return torch.cat(channels, dim=1).clamp(0, 1) ** (1 / 2.2)


def psnr(image: Tensor, target: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of images in [0, 1].

    >>> round(psnr(torch.zeros(2), torch.full((2,), 0.1)), 3)
    20.0
    """
    return float(-10 * torch.log10((image - target).square().mean()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
