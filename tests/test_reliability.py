"""The damaged files of benchmarks/reliability: the same for the same seed, and each is an image or an ImageError."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cnndetect.errors import ImageError
from cnndetect.images import list_images, to_rgb_array

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "reliability"))
damaged = pytest.importorskip("damaged")


def test_a_damaged_file_is_an_image_or_an_image_error() -> None:
    outcomes = {"image": 0, "error": 0}
    for index in range(300):
        kind, content = damaged.make(7, index)
        assert (kind, content) == damaged.make(7, index)
        try:
            array = to_rgb_array(content)
            assert array.dtype == np.uint8 and array.ndim == 3
            outcomes["image"] += 1
        except ImageError as error:
            assert "Expected" in str(error) or "Save it" in str(error)
            outcomes["error"] += 1
    assert min(outcomes.values()) > 50


def test_traps_are_listed_once_and_end(tmp_path: Path) -> None:
    kinds = damaged.write_files(tmp_path / "set", 16, 7)
    traps = damaged.write_traps(tmp_path / "set")
    found = list_images(tmp_path / "set")
    assert len(found) == sum(kinds.values()) + traps == 21


def test_a_large_picture_has_the_megapixels_that_it_is_called_by(tmp_path: Path) -> None:
    (path,) = damaged.write_large(tmp_path / "set", [2])
    array = to_rgb_array(path)
    assert 2.0 <= array.shape[0] * array.shape[1] / 1e6 < 2.01 and path.stat().st_size < 100_000
    assert array.std() > 10 and (array == array[:1]).all()
