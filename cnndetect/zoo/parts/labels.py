"""Label maps for photographs without annotations: regions of a watershed, classed by colour and texture.

A watershed of the colour gradient cuts a photograph into some hundred regions, more where it is textured, whose borders follow those of objects.
A region is described by its mean colour, its local contrast and, weakly, its height in the image; k-means over the training photographs
gives the classes. They follow sky, foliage, walls and shadow, not named objects. The borders of regions are kept as a plane of their own,
as the maps of instances are in the layouts of GauGAN and pix2pixHD.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from sklearn.cluster import KMeans, MiniBatchKMeans
from torch import Tensor

CLASSES = 32
LAYOUT = CLASSES + 1  # planes of a layout: one per class, one of borders
_BORDER = 128  # added to the class of a pixel at the border of its region
_GRADIENT_PX = 1.0  # width of the Gaussian derivative
_FLAT = 0.012  # gradient below which a surface is even, in grey levels of [0, 1] per pixel
_MINIMA_PX = 7  # a region grows from a pixel whose gradient is least in a square of this side
_SIGMA_PX = 2.0  # of the local contrast
_PIXELS_PER_PHOTO = 200


def fit_centres(photos: Tensor, *, classes: int = CLASSES, seed: int = 0) -> Tensor:
    """Cluster centres [classes, 5] of photographs [N, 3, H, W] uint8."""
    rng = np.random.default_rng(seed)
    rows = []
    for photo in photos:
        regions, described = _regions(photo)
        drawn = rng.integers(regions.size, size=_PIXELS_PER_PHOTO)  # a large region is drawn more often
        rows.append(described[regions.ravel()[drawn]])
    means = MiniBatchKMeans(classes, random_state=seed, n_init=3, batch_size=4096).fit(np.concatenate(rows))
    return torch.from_numpy(means.cluster_centers_.astype(np.float32))


def label_maps(photos: Tensor, centres: Tensor) -> Tensor:
    """Class of every pixel, plus 128 at borders of regions: [N, 3, H, W] uint8 -> [N, H, W] uint8."""
    maps = []
    for photo in photos:
        regions, described = _regions(photo)
        nearest = torch.cdist(torch.from_numpy(described), centres).argmin(dim=1).numpy()  # [regions]
        maps.append(torch.from_numpy((nearest[regions] + _BORDER * _borders(regions)).astype(np.uint8)))
    return torch.stack(maps)


def one_hot(maps: Tensor, classes: int = CLASSES) -> Tensor:
    """A plane per class and one of borders: [N, H, W] uint8 -> [N, classes + 1, H, W] float.

    >>> one_hot(torch.tensor([[[1, 128]]], dtype=torch.uint8), classes=2).squeeze().tolist()
    [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    """
    planes = torch.nn.functional.one_hot((maps % _BORDER).long(), classes).permute(0, 3, 1, 2)
    return torch.cat([planes, (maps >= _BORDER)[:, None]], dim=1).float()


def _regions(photo: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Region of every pixel [H, W], from 0, and the description of every region [regions, 5]."""
    image = photo.numpy().astype(np.float32) / 255
    slopes = np.stack([ndimage.gaussian_gradient_magnitude(channel, _GRADIENT_PX) for channel in image]).max(axis=0)
    # A surface without steeper changes than this, such as sky, is one plateau and one seed.
    steep = np.rint(np.clip(4 * (slopes - _FLAT), 0, 1) * 65535).astype(np.uint16)
    seeds, _ = ndimage.label(steep == ndimage.minimum_filter(steep, _MINIMA_PX))
    regions = ndimage.watershed_ift(steep, seeds.astype(np.int32)) - 1
    count = int(regions.max()) + 1
    sizes = np.bincount(regions.ravel(), minlength=count)
    described = [np.bincount(regions.ravel(), plane.ravel(), count) / np.maximum(sizes, 1) for plane in _describe(image)]
    return regions, np.stack(described, axis=1).astype(np.float32)


def _describe(image: np.ndarray) -> np.ndarray:
    """Colour, local contrast and height of every pixel: [3, H, W] -> [5, H, W]."""
    grey = image.mean(axis=0)
    variance = ndimage.gaussian_filter(grey**2, _SIGMA_PX) - ndimage.gaussian_filter(grey, _SIGMA_PX) ** 2
    height = np.broadcast_to(np.linspace(0, 0.3, grey.shape[0], dtype=np.float32)[:, None], grey.shape)
    return np.stack([*image, 3 * np.sqrt(np.maximum(variance, 0)), height])


def _borders(regions: np.ndarray) -> np.ndarray:
    """Pixels whose neighbour to the right or below is of another region: [H, W] bool."""
    borders = np.zeros(regions.shape, bool)
    borders[:-1] |= regions[1:] != regions[:-1]
    borders[:, :-1] |= regions[:, 1:] != regions[:, :-1]
    return borders


def group_by_appearance(photos: Tensor, groups: int, *, seed: int = 0) -> Tensor:
    """A class per photograph, by k-means of its colours and contrast: [N, 3, H, W] uint8 -> [N] int64."""
    rows = photos.float().flatten(2)  # [N, 3, H*W]
    described = torch.cat([rows.mean(dim=2), rows.std(dim=2)], dim=1).numpy()
    return torch.from_numpy(KMeans(groups, random_state=seed, n_init=3).fit_predict(described)).long()


def warmth(photos: Tensor) -> Tensor:
    """Mean red minus mean blue, [N, 3, H, W] of any range -> [N]. Splits photographs into domains that nobody annotated.

    >>> warmth(torch.tensor([[[[9.0]], [[5.0]], [[2.0]]]]))
    tensor([7.])
    """
    means = photos.float().mean(dim=(2, 3))
    return means[:, 0] - means[:, 2]


def warmth_borders(photos: Tensor, domains: int) -> Tensor:
    """Borders in [-1, 1] that cut photographs, uint8, into ``domains`` equal groups from cold to warm: [domains - 1]."""
    shares = torch.arange(1, domains) / domains
    return torch.quantile(warmth(photos) / 255, shares)
