"""The journal of a run has one line per finished batch, so that a killed run loses at most the current batch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from cnndetect.scoring.provenance import Provenance

# Name of an image -> its logit and the reason why it failed, "" where it did not.
Done = dict[str, tuple[float, str]]


def read_journal(path: Path, provenance: Provenance) -> Done:
    """What an interrupted run has scored; the file is ready to be appended to.

    A journal of other provenance starts afresh. A torn last line is cut off.
    """
    head = provenance.to_json().encode()
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    if lines[0] != head or len(lines) == 1:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(head + b"\n")
        return {}
    done: Done = {}
    whole = len(head) + 1
    for line in lines[1:-1]:
        try:
            done.update({name: (logit, reason) for name, logit, reason in json.loads(line)})
        except ValueError:
            break
        whole += len(line) + 1
    os.truncate(path, whole)
    return done


def write_batch(file: TextIO, batch: Iterable[tuple[str, float, str]]) -> None:
    """Append (name, logit, reason) of each image as one line, flushed."""
    file.write(json.dumps(list(batch)) + "\n")
    file.flush()
