"""The official layout with a handful of images in each class, and a catalogue to match."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import make_zip, png

from cnndetect.data.official import catalog
from cnndetect.data.official.catalog import Counts, Dataset, File

# Real and fake of every class; the classes are the real ones.
PER_CLASS = Counts(4, 3)


def small_members() -> dict[str, bytes]:
    """All members of the small archive. CRN and IMLE have the same reals, as in the original."""
    members, seed = {}, 0
    for group in catalog.DATASETS["forensynths"].groups.values():
        for part in group.classes:
            folder = f"{group.name}/{part}".rstrip("/")
            for label, count in (("0_real", PER_CLASS.real), ("1_fake", PER_CLASS.fake)):
                for index in range(count):
                    seed += 1
                    shared = group.name == "imle" and label == "0_real"
                    members[f"{folder}/{label}/{index:05d}.png"] = png(index + 10**6 if shared or folder + label == "crn0_real" else seed)
    return members


def small_dataset(monkeypatch: pytest.MonkeyPatch, archive: bytes | None = None) -> tuple[Dataset, bytes]:
    """Put a small forensynths into the catalogue; its archive."""
    content = make_zip(small_members()) if archive is None else archive
    whole = catalog.DATASETS["forensynths"]
    groups = {name: replace(group, classes=dict.fromkeys(group.classes, PER_CLASS)) for name, group in whole.groups.items()}
    file = File("CNN_synth_testset.zip", len(content), hashlib.sha256(content).hexdigest())
    dataset = replace(whole, groups=groups, parts=(file,))
    monkeypatch.setitem(catalog.DATASETS, "forensynths", dataset)
    return dataset, content


def write_members(root: Path, members: dict[str, bytes]) -> Path:
    """Members as files below ``root``."""
    for name, content in members.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def files_below(root: Path) -> dict[str, bytes]:
    """Relative name -> content of every file."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()} if root.exists() else {}
