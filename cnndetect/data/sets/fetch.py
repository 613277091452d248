"""Fetch, unpack and check a test set of the catalogue: files of the Hub by huggingface_hub, others from their own addresses."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cnndetect.data.folders import FAKE, REAL, find_sets, scan
from cnndetect.data.official.download import check_room, download
from cnndetect.data.sets.rows import SetFile, SetRow, how_to_get
from cnndetect.errors import DataError, DownloadError, ImageError, ProtocolError
from cnndetect.images import open_image
from cnndetect.paths import data_root


@dataclass(frozen=True)
class SetCheck:
    """What a folder holds of a set."""

    root: str
    id: str
    counts: dict[str, tuple[int, int]]  # group -> (real, fake)
    absent: tuple[str, ...]  # groups of the row that are not there
    unreadable: tuple[str, ...] = field(default=())

    @property
    def is_right(self) -> bool:
        return bool(self.counts) and not self.absent and not self.unreadable


def fetch_set(row: SetRow, dest: str | Path | None = None, *, progress: bool = True) -> Path:
    """Bring the files of a set to ``dest`` (default: its folder below the data root) and unpack its archives there.

    What is here already is not fetched again.  Raises ProtocolError with what to do for sets that only a person can get,
    DownloadError where an address fails, DataError where the extra is missing or an archive leads out of the folder.
    """
    folder = Path(dest) if dest is not None else data_root() / row.id
    if row.host not in ("hub", "http") or not row.files:
        raise ProtocolError(f"{row.title} is not fetched by this program.\n{how_to_get(row, folder)}")
    for file in row.files:
        path = _from_hub(row, file, folder) if row.host == "hub" else _from_address(file, folder, progress)
        unpack_archive(path, folder)
    return folder


def check_set(row: SetRow, root: str | Path) -> SetCheck:
    """Count the images of every group below ``root`` and decode each; nobody has published counts to compare with."""
    root = Path(root)
    counts: dict[str, tuple[int, int]] = {}
    unreadable: list[str] = []
    for folder in {place.relative_to(root).parts[:1] for place in find_sets(root)}:
        name = "/".join(folder)
        samples = scan(root / name)
        counts[name] = (sum(s.label == 0 for s in samples), sum(s.label == 1 for s in samples))
        for sample in samples:
            try:
                open_image(sample.path)
            except ImageError as error:
                unreadable.append(f"{name}/{sample.relative}: {error}")
    absent = tuple(group for group in row.groups if group not in counts)
    return SetCheck(str(root), row.id, dict(sorted(counts.items())), absent, tuple(sorted(unreadable)))


def check_text(check: SetCheck) -> str:
    """A SetCheck for a terminal."""
    lines = [f"{name or '.'}: {real} {REAL}, {fake} {FAKE}" for name, (real, fake) in check.counts.items()]
    lines += [f"unreadable: {line}" for line in check.unreadable[:5]]
    lines += [f"not here: {', '.join(check.absent)}"] if check.absent else []
    return "\n".join([*lines, f"{check.root} as {check.id}: {'right' if check.is_right else 'not right'} (every image decoded)"])


def unpack_archive(path: Path, folder: Path) -> None:
    """Unpack a zip or a tar into ``folder``; other files stay as they are. Raises DataError for names that lead out of it."""
    marker = path.with_name(path.name + ".unpacked")
    if marker.exists():
        return
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                bad = next((name for name in archive.namelist() if _leads_out(name)), None)
                if bad is not None:
                    raise DataError(f"{path} holds the name {bad!r}, which may lead out of the folder. Nothing was written.")
                check_room(folder, sum(info.file_size for info in archive.infolist()), what=f"Unpacking {path.name}")
                archive.extractall(folder)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                archive.extractall(folder, members=_safe(archive, path), filter="data")
        else:
            return
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise DataError(f"{path} cannot be unpacked ({error}). Remove it and fetch it again.") from error
    marker.touch()


def _safe(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        if _leads_out(member.name) or member.issym() or member.islnk():
            raise DataError(f"{path} holds {member.name!r}, a link or a name that may lead out of the folder. It was not written.")
        yield member


def _leads_out(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/") or "\\" in name or name[1:2] == ":"


def _from_address(file: SetFile, folder: Path, progress: bool) -> Path:
    algorithm, _, digest = (file.hash or "").partition(":")
    known = {algorithm: digest} if algorithm in ("md5", "sha256") else {}
    return download([file.url or ""], folder / file.name, size=file.bytes, progress=progress, **known)


def _from_hub(row: SetRow, file: SetFile, folder: Path) -> Path:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise DataError("Files of the Hugging Face Hub need huggingface_hub. Install: python -m pip install 'cnndetect[data]'") from error
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        return Path(
            hf_hub_download(row.repo or "", file.name, repo_type="dataset", revision=row.revision, local_dir=folder, endpoint=endpoint)
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise DownloadError(f"{file.name} of {row.repo} could not be fetched: {error}\n{how_to_get(row, folder)}") from error
