"""A data set of the Hugging Face Hub as a suite: hf://user/name, its Parquet shards fetched one at a time and written as images.

A shard is removed once its images are here, so the room that is needed is that of the images and one shard. A second call goes on
with the next shard; the revision is the one of the first call unless hf://user/name@REVISION names one.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from cnndetect.data.sets.arrange import arrange_parquet
from cnndetect.errors import DataError, DownloadError
from cnndetect.files import read_record, write_json
from cnndetect.paths import data_root
from cnndetect.progress import bar

SCHEME, RECORD = "hf://", "hub.json"
_ADDRESS = re.compile(r"hf://(?:datasets/)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?$")


class HubRecord(msgspec.Struct, kw_only=True):
    """A data set of the Hub on this machine: which revision, and which of its files are unpacked."""

    repo: str
    revision: str | None
    licence: str | list[str] | None = None
    files: list[str]
    done: list[str] = msgspec.field(default_factory=list)


def hub_suite(address: str, *, image: str = "image", label: str = "label", group: str | None = None) -> Path:
    """The folder ROOT/[GROUP/]{0_real,1_fake} of a data set of the Hub, fetched where it is not here yet.

    address: hf://USER/NAME[@REVISION].  image, label, group: columns of its Parquet files.  HF_ENDPOINT and the user's token are
    honoured.  Raises DataError for another address, a set without Parquet files or a missing extra, DownloadError.
    """
    found = _ADDRESS.match(address)
    if not found:
        raise DataError(f"{address} is not a data set of the Hub. Expected hf://USER/NAME or hf://USER/NAME@REVISION.")
    repo, wanted = found[1], found[2]
    folder = data_root() / "hub" / (repo.replace("/", "--") + (f"--{re.sub(r'[^A-Za-z0-9_.-]+', '-', wanted)}" if wanted else ""))
    advice = f"Remove {folder} and fetch it again."
    record = (
        read_record(folder / RECORD, HubRecord, what="the record of a fetched set", advice=advice) if (folder / RECORD).is_file() else None
    )
    if record and record.done == record.files:
        return folder
    hub = _library()
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        if record is None:
            info = hub.HfApi(endpoint=endpoint).dataset_info(repo, revision=wanted)
            files = sorted(one.rfilename for one in info.siblings or [] if one.rfilename.endswith(".parquet"))
            if not files:
                raise DataError(f"{repo} has no Parquet file. Fetch it, then bring it into a layout of the bench: cnndetect data arrange.")
            licence = getattr(info.card_data, "license", None) if info.card_data else None
            record = HubRecord(repo=repo, revision=info.sha, licence=licence, files=files)
            print(f"{repo}@{info.sha}: licence {licence or 'not stated'}", file=sys.stderr)
        left = [name for name in record.files if name not in record.done]
        for name in bar(left, desc=repo, unit="file", leave=True):
            shards = folder / ".shards"
            path = hub.hf_hub_download(repo, name, repo_type="dataset", revision=record.revision, local_dir=shards, endpoint=endpoint)
            prefix = f"{record.files.index(name):05d}-"
            arrange_parquet([path], folder, image=image, label=label, group=group, prefix=prefix)
            record.done.append(name)
            write_json(folder / RECORD, record)
            Path(path).unlink()
    except (hub.errors.HfHubHTTPError, OSError) as error:
        raise DownloadError(f"{repo} could not be fetched: {error}. What is here is kept; the same command continues.") from error
    return folder


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise DataError("Sets of the Hugging Face Hub need huggingface_hub. Install: python -m pip install 'cnndetect[data]'") from error
    return huggingface_hub
