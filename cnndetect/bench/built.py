"""The suite ``public`` is built by everyone who uses it, so that its pixels may differ in rounding from one processor to another."""

from __future__ import annotations

import re

from cnndetect.bench.suites import PUBLIC, PUBLIC_VERSION

BUILT = f"{PUBLIC}@{PUBLIC_VERSION}"
_DIGEST = re.compile("[0-9a-f]{16}")
BUILT_ALIKE = "rows are of images that were built on different processors: pixels of fakes may differ by one level."


def lasting_cluster(test_set: str, path: str, cluster: str) -> str:
    """The cluster of an image of a built suite, with its own name in place of the digest of its contents (``data.folders.clusters``).

    >>> lasting_cluster("dcgan", "1_fake/7.png", "0123456789abcdef"), lasting_cluster("carn", "1_fake/fish__0.png", "fish")
    ('dcgan/1_fake/7.png', 'fish')
    """
    return f"{test_set}/{path}" if _DIGEST.fullmatch(cluster) else cluster
