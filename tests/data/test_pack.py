"""A packed suite is the suite: the same paths, names, pixels, fingerprints, clusters and scores, in fewer files."""

from __future__ import annotations

import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from drawn_official import write_members
from drawn_suite import draw_suite, run
from loopback import png
from PIL import Image

from cnndetect.bench.suites import find_suites
from cnndetect.data.folders import clusters, contents, fingerprint, scan
from cnndetect.data.pack import pack_suite
from cnndetect.errors import DataError, ImageError
from cnndetect.images import list_images, open_image, packs, read_file


@pytest.fixture
def both(tmp_path) -> tuple[Path, Path]:
    """The same suite as folders and packed: two sets with shared reals, one with its own."""
    root = tmp_path / "plain" / "suite"
    write_members(root, {f"reals/lake__{k}.png": png(k, 16) for k in range(3)} | {f"{f}/1_fake/lake__{k}.png": png(10 + k, 16) for k in range(3)
                         for f in ("crn", "imle")} | {f"san/car/{c}/{k}.png": png(30 + k + len(c), 20) for k in range(2)
                         for c in ("0_real", "1_fake")})  # fmt: skip
    for family in ("crn", "imle"):
        (root / family / "0_real.txt").write_text("".join(f"../reals/lake__{k}.png\n" for k in range(3)))
    (root / "ATTRIBUTION.md").write_text("who")
    pack_suite(root, tmp_path / "packed" / "suite", effort=2, progress=False)
    return root, tmp_path / "packed" / "suite"


def test_everything_that_names_an_image_stays(both) -> None:
    plain, packed = both
    assert sorted(path.name for path in packed.iterdir()) == ["ATTRIBUTION.md", "crn.pack.zip", "imle.pack.zip", "reals.pack.zip",
                                                             "san.pack.zip"]  # fmt: skip
    (a,), (b,) = find_suites(plain), find_suites(packed)
    assert [one.name for one in a.sets] == [one.name for one in b.sets] == ["crn", "imle", "san"]
    for one, other in zip(a.sets, b.sets, strict=True):
        x, y = scan(one.root), scan(other.root)
        assert [(s.relative, s.label, s.cluster) for s in x] == [(s.relative, s.label, s.cluster) for s in y]
        assert fingerprint(x) == fingerprint(y) and clusters(x, contents(x)) == clusters(y, contents(y))
        assert all(np.array_equal(np.asarray(open_image(s.path)), np.asarray(open_image(t.path))) for s, t in zip(x, y, strict=True))
    assert [p.name for p in list_images(packed / "reals")] == [p.name for p in list_images(plain / "reals")]


def test_every_image_has_one_format_and_no_metadata(both) -> None:
    for file in both[1].glob("*.pack.zip"):
        with zipfile.ZipFile(file) as archive:
            images = [archive.read(name) for name in archive.namelist() if name.endswith(".webp")]
            assert {info.compress_type for info in archive.infolist() if info.filename != "index.json"} == {zipfile.ZIP_STORED}
        assert images and {image[8:16] for image in images} == {b"WEBPVP8L"}


def test_scores_are_the_same_and_stored_ones_are_trusted(tmp_path) -> None:
    root = draw_suite(tmp_path / "a" / "s")
    pack_suite(root, tmp_path / "b" / "s", effort=0, progress=False)
    first = run(root, tmp_path / "r")
    calls: list[int] = []
    from drawn_suite import brightness, named

    again = run(tmp_path / "b" / "s", tmp_path / "r", named(lambda images: (calls.append(1), brightness(images))[1]))
    assert [repr(x.metrics) for x in first.results] == [repr(x.metrics) for x in again.results] and calls == []
    fresh = run(tmp_path / "b" / "s", tmp_path / "other")
    assert [repr(x.metrics) for x in first.results] == [repr(x.metrics) for x in fresh.results]


def test_changed_bytes_change_the_fingerprint(both) -> None:
    samples = scan(both[1] / "san")
    before = fingerprint(samples)
    member = packs.find(samples[0].path)
    assert member is not None
    with member.file.open("r+b") as file:
        file.seek(member.offset + member.size - 3)
        file.write(b"xyz")
    assert fingerprint(scan(both[1] / "san")) != before


def test_packs_are_read_from_many_threads(both) -> None:
    paths = [sample.path for sample in scan(both[1] / "crn")] * 20
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read_file, paths))
    assert len(set(found)) == 6


def test_a_folder_wins_over_its_pack_and_what_is_missing_is_missing(both) -> None:
    plain, packed = both
    with pytest.raises(ImageError, match="does not exist"):
        open_image(packed / "crn" / "1_fake" / "none.png")
    shutil.copytree(plain / "reals", packed / "reals")
    assert packs.find(packed / "reals" / "lake__0.png") is None and open_image(packed / "reals" / "lake__0.png").size == (16, 16)
    (packed / "bad.pack.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="bad.pack.zip is not a pack of images"):
        find_suites(packed)


def test_what_webp_would_change_is_not_packed(tmp_path) -> None:
    write_members(tmp_path / "s", {"x/1_fake/a.png": b"no image"})
    with pytest.raises(ImageError):
        pack_suite(tmp_path / "s", tmp_path / "out", progress=False)
    with pytest.raises(DataError, match="no folder to pack"):
        pack_suite(tmp_path / "s" / "x" / "1_fake", tmp_path / "out")
    image = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)
    (tmp_path / "t" / "x").mkdir(parents=True)
    Image.fromarray(image).save(tmp_path / "t" / "x" / "grey.png")
    pack_suite(tmp_path / "t", tmp_path / "out2", progress=False)
    assert np.array_equal(np.asarray(open_image(tmp_path / "out2" / "x" / "grey.png"))[..., 0], image)


def test_packed_paths_are_taken_wherever_a_folder_is(both, capsys) -> None:
    from cnndetect import score
    from cnndetect.cli.score import find_images

    plain, packed = both
    folder, file = packed / "crn" / "1_fake", packed / "crn" / "1_fake" / "lake__0.png"
    assert [path.name for path in find_images([str(folder)])] == [f"lake__{k}.png" for k in range(3)]

    def brightness(images):
        return images.mean(dim=(1, 2, 3))

    assert np.array_equal(score(folder, detector=brightness), score(plain / "crn" / "1_fake", detector=brightness))
    assert score(file, detector=brightness) == score(plain / "crn" / "1_fake" / "lake__0.png", detector=brightness)
    assert [one.name for one in find_suites(packed / "san")[0].sets] == ["car"] and scan(packed / "san")[0].relative == "car/0_real/0.png"
