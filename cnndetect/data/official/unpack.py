"""Unpack the labelled images of a zip: every file is written completely and checked, or it is not written.

A member is GENERATOR/[CLASS/]{0_real,1_fake}/FILE, whatever folders stand in front. Its CRC-32, from the archive's
directory, is checked before the file gets its name; what is there already and has that CRC-32 is left alone.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cnndetect.data.folders import FAKE, REAL
from cnndetect.data.official.catalog import Group
from cnndetect.data.official.download import CHUNK_BYTES, check_room
from cnndetect.errors import DataError, DownloadError
from cnndetect.progress import bar

_BYTES: dict[str, Any] = {"unit": "B", "unit_scale": True, "leave": True}
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, struct.error)


@dataclass(frozen=True)
class Member:
    """A file of the archive."""

    info: zipfile.ZipInfo
    relative: str  # where it goes, with / between the parts


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked."""

    written: int  # files
    kept: int  # files that were here already
    bytes: int  # of the written ones
    failed: tuple[str, ...]  # a line for each file that is not in the folder


def list_members(archive: zipfile.ZipFile, groups: Collection[Group]) -> list[Member]:
    """Members of these groups, in the archive's order.

    Raises DataError where a name leads out of the folder (zip slip), before anything is written.
    """
    flat = {group.name for group in groups if "" in group.classes}
    deep = {group.name for group in groups if "" not in group.classes}
    found: dict[str, Member] = {}
    for info in archive.infolist():
        parts = _safe_parts(info)
        label = next((index for index, part in enumerate(parts[:-1]) if part in (REAL, FAKE)), 0)
        # The name next to the label decides: "train" is a category, and may be a folder around all of them too.
        top = label - 1 if label and parts[label - 1] in flat else label - 2 if label > 1 and parts[label - 2] in deep else None
        if top is not None and not info.is_dir():
            relative = "/".join(parts[top:])
            found[relative] = Member(info, relative)
    return sorted(found.values(), key=lambda member: member.info.header_offset)


def unpack(
    archive: zipfile.ZipFile,
    members: Collection[Member],
    folder: Path,
    *,
    progress: bool = True,
    doubt: Callable[[], None] | None = None,
) -> Unpacked:
    """Write the members below ``folder``, which may hold some of them already; the room on the disk is checked first.

    doubt: called where the bytes of a member were wrong, before the one other attempt at it.
    Raises DownloadError where there is no room or the source has failed; the next call continues.
    """
    present = _present(members, folder, progress)
    missing = [member for member in members if member.relative not in present]
    check_room(folder, sum(m.info.file_size for m in missing), what=f"Unpacking {len(missing)} files")
    failed: list[str] = []
    size = 0
    with bar(total=sum(m.info.compress_size for m in missing), desc="unpacking", shown=progress, **_BYTES) as shown:
        for member in missing:
            problem = _write(archive, member, folder)
            if problem and doubt is not None:
                doubt()
                problem = _write(archive, member, folder)
            if problem:
                failed.append(f"{member.relative}: {problem}")
            size += 0 if problem else member.info.file_size
            shown.update(member.info.compress_size)
    return Unpacked(len(missing) - len(failed), len(present), size, tuple(failed))


def _safe_parts(info: zipfile.ZipInfo) -> tuple[str, ...]:
    name = info.orig_filename
    parts = PurePosixPath(name).parts
    link = stat.S_ISLNK(info.external_attr >> 16)
    if link or not parts or ".." in parts or parts[0] == "/" or "\\" in name or "\0" in name or name[1:2] == ":":
        raise DataError(
            f"The archive holds the {'link' if link else 'name'} {name!r}, which may lead out of the folder. Nothing was written; "
            "take the archive from another place."
        )
    return parts


def _present(members: Collection[Member], folder: Path, progress: bool) -> set[str]:
    """Names of the members that are there already, whole: by size, then by CRC-32."""
    alike = [member for member in members if _size(folder / member.relative) == member.info.file_size]
    found = set()
    with bar(total=sum(m.info.file_size for m in alike), desc="checking", shown=progress and bool(alike), **_BYTES) as shown:
        for member in alike:
            if zlib.crc32((folder / member.relative).read_bytes()) == member.info.CRC:
                found.add(member.relative)
            shown.update(member.info.file_size)
    return found


def _write(archive: zipfile.ZipFile, member: Member, folder: Path) -> str | None:
    """Write one file; what is wrong with it where it is not there afterwards."""
    target = folder / member.relative
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with archive.open(member.info) as source, part.open("wb") as file:
            # At the last byte zipfile compares the CRC-32.
            shutil.copyfileobj(source, file, CHUNK_BYTES)
        if _size(part) != member.info.file_size:
            return f"{_size(part)} bytes, expected {member.info.file_size}"
        os.replace(part, target)
    except _BROKEN as error:
        return f"the bytes are wrong ({error})"
    except (NotImplementedError, RuntimeError) as error:
        return f"cannot be unpacked ({error})"
    except OSError as error:
        raise DownloadError(f"{target} cannot be written: {error.strerror or error}. The same command continues.") from error
    finally:
        part.unlink(missing_ok=True)
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
