"""The suite ``public`` is built by everyone who uses it, so that its pixels may differ in rounding from one processor to another."""

from __future__ import annotations

import re

import numpy as np

from cnndetect.bench.suites import PUBLIC, PUBLIC_VERSION

BUILT = f"{PUBLIC}@{PUBLIC_VERSION}"
_DIGEST = re.compile("[0-9a-f]{16}")
BUILT_ALIKE = "rows are of images that were built on different processors: pixels of fakes may differ by one level."


def lasting_clusters(test_set: str, paths: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Clusters [N] of a built suite, with an image's own name in place of the digest of its contents (``data.folders.clusters``).

    >>> lasting_clusters("dcgan", np.array(["1_fake/7.png"]), np.array(["0123456789abcdef"])).tolist()
    ['dcgan/1_fake/7.png']
    """
    pairs = zip(np.asarray(paths).tolist(), np.asarray(clusters).tolist(), strict=True)
    return np.array([f"{test_set}/{path}" if _DIGEST.fullmatch(cluster) else cluster for path, cluster in pairs])
