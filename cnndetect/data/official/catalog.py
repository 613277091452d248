"""Catalogue of the data of Wang et al. (CVPR 2020): its files, how many images each part holds, where it is hosted, and its licence.

Counts, extensions and archive sizes come from the file lists of the released archives and from the pages of their
store; families and sources of the reals from the paper's Table 1. Nothing here touches a disk or a network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cnndetect.data.official.flaws import FLAWS, Flaw, flaw_lines
from cnndetect.data.sets.rows import notes, set_rows
from cnndetect.errors import UnknownNameError, lookup
from cnndetect.images import packs
from cnndetect.paths import mini_root

LICENCE = "CC BY-NC-SA 4.0, Copyright (c) 2020 Wang, Wang, Zhang, Owens, Efros: no commercial use, share alike"
TERMS = "The underlying photographs (LSUN, ImageNet, COCO, CelebA, FaceForensics++, FFHQ and others) keep terms of their own."
CITATION = "Wang, Wang, Zhang, Owens, Efros: CNN-generated images are surprisingly easy to spot... for now. CVPR 2020, arXiv:1912.11035"
# The embedded suite. Its version rises when its images change.
MINI, MINI_VERSION = "mini", 5

STORE = "datasets/sywang/CNNDetection/resolve"
# The state that the sizes and checksums below were read from; then whatever the store has now, held to the same sizes.
REVISIONS = ("2dd6d95d4333188b8616f3d34970ea800ca1e339", "main")

CATEGORIES = (
    "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike",
    "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """Images of one class folder."""

    real: int
    fake: int


@dataclass(frozen=True)
class Group:
    """One top folder of a data set: a generator of the test set, a category of the training data."""

    name: str
    title: str  # the name in results and tables
    family: str
    reals_from: str
    classes: Mapping[str, Counts]  # sub-folder -> Counts; the name "" where 0_real and 1_fake lie in the top folder itself
    size: str = "256x256"  # width x height in pixels
    formats: str = "png"

    @property
    def real(self) -> int:
        return sum(counts.real for counts in self.classes.values())

    @property
    def fake(self) -> int:
        return sum(counts.fake for counts in self.classes.values())


@dataclass(frozen=True)
class File:
    """A file of the store; sha256 None where nobody has published one."""

    name: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Dataset:
    """Groups that come in one archive (of several parts)."""

    name: str
    title: str
    split: str
    layout: str
    groups: Mapping[str, Group]
    parts: tuple[File, ...]
    copies: tuple[str, ...] = ()  # other places, for --from-file and --mirror
    licence: str = LICENCE
    terms: str = TERMS
    citation: str = CITATION

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    @property
    def flaws(self) -> tuple[Flaw, ...]:
        return tuple(flaw for flaw in FLAWS if flaw.dataset == self.name)


@dataclass(frozen=True)
class SuiteFacts:
    """Groups of a data set that are reported together. A new version where the images or their grouping change."""

    name: str
    version: int
    dataset: str
    groups: tuple[str, ...] = field(default=())


def _one(real: int, fake: int) -> dict[str, Counts]:
    return {"": Counts(real, fake)}


def _each(names: Iterable[str], count: int) -> dict[str, Counts]:
    return {name: Counts(count, count) for name in names}


_CYCLEGAN = {
    "apple": Counts(266, 248), "horse": Counts(120, 140), "orange": Counts(248, 266),
    "summer": Counts(309, 238), "winter": Counts(238, 309), "zebra": Counts(140, 120),
}  # fmt: skip

_UNCONDITIONAL, _CONDITIONAL = "unconditional GAN", "conditional GAN"
_PERCEPTUAL, _LOW_LEVEL = "perceptual loss", "low-level vision"

_TEST_GROUPS = (
    Group("progan", "progan", _UNCONDITIONAL, "LSUN", _each(CATEGORIES, 200)),
    Group("stylegan", "stylegan", _UNCONDITIONAL, "LSUN", _each(("bedroom", "car", "cat"), 1997), "bedroom 256x256, others not known"),
    Group("biggan", "biggan", _UNCONDITIONAL, "ImageNet", _one(2000, 2000)),
    Group("cyclegan", "cyclegan", _CONDITIONAL, "style and object transfer", _CYCLEGAN),
    Group("stargan", "stargan", _CONDITIONAL, "CelebA", _one(1999, 1999)),
    Group("gaugan", "gaugan", _CONDITIONAL, "COCO", _one(5000, 5000)),
    Group("crn", "crn", _PERCEPTUAL, "GTA", _one(6382, 6382), "512x256"),
    Group("imle", "imle", _PERCEPTUAL, "GTA", _one(6382, 6382), "512x256"),
    Group("seeingdark", "sitd", _LOW_LEVEL, "raw camera", _one(180, 180), "about 5113x3420"),
    Group("san", "san", _LOW_LEVEL + " (super-resolution)", "SR benchmarks", _one(219, 219), "about 691x563", "png; 19 reals bmp"),
    Group("deepfake", "deepfake", "face swap", "FaceForensics++ video faces", _one(2707, 2698), "about 260x291"),
    Group("stylegan2", "stylegan2", _UNCONDITIONAL, "LSUN", _each(("car", "cat", "church", "horse"), 1997), "car 512x384, others 256x256"),
    Group("whichfaceisreal", "whichfaceisreal", _UNCONDITIONAL, "whichfaceisreal.com", _one(1000, 1000), "1024x1024", "jpeg"),
)


def _categories(count: int) -> dict[str, Group]:
    return {name: Group(name, name, _UNCONDITIONAL + " (ProGAN)", "LSUN", _one(count, count)) for name in CATEGORIES}


_PART = 10_737_418_240
_TRAIN_PARTS = (
    File("progan_train.7z.001", _PART, "a1ab9af359a2c5dff788c03c05d7097bc27bb8ec1f522f25e11491c424669e8b"),
    File("progan_train.7z.002", _PART, "83502b14158c518f6752604079621b2a7e61c2e27013c18280b1b03d7015ab1f"),
    File("progan_train.7z.003", _PART, None),
    File("progan_train.7z.004", _PART, None),
    File("progan_train.7z.005", _PART, "f936e4a628833cb754cab1f08a25f546e7a1dd9572ed09b3c3b8b7f959358599"),
    File("progan_train.7z.006", _PART, "e4e9be4e96f7926bd0ac97b1eb4aad85c9783014c892cc2779b97e26b7496f47"),
    File("progan_train.7z.007", 10_499_493_436, "719ef8faf221e34db2d65af8c98eba600d90711b1a979a7158c60c175d0a8191"),
)
_TEST_SHA256 = "d87eeff4eb6d1061f57620aa1bd54e699a18cc9860fcdc6a55bf4cf643008d85"
_DRIVE, _BOX = "https://drive.google.com/file/d/{}", "https://cmu.box.com/s/c1ic1lrg15m3fdwgf8femcxs1splshi1"

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "forensynths", "ForenSynths, the test set: 13 generators", "test", "GENERATOR/[CLASS/]{0_real,1_fake}/FILE",
            {group.name: group for group in _TEST_GROUPS}, (File("CNN_synth_testset.zip", 20_052_866_587, _TEST_SHA256),),
            (_DRIVE.format("1z_fD3UKgWQyOTZIBbYSaQ-hz4AzUrLC1"), _BOX),
        ),
        Dataset(
            "progan-test", "The ProGAN part of the test set, on its own", "test", "CLASS/{0_real,1_fake}/FILE", _categories(200),
            (File("progan_testset.zip", 834_177_578, "206c39e2b12395680c50cc631cfeecc6ca51db0cb1ac543b0a9558e4a11e7d8b"),), (_BOX,),
        ),
        Dataset(
            "progan-val", "ProGAN validation images: 20 LSUN categories", "validation", "CLASS/{0_real,1_fake}/FILE", _categories(200),
            (File("progan_val.zip", 830_792_545, "7bce9385bde5407875bb829e321f812db53587e59611e105caf6175cf323f002"),),
            (_DRIVE.format("1FU7xF8Wl_F8b0tgL0529qg2nZ_RpdVNL"), _BOX),
        ),
        Dataset(
            "progan-train", "ProGAN training images: 20 LSUN categories", "training", "CLASS/{0_real,1_fake}/FILE", _categories(18_003),
            _TRAIN_PARTS, (_DRIVE.format("1iVNBV0glknyTYGA9bCxT_d0CVTOgGcKh"),),
        ),
    )
}  # fmt: skip

# The paper's Table 2 has eleven generators; the released archive has two more.
_THIRTEEN = tuple(group.name for group in _TEST_GROUPS)
SUITES: dict[str, SuiteFacts] = {
    "forensynths-11": SuiteFacts("forensynths-11", 1, "forensynths", _THIRTEEN[:11]),
    "forensynths-13": SuiteFacts("forensynths-13", 1, "forensynths", _THIRTEEN),
}


def find_dataset(name: str) -> Dataset:
    """The data set of that name, or the one a suite belongs to. Raises UnknownNameError with the nearest name.

    >>> find_dataset("forensynths-11").name
    'forensynths'
    """
    if name in SUITES:
        return DATASETS[SUITES[name].dataset]
    return lookup("data set", DATASETS, name)


def find_groups(dataset: Dataset, names: Iterable[str] | None = None) -> tuple[Group, ...]:
    """The named groups in the data set's order, all for None; by folder or by title. Raises UnknownNameError.

    >>> [group.name for group in find_groups(DATASETS["forensynths"], ["sitd", "biggan"])]
    ['biggan', 'seeingdark']
    """
    if names is None:
        return tuple(dataset.groups.values())
    titles = {group.title: group for group in dataset.groups.values()} | dict(dataset.groups)
    wanted = {lookup(f"part of {dataset.name}", titles, name).name for name in names}
    if not wanted:
        raise UnknownNameError(f"No part of {dataset.name} was named. Known: {', '.join(dataset.groups)}.")
    return tuple(group for group in dataset.groups.values() if group.name in wanted)


def named_groups(name: str) -> tuple[Group, ...]:
    """The groups of a suite or of a whole data set. Raises UnknownNameError."""
    return find_groups(find_dataset(name), SUITES[name].groups if name in SUITES else None)


def suite_notes(suite: str, titles: Iterable[str]) -> list[str]:
    """Known flaws to say under a table of a suite (its name, with or without @version); none where it is in no catalogue.

    >>> suite_notes("forensynths-13@1", ["biggan", "sitd"])
    ['SITD has only 180 reals and 180 fakes: read its interval, not its figure.']
    """
    name, _, version = suite.partition("@")
    if name == MINI:
        # The records are those of the version that is here; of another one nothing is known.
        return _mini_notes(titles) if version in ("", str(MINI_VERSION)) else []
    facts = SUITES.get(name)
    if facts is None:
        row = set_rows().get(name)
        return notes(row, titles) if row else []
    wanted = set(titles)
    return flaw_lines(facts.dataset, [group.name for group in named_groups(facts.name) if group.title in wanted])


def _mini_notes(titles: Iterable[str]) -> list[str]:
    painted = []
    for title in titles:
        record = mini_root() / title / "record.json"
        if packs.exists(record) and json.loads(packs.read(record))["mode"] == "resynthesised":
            painted.append(title)
    return (
        [f"{', '.join(painted)}: resynthesised, photographs painted again by the family's decoder, not samples from noise."]
        if painted
        else []
    )
