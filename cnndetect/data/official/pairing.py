"""Which images of the official test sets come from one photograph; intervals resample them together.

By the names of the released files: CRN and IMLE hold the same reals; some LSUN reals lie in several of ProGAN, StyleGAN
and StyleGAN2 under one name; a fake of CycleGAN, StarGAN, GauGAN, CRN or IMLE is made from the real of its own name.
Everywhere else only equal contents tell that two images are one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from cnndetect.data.folders import Sample, clusters

# Sets whose fakes are made from reals -> the pool that their names belong to.
_TRANSLATED = {"crn": "gta", "imle": "gta", "stargan": "stargan", "gaugan": "gaugan", "cyclegan": "cyclegan"}

# (set, class) whose reals come from one pool of LSUN. ProGAN's other classes share names with these, and no images.
_POOLED = (
    ("progan", "cat"), ("stylegan", "cat"), ("stylegan2", "cat"), ("progan", "horse"), ("stylegan2", "horse"),
    ("stylegan", "car"), ("stylegan2", "car"),
)  # fmt: skip


def photograph(group: str, sample: Sample) -> str | None:
    """Name of the photograph behind an image of a group of forensynths, None where its name does not tell.

    >>> from pathlib import Path
    >>> real = Sample(Path("x"), 0, "cat/0_real/00012.png", "")
    >>> photograph("stylegan", real), photograph("progan", real), photograph("biggan", real)
    ('lsun/cat/00012', 'lsun/cat/00012', None)
    """
    path = PurePosixPath(sample.relative)
    if group in _TRANSLATED:
        # CycleGAN's names end in what they are.
        return f"{_TRANSLATED[group]}/{re.sub(r'_(real|fake)$', '', path.stem)}"
    category = path.parts[0]
    if sample.label == 0 and (group, category) in _POOLED:
        return f"lsun/{category}/{path.stem}"
    return None


def official_clusters(group: str | None, samples: Sequence[Sample], known_contents: Sequence[str]) -> list[str]:
    """As ``folders.clusters``, and by the names of the released files where ``group`` says which set this is."""
    by_content = clusters(samples, known_contents)
    if group is None:
        return by_content
    return [photograph(group, sample) or cluster for sample, cluster in zip(samples, by_content, strict=True)]
