"""Drawings and tables in, files out: figures/NAME.png, figures/NAME.svg and data/NAME.csv, each whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np

from cnndetect.report.page import Data


def write_whole(path: Path, content: bytes) -> None:
    """Write through a temporary file, so that a reader never sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def csv_text(data: Data) -> str:
    """The rows as CSV; numbers with nine digits, NaN as an empty cell.

    >>> csv_text(Data(["a", "b"], [["x", 1 / 3], ["y", float("nan")]]))
    'a,b\\nx,0.333333333\\ny,\\n'
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(data.head)
    writer.writerows([[_plain(cell) for cell in row] for row in data.rows])
    return buffer.getvalue()


def _plain(cell: object) -> object:
    if cell is None:
        return ""
    if isinstance(cell, (float, np.floating)):
        return "" if np.isnan(cell) else f"{float(cell):.9g}"
    return cell
