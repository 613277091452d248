"""Spectra of test sets: the common side, shared work, and files that have no part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnndetect.analysis.set_spectra import Known, set_spectra
from cnndetect.analysis.spectra import mean_spectrum
from cnndetect.errors import ImageError
from cnndetect.images import to_rgb_array


def draw(root: Path, sizes: dict[str, list[tuple[int, int]]]) -> Path:
    for name, shapes in sizes.items():
        (root / name).mkdir(parents=True)
        for index, (height, width) in enumerate(shapes):
            array = np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(array).save(root / name / f"{index}.png")
    return root


def test_the_side_is_even_and_one_that_most_images_have(tmp_path: Path) -> None:
    root = draw(tmp_path, {"0_real": [(40, 33), (35, 60), (50, 50), (37, 41)], "1_fake": [(64, 64), (9, 9), (64, 70), (99, 64), (64, 64)]})
    real, fake = set_spectra(root)
    assert real.magnitude.shape == fake.magnitude.shape == (34, 34)
    assert (real.count, fake.count) == (3, 4)  # 33 px and 9 px are too small
    with pytest.raises(ImageError, match="nothing is resized"):
        set_spectra(root, size_px=128)


def test_a_class_is_the_mean_of_its_files_and_shared_reals_are_read_once(tmp_path: Path) -> None:
    root = draw(tmp_path / "a", {"0_real": [(32, 32)] * 3, "1_fake": [(32, 32)] * 2})
    known: Known = {}
    real, fake = set_spectra(root, known=known)
    files = sorted((root / "1_fake").iterdir())
    assert np.array_equal(fake.magnitude, mean_spectrum(map(to_rgb_array, files), size_px=32).magnitude)
    other = draw(tmp_path / "b", {"1_fake": [(32, 32)]})
    (other / "0_real.txt").write_text("".join(f"{path}\n" for path in sorted((root / "0_real").iterdir())))
    again, _ = set_spectra(other, known=known)
    assert again.count == 3
    assert set_spectra(root, known=known)[0] is real and len(known) in (3, 4)
    assert set_spectra(root, limit=1)[0].count == 1


def test_unreadable_files_have_no_part(tmp_path: Path) -> None:
    root = draw(tmp_path, {"0_real": [(32, 32)] * 3, "1_fake": [(32, 32)] * 2})
    (root / "0_real" / "bad.png").write_bytes(b"no image")
    assert set_spectra(root)[0].count == 3
    for path in (root / "1_fake").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(ImageError, match="None of 2 images can be read"):
        set_spectra(root)
