"""Finds the weights of published detectors on this machine, and fetches them once their licence is accepted."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from cnndetect.data.official.download import download
from cnndetect.detectors.published.loading import check_file, checked
from cnndetect.detectors.published.record import Present, Published, WeightFile
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.files import write_whole
from cnndetect.paths import official_root


def folder_of(record: Published, root: str | Path | None = None) -> Path:
    """Where a detector's files lie: in its package, else below paths.official_root() in a folder of its name."""
    spec = find_spec(record.package) if record.package else None
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0])
    return official_root(root) / "published" / record.name


def is_here(record: Published, root: str | Path | None = None) -> bool:
    """Whether ``load`` finds its files."""
    folder = folder_of(record, root)
    return all((folder / file.name).is_file() for file in record.files)


def find_weights(record: Published, weights: str | Path | None = None) -> Present:
    """The user's copy, or the fetched one, checked. Raises WeightsError that says how to get it."""
    if weights is not None and record.package:
        raise ProtocolError(f"{record.name} is a package with its own weights. Expected its name alone, got {record.name}={weights}.")
    if weights is not None:
        return checked(record, weights)
    if is_here(record):
        return checked(record, folder_of(record))
    raise WeightsError(f"The weights of {record.name} ({record.licence}) are not here, and no part of this package. {how_to_get(record)}")


def fetch_published(
    record: Published, *, accept_licence: bool, source: str | Path | None = None, root: str | Path | None = None, progress: bool = False
) -> Path:
    """Have the files in their folder, checked, and return it; what is there already is not fetched again.

    source: the user's copy, a file or a folder of several.  Raises ProtocolError where the licence is not accepted or only
    a browser reaches the place, WeightsError for a file that is another one, DownloadError.
    """
    folder = folder_of(record, root)
    if is_here(record, root):
        checked(record, folder)
        return folder
    if record.package:
        raise ProtocolError(f"{record.name} is a package of its own. {how_to_get(record)}")
    if not accept_licence:
        raise ProtocolError(f"{record.name} is under: {record.licence}. Read its terms at {record.code} and accept them: --yes.")
    if source is None and not all(file.urls for file in record.files):
        raise ProtocolError(how_to_get(record))
    given = checked(record, source).paths if source is not None else ()
    folder.mkdir(parents=True, exist_ok=True)
    for index, file in enumerate(record.files):
        if given:
            _copied(given[index], folder / file.name)
        else:
            _downloaded(file, folder / file.name, progress)
    return folder


def how_to_get(record: Published) -> str:
    """The command that fetches the weights, or where a person with a browser finds them and what to do then."""
    if record.package:
        return f"It lies {record.files[0].place}"
    if record.files and all(file.urls for file in record.files):
        return f"Fetch them: cnndetect detectors get {record.name}"
    places = "; ".join(f"{file.name}: {file.place}" for file in record.files)
    many = len(record.files) > 1
    return (
        f"No program can fetch {record.name} from where its authors put it: {places}. Fetch it with a browser, then give "
        f"{'the folder of these files' if many else 'the file'}: --detector {record.name}={'FOLDER' if many else 'FILE'}, or keep it: "
        f"cnndetect detectors get {record.name} --from-file {'FOLDER' if many else 'FILE'}"
    )


def _downloaded(file: WeightFile, target: Path, progress: bool) -> None:
    download(file.urls, target, size=file.size, sha256=file.sha256, md5=file.md5, progress=progress)
    try:
        check_file(target, file)
    except WeightsError:
        target.unlink()
        raise


def _copied(source: Path, target: Path) -> None:
    write_whole(target, lambda temporary: shutil.copyfile(source, temporary))
