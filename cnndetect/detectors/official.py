"""The checkpoints of the paper's authors: addresses, checksums, and loading.

They are under CC BY-NC-SA 4.0 and are never part of this package: a user fetches them, having seen the licence. Two
thirds of a checkpoint are the state of its optimiser; what is kept to load is a safetensors file of a third of the size.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from safetensors.torch import save_file

from cnndetect.data.official.download import check_room, download
from cnndetect.detectors.networks.resnet import resnet50_one_logit
from cnndetect.detectors.weights import fit_state, load_state
from cnndetect.errors import ProtocolError, WeightsError, lookup
from cnndetect.files import read_record, sha256_of, write_json, write_whole
from cnndetect.paths import official_root

LICENCE = """\
Creative Commons Attribution-NonCommercial-ShareAlike 4.0 (CC BY-NC-SA 4.0)
Copyright (c) 2020 Sheng-Yu Wang, Oliver Wang, Richard Zhang, Andrew Owens, Alexei A. Efros
https://creativecommons.org/licenses/by-nc-sa/4.0/
You may use and share the weights with attribution, for purposes that are not commercial, under the same licence.
The weights have no terms of their own; this is the licence of the authors' code and data. It is not that of cnndetect."""

_MIRROR = "https://huggingface.co/dkarageo/sidbench/resolve/main/cnndetect/"
_TRAINING = "720,120 images of 20 LSUN categories: 18,003 ProGAN fakes and 18,003 photographs of each, 256 px"
_RECIPE = "ResNet-50 from ImageNet; blur (sigma 0 to 3 px) and, independently, JPEG (quality 30 to 100), each with probability {}"


@dataclass(frozen=True)
class OfficialRecord:
    """An official checkpoint."""

    name: str
    file: str
    urls: tuple[str, ...]
    size: int | None  # bytes
    sha256: str | None  # of the .pth, as md5; None where neither the authors nor a mirror publish it
    md5: str | None
    proof: str  # who says so; the authors publish no checksums
    recipe: str
    training_data: str = _TRAINING
    protocol: str = "nocrop"
    progan_only: bool = True
    threshold_logit: None = None
    licence: str = "CC BY-NC-SA 4.0"

    @property
    def stem(self) -> str:
        """What the authors call it, such as blur_jpg_prob0.1."""
        return self.file.removesuffix(".pth")


OFFICIAL: dict[str, OfficialRecord] = {
    record.name: record
    for record in (
        OfficialRecord(
            name="wang2020-blur-jpg-0.1",
            file="blur_jpg_prob0.1.pth",
            urls=(
                "https://www.dropbox.com/s/h7tkpcgiwuftb6g/blur_jpg_prob0.1.pth?dl=1",
                _MIRROR + "blur_jpg_prob0.1.pth",
            ),
            size=282_442_597,
            sha256="a73295ac66f9cb74d558ce3ade46f75e2f2997ed05eeed0f4b774623372058ea",
            md5="109a7a7406f52a3f658dcd982b58f333",
            proof="size and SHA-256: a third party's own; MD5: model card of the mirror dkarageo/sidbench",
            recipe=_RECIPE.format("0.1"),
        ),
        OfficialRecord(
            name="wang2020-blur-jpg-0.5",
            file="blur_jpg_prob0.5.pth",
            urls=(
                "https://www.dropbox.com/s/2g2jagq2jn1fd0i/blur_jpg_prob0.5.pth?dl=1",
                _MIRROR + "blur_jpg_prob0.5.pth",
            ),
            size=None,
            sha256=None,
            md5="0c0bd6f572eaec0e8ea8ed8b033969dd",
            proof="no SHA-256 and no exact size is known (282.4 MB); MD5: model card of the mirror dkarageo/sidbench",
            recipe=_RECIPE.format("0.5"),
        ),
    )
}

# Bytes of .pth and .safetensors together, for the check of the disk.
_ROOM = 380_000_000
# A file of another size is no official checkpoint, and need not be read to know it.
_SIZES = range(282_000_000, 283_000_000)


def find_official(name: str) -> OfficialRecord:
    """The record of a name of ours or of the authors'. Raises UnknownNameError.

    >>> find_official("blur_jpg_prob0.5").name
    'wang2020-blur-jpg-0.5'
    """
    return lookup("official checkpoint", official_names(), name.removesuffix(".pth"))


def official_names() -> dict[str, OfficialRecord]:
    """Every name that ``load`` takes for an official checkpoint, ours and the authors'."""
    return {**OFFICIAL, **{record.stem: record for record in OFFICIAL.values()}}


def fetch_official(
    record: OfficialRecord,
    *,
    accept_licence: bool,
    source: str | Path | None = None,
    folder: str | Path | None = None,
    keep_checkpoint: bool = True,
    progress: bool = False,
) -> Path:
    """Have the weights ready to load, and return their safetensors; what is ready already is not fetched again.

    accept_licence: of LICENCE.  source: a .pth that was fetched by other means.  folder: default paths.official_root().
    keep_checkpoint: keep the .pth with its optimiser, 282 MB.  Raises WeightsError, ProtocolError, DownloadError.
    """
    root = official_root(folder)
    if is_fetched(record, folder=root):
        return _stripped(root, record)
    if not accept_licence:
        raise ProtocolError(f"{record.file} is under {record.licence}. Read its terms and accept them: --yes, or accept_licence=True.")
    root.mkdir(parents=True, exist_ok=True)
    check_room(root, _ROOM if source is None else _ROOM // 3, what=record.file)
    if source is None:
        checkpoint = download(record.urls, root / record.file, size=record.size, sha256=record.sha256, md5=record.md5, progress=progress)
    else:
        checkpoint = _checked(Path(source), record)
    _strip(checkpoint, record, root)
    if not keep_checkpoint and source is None:
        checkpoint.unlink()
    return _stripped(root, record)


def is_fetched(record: OfficialRecord, *, folder: str | Path | None = None) -> bool:
    """Whether ``load`` finds the weights."""
    root = official_root(folder)
    return _stripped(root, record).is_file() and _note(root, record).is_file()


class StrippedNote(msgspec.Struct, frozen=True):
    """The note beside stripped weights: SHA-256 of this file, and of the checkpoint it comes from."""

    sha256: str
    source_sha256: str


def fetched_official(record: OfficialRecord) -> tuple[Path, str]:
    """The safetensors, checked, and the SHA-256 of the checkpoint it comes from.

    That digest, not the one of our own file, tells the weights in results: it is the same whoever stripped them.
    Raises WeightsError that tells how to get them.
    """
    root = official_root()
    if not is_fetched(record):
        raise WeightsError(
            f"{record.name} is not in {root}. The authors' weights ({record.licence}, 282 MB) are not part of this package. "
            f"Fetch them: cnndetect detectors get {record.stem}"
        )
    path, note = _stripped(root, record), _note(root, record)
    advice = f"Remove it and fetch {record.stem} again."
    kept = read_record(note, StrippedNote, what="the note of fetched weights", advice=advice, error=WeightsError)
    digest = sha256_of(path)
    if digest != kept.sha256:
        raise WeightsError(f"{path} has SHA-256 {digest}. Expected {kept.sha256}; it was changed. {advice}")
    return path, kept.source_sha256


def recognise(path: Path, digest: str) -> OfficialRecord | None:
    """The record whose checkpoint a file is, by its bytes alone; None for any other file. digest: its SHA-256."""
    if path.stat().st_size not in _SIZES:
        return None
    for record in OFFICIAL.values():
        if record.sha256 == digest or (record.sha256 is None and record.md5 == _digest(path, "md5")):
            return record
    return None


def _checked(path: Path, record: OfficialRecord) -> Path:
    """A file that somebody fetched by hand: the whole right one, or an error."""
    if not path.is_file():
        raise WeightsError(f"{path} does not exist. Expected {record.file}.")
    size = path.stat().st_size
    if record.size is not None and size != record.size:
        raise WeightsError(f"{path} has {size:,} bytes. Expected {record.size:,} of {record.file}; fetch it again.")
    for name, expected in (("sha256", record.sha256), ("md5", record.md5)):
        found = _digest(path, name) if expected else None
        if found != expected:
            raise WeightsError(f"{path} has {name} {found}. Expected {expected} of {record.file}; fetch it again.")
    return path


def _strip(checkpoint: Path, record: OfficialRecord, root: Path) -> None:
    """Keep the network, leave the optimiser."""
    state = load_state(checkpoint)
    fit_state(resnet50_one_logit(), state, source=str(checkpoint))
    target, note = _stripped(root, record), _note(root, record)
    source = sha256_of(checkpoint)
    note.unlink(missing_ok=True)
    metadata = {"source": record.file, "source_sha256": source, "licence": record.licence}
    write_whole(target, lambda temporary: save_file(state, temporary, metadata=metadata))
    content: dict[str, Any] = {
        "name": record.name,
        "source": record.file,
        "source_sha256": source,
        "sha256": sha256_of(target),
        "licence": LICENCE.splitlines(),
    }
    # Last: without it the weights count as not fetched.
    write_json(note, content)


def _stripped(root: Path, record: OfficialRecord) -> Path:
    return root / f"{record.stem}.safetensors"


def _note(root: Path, record: OfficialRecord) -> Path:
    return root / f"{record.stem}.json"


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
