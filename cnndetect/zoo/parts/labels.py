"""Label maps for photographs without annotations: clusters of colour and texture.

A pixel is described by its blurred colour, its local contrast and, weakly, its height in the image; k-means over
the training photographs gives the classes. They follow sky, foliage, walls and shadow, not named objects.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.cluster import KMeans, MiniBatchKMeans
from torch import Tensor

CLASSES = 16
_SIGMA_PX = 2.0
_PIXELS_PER_PHOTO = 200


def fit_centres(photos: Tensor, *, classes: int = CLASSES, seed: int = 0) -> Tensor:
    """Cluster centres [classes, 5] of photographs [N, 3, H, W] uint8."""
    rng = np.random.default_rng(seed)
    rows = []
    for photo in photos:
        described = _describe(photo)  # [H*W, 5]
        rows.append(described[rng.integers(len(described), size=_PIXELS_PER_PHOTO)])
    means = MiniBatchKMeans(classes, random_state=seed, n_init=3, batch_size=4096).fit(np.concatenate(rows))
    return torch.from_numpy(means.cluster_centers_.astype(np.float32))


def label_maps(photos: Tensor, centres: Tensor) -> Tensor:
    """Class of every pixel: [N, 3, H, W] uint8 -> [N, H, W] uint8."""
    maps = []
    for photo in photos:
        distance = torch.cdist(torch.from_numpy(_describe(photo)), centres)  # [H*W, classes]
        maps.append(distance.argmin(dim=1).view(photo.shape[1:]).to(torch.uint8))
    return torch.stack(maps)


def one_hot(maps: Tensor, classes: int = CLASSES) -> Tensor:
    """[N, H, W] uint8 -> [N, classes, H, W] float."""
    return torch.nn.functional.one_hot(maps.long(), classes).permute(0, 3, 1, 2).float()


def _describe(photo: Tensor) -> np.ndarray:
    image = photo.numpy().astype(np.float32) / 255
    colour = np.stack([gaussian_filter(channel, _SIGMA_PX) for channel in image])
    grey = image.mean(axis=0)
    contrast = np.sqrt(np.maximum(gaussian_filter(grey**2, _SIGMA_PX) - gaussian_filter(grey, _SIGMA_PX) ** 2, 0))
    height = np.broadcast_to(np.linspace(0, 0.3, grey.shape[0], dtype=np.float32)[:, None], grey.shape)
    return np.stack([*colour, 3 * contrast, height]).reshape(5, -1).T.astype(np.float32)


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
