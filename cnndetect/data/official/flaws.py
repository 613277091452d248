"""Known flaws of the released images, as lines to print under the figures that they affect.

Found in the file lists of the released archives and in the sizes of their members; see docs/official-data.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Flaw:
    """One known flaw."""

    name: str
    dataset: str
    groups: tuple[str, ...]  # that it concerns
    text: str
    several: bool = False  # whether it only shows where two or more of them are reported together


FLAWS = (
    Flaw("shared-reals-gta", "forensynths", ("crn", "imle"),
         "CRN and IMLE have the same 6,382 reals: their figures are not independent; the intervals of means draw equal reals together.",
         several=True),
    Flaw("shared-reals-lsun", "forensynths", ("stylegan", "stylegan2"),
         "StyleGAN and StyleGAN2 have the same reals of car and of cat; the intervals of means draw them together.", several=True),
    Flaw("validation-reals", "forensynths", ("stylegan", "stylegan2"),
         "All 200 validation reals of cat (StyleGAN, StyleGAN2) and of horse (StyleGAN2) lie inside the test set: a detector whose "
         "checkpoint was chosen on the validation images has seen them."),
    Flaw("progan-reals", "forensynths", ("progan", "stylegan", "stylegan2"),
         "All 200 ProGAN test reals of cat (StyleGAN, StyleGAN2) and of horse (StyleGAN2) are also reals of these sets.", several=True),
    Flaw("jpeg-quality", "forensynths", ("whichfaceisreal",),
         "WhichFaceIsReal: reals and fakes are JPEG files of different quality (about 259 kB and 525 kB each, both 1024x1024): "
         "compression alone almost tells them apart."),
    Flaw("bmp-reals", "forensynths", ("san",), "SAN: 19 of the 219 reals are bmp files, all fakes are png: the format tells 19 reals."),
    Flaw("small-san", "forensynths", ("san",), "SAN has only 219 reals and 219 fakes: read its interval, not its figure."),
    Flaw("small-sitd", "forensynths", ("seeingdark",), "SITD has only 180 reals and 180 fakes: read its interval, not its figure."),
    Flaw("paired", "forensynths", ("cyclegan", "stargan", "gaugan", "crn", "imle"),
         "CycleGAN, StarGAN, GauGAN, CRN, IMLE: a fake is made from the content of a real of the set; the intervals draw both together."),
    Flaw("resized-faces", "forensynths", ("deepfake",), "Deepfake: faces below 256 px were enlarged to 256 px by the authors."),
    Flaw("duplicates", "progan-train", (), "The training archive holds some equal files under several names."),
    Flaw("validation-overlap", "progan-val", ("cat", "horse"),
         "All 200 reals of cat, and of horse, are also test reals of StyleGAN or StyleGAN2 in forensynths."),
    Flaw("test-overlap", "progan-test", ("cat", "horse"),
         "All 200 reals of cat, and of horse, are also test reals of StyleGAN or StyleGAN2 in forensynths."),
)  # fmt: skip


def flaw_lines(dataset: str, groups: Collection[str]) -> list[str]:
    """What to say beside figures of these groups of a data set, most general first.

    >>> flaw_lines("forensynths", ["seeingdark", "crn"])[0]
    'SITD has only 180 reals and 180 fakes: read its interval, not its figure.'
    """
    return [flaw.text for flaw in FLAWS if flaw.dataset == dataset and _concerns(flaw, groups)]


def _concerns(flaw: Flaw, groups: Collection[str]) -> bool:
    if not flaw.groups:
        return True
    return sum(name in groups for name in flaw.groups) >= (2 if flaw.several else 1)
