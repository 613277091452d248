"""Print how sharp the region is that Deepfake replaced, beside the same region of its photograph.

python benchmarks/campaigns/region_sharpness.py benchmarks/mini

Sharpness: deviation of grey less its Gaussian blur (sigma 1 px) over the places that differ, without the 4 px next to their border, where
the region is blended. Printed: images whose region is large enough, the median of fake over photograph, and the share above 0.7.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

from cnndetect.data.folders import FAKE, scan
from cnndetect.images import open_image

LEAST_PIXELS = 200


def main(suite: Path) -> None:
    """One line."""
    samples = scan(suite / "deepfake")
    photographs = {sample.path.name: sample.path for sample in samples if sample.label == 0}
    fakes = [sample.path for sample in samples if sample.label == 1]
    found = [one for path in fakes if (one := ratio(grey(path), grey(photographs[path.name]))) is not None]
    print(f"{len(found)} of {len(fakes)} {FAKE}: median {np.median(found):.2f}, above 0.7: {np.mean(np.array(found) > 0.7):.0%}")


def ratio(fake: np.ndarray, photograph: np.ndarray) -> float | None:
    """Sharpness of the replaced region of ``fake`` over that of ``photograph``, both [H, W]; None where too little of it is left."""
    region = ndimage.binary_erosion(ndimage.binary_closing(fake != photograph, iterations=3), iterations=4)
    if region.sum() < LEAST_PIXELS:
        return None
    sharp, of_photograph = ((image - ndimage.gaussian_filter(image, 1))[region].std() for image in (fake, photograph))
    return float(sharp / of_photograph)


def grey(path: Path) -> np.ndarray:
    """[H, W] float64 of an image file."""
    return np.asarray(open_image(path).convert("L"), dtype=np.float64)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
