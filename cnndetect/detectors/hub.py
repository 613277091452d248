"""Saves detectors as folders of safetensors and records, loads such folders, and exchanges them with the Hugging Face Hub.

``cnndetect.json`` lists every file with its SHA-256 and names the record. A folder holds only tensors and JSON, of an architecture
that this package has, and nothing in it is run.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from cnndetect.detectors.card import model_card
from cnndetect.detectors.fusion import read_fusion
from cnndetect.detectors.official import official_names
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.records import FUSION, WeightsRecord, read_record, record_beside, registered
from cnndetect.errors import DownloadError, ProtocolError, WeightsError
from cnndetect.files import read_record as read_json
from cnndetect.files import sha256_of, write_json, write_whole
from cnndetect.paths import weights_root

SCHEME, MANIFEST, CARD = "hf://", "cnndetect.json", "README.md"
_ADDRESS = re.compile(r"hf://([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w-][\w./-]*))?")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.(json|safetensors)")
_ADVICE = "Expected what `cnndetect detectors save` writes. A model of another kind: see docs/own-model.md."


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``cnndetect.json``."""

    format: int
    """1."""
    record: str
    """Name of the record's file, such as mine.json."""
    files: dict[str, str]
    """Every file of the detector, the record included, and its SHA-256."""


@dataclass(frozen=True)
class Saved:
    """A checked folder."""

    record: WeightsRecord  # of its detector
    weights: Path  # path of the file that the record names


def is_saved(text: str) -> bool:
    """Whether the text names a saved folder: a local one, or one on the Hub.

    >>> is_saved("hf://user/repo"), is_saved("npr")
    (True, False)
    """
    return text.startswith(SCHEME) or (Path(text) / MANIFEST).is_file()


def saved_name(text: str) -> str:
    """The name of a saved detector: USER/REPO on the Hub, the name in its record for a local folder.

    >>> saved_name("hf://user/repo@main")
    'user/repo'
    """
    return _address(text)[0] if text.startswith(SCHEME) else Path(_manifest(Path(text)).record).stem


def open_saved(text: str) -> Saved:
    """The checked files of a saved detector, fetched from the Hub if they are not in its cache.

    text: a folder, or hf://USER/REPO[@REVISION]. What was fetched once is found again without a network, below HF_HOME.
    Raises WeightsError for a folder of another kind or one that was changed, DownloadError.
    """
    remote = text.startswith(SCHEME)
    folder = fetch_files(text, [MANIFEST]) if remote else Path(text)
    manifest = _manifest(folder)
    if remote:
        fetch_files(f"{SCHEME}{_address(text)[0]}@{folder.name}", manifest.files)
    for name, digest in manifest.files.items():
        if not (folder / name).is_file() or sha256_of(folder / name) != digest:
            raise WeightsError(f"{folder / name} is missing or was changed: its SHA-256 is not {digest}. Fetch or save it again.")
    record = read_record(folder / manifest.record)
    if manifest.files.get(record.file) != record.sha256:
        raise WeightsError(f"{folder / manifest.record} is of {record.file} with SHA-256 {record.sha256}, which is not there. {_ADVICE}")
    weights = folder / record.file
    if record.file.endswith(".json"):
        _check_members(weights, manifest.files)
    return Saved(record, weights)


def is_ours(text: str) -> bool:
    """Whether a saved detector is one that ``save_detector`` wrote; False for a repository of another kind. Raises DownloadError."""
    if not text.startswith(SCHEME):
        return True
    repo, revision = _address(text)
    hub = _library()
    try:
        hub.hf_hub_download(repo, MANIFEST, revision=revision, endpoint=os.environ.get("HF_ENDPOINT") or None)
    except hub.errors.LocalEntryNotFoundError:  # no network: what is in the cache decides
        return not isinstance(hub.try_to_load_from_cache(repo, "config.json", revision=revision), str)
    except hub.errors.EntryNotFoundError:
        return False
    except (hub.errors.HfHubHTTPError, OSError) as error:
        raise DownloadError(f"{text} could not be fetched: {error}.") from error
    return True


def fetch_files(address: str, names: Iterable[str]) -> Path:
    """Files of a repository in the cache of the Hub, all of one commit; returns their folder.

    Raises WeightsError for a file that it does not hold, DownloadError.
    """
    repo, revision = _address(address)
    hub = _library()
    name, path = "", None
    try:
        for name in names:
            # The folder of a snapshot is called like its commit: what changes meanwhile does not matter.
            wanted = path.parent.name if path else revision
            path = Path(hub.hf_hub_download(repo, name, revision=wanted, endpoint=os.environ.get("HF_ENDPOINT") or None))
    except hub.errors.LocalEntryNotFoundError as error:
        raise DownloadError(f"{address} is not here and cannot be reached: {error}. Go online once, or set HF_HOME.") from error
    except hub.errors.EntryNotFoundError as error:
        raise WeightsError(f"{address} holds no {name}. {_ADVICE}") from error
    except (hub.errors.HfHubHTTPError, OSError) as error:
        raise DownloadError(f"{address} could not be fetched: {error}.") from error
    if path is None:
        raise WeightsError(f"{address} names no files. {_ADVICE}")
    return path.parent


def save_detector(detector: str | Path, folder: str | Path) -> Path:
    """Write a detector as a folder: weights, record, ``cnndetect.json`` and a model card made from the record.

    detector: a bundled name, or a weights file with its record beside it (``cnndetect detectors pack`` writes both). A folder
    that was saved before is written again; any other that holds something is refused. Returns the folder.
    Raises ProtocolError for a detector that may not or cannot be saved, WeightsError.
    """
    target, (weights, record) = Path(folder), _source(str(detector))
    if target.exists() and not (target / MANIFEST).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ProtocolError(f"{target} holds something else. Expected a new folder, or one with {MANIFEST}.")
    files = [weights]
    if weights.suffix == ".json":
        files += [weights.parent / member.detector for member in read_fusion(weights).members]
    for file in files:
        if file.suffix not in (".json", ".safetensors") or not file.is_file():
            raise WeightsError(f"{file} is no safetensors file that is here. Make one with: cnndetect detectors pack {file} TARGET")
    others = [file.with_suffix(".json") for file in files[1:] if file.with_suffix(".json").is_file()]
    target.mkdir(parents=True, exist_ok=True)
    (target / MANIFEST).unlink(missing_ok=True)  # removed first and written last: a folder without it is not a saved detector
    for file in [*files, *others]:
        _copy(file, target / file.name)
    record.save(target)
    names = sorted({file.name for file in [*files, *others]} | {f"{record.name}.json"})
    write_whole(target / CARD, model_card(record))
    write_json(
        target / MANIFEST, Manifest(format=1, record=f"{record.name}.json", files={name: sha256_of(target / name) for name in names})
    )
    return target


def push_detector(detector: str | Path, repo: str, *, private: bool = False) -> str:
    """Send a detector to the model repository USER/REPO of the Hub, which is created if missing, and return its address.

    detector: see ``save_detector``, or a folder that it wrote, whose model card may have been edited. HF_TOKEN or the token of
    ``hf auth login``, and HF_ENDPOINT are honoured.  Raises ProtocolError, WeightsError, DownloadError.
    """
    address = repo if repo.startswith(SCHEME) else SCHEME + repo
    name, revision = _address(address)
    hub = _library()
    with TemporaryDirectory() as temporary:
        folder = Path(str(detector)) if is_saved(str(detector)) else save_detector(detector, Path(temporary) / "detector")
        record = open_saved(str(folder)).record
        files = [MANIFEST, CARD, *_manifest(folder).files]
        api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
        try:
            api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=name,
                folder_path=folder,
                allow_patterns=files,
                revision=revision,
                commit_message=f"{record.name} {record.sha256[:8]}",
            )
        except (hub.errors.HfHubHTTPError, OSError) as error:
            raise DownloadError(f"{record.name} could not be sent to {name}: {error}. Log in with: hf auth login") from error
    return SCHEME + name


def _source(text: str) -> tuple[Path, WeightsRecord]:
    """A detector's weights and record, of files that may be passed on."""
    bundled = registered().get(text)
    if bundled is not None:
        return weights_root() / bundled.file, bundled
    if text in PUBLISHED or text in official_names():
        raise ProtocolError(f"The weights of {text} are their authors'. Expected a detector of your own; send others where theirs are.")
    path = Path(text)
    if not path.is_file():
        raise WeightsError(f"{text} is no bundled detector and no file. Expected a name or a weights file with its record beside it.")
    record = record_beside(path, sha256_of(path))
    if record is None:
        raise ProtocolError(f"{path} has no record of these bytes beside it. Make both with: cnndetect detectors pack {path} TARGET")
    if not record.licence:
        raise ProtocolError(f"The record of {record.name} has no licence. Name it: cnndetect detectors pack ... --set licence=NAME")
    return path, record


def _manifest(folder: Path) -> Manifest:
    manifest = read_json(folder / MANIFEST, Manifest, what="the list of a saved detector", advice=_ADVICE, error=WeightsError)
    strange = [name for name in [*manifest.files, manifest.record] if not _FILE.fullmatch(name) or name == MANIFEST]
    if manifest.format != 1 or strange or manifest.record not in manifest.files:
        raise WeightsError(f"{folder / MANIFEST} has format {manifest.format} and files {sorted(manifest.files)[:4]}. {_ADVICE}")
    return manifest


def _check_members(weights: Path, files: Mapping[str, str]) -> None:
    """A fusion from elsewhere may only use weights that came with it: another name could import code."""
    members = [member.detector for member in read_fusion(weights).members]
    strange = [name for name in members if name not in files or not name.endswith(".safetensors")]
    if strange or not weights.stem.endswith(FUSION):
        raise WeightsError(f"{weights} names {strange or weights.name}. Expected a .fusion.json whose members are files of its folder.")


def _address(text: str) -> tuple[str, str | None]:
    found = _ADDRESS.fullmatch(text)
    if not found:
        raise ProtocolError(f"{text} is no detector of the Hub. Expected hf://USER/REPO or hf://USER/REPO@REVISION.")
    return found[1], found[2]


def _copy(source: Path, target: Path) -> None:
    if not (target.exists() and target.samefile(source)):
        write_whole(target, lambda temporary: shutil.copyfile(source, temporary))


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise ProtocolError("hf:// needs huggingface_hub, which is not installed. Install it: pip install 'cnndetect[data]'") from error
    return huggingface_hub
