"""The suite of public generators: one pipeline for every image, pinned origins, and nothing that trains may touch it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnndetect.bench.suites import PUBLIC_VERSION, find_suites, list_suites
from cnndetect.cli.main import main
from cnndetect.data.folders import scan
from cnndetect.data.test_only import refuse_test_images
from cnndetect.errors import DataError, DownloadError, LayoutError, ProtocolError, UnknownNameError
from cnndetect.images import to_rgb_array
from cnndetect.zoo.public import origins
from cnndetect.zoo.public.build import build_public
from cnndetect.zoo.public.catalogue import GENERATORS
from cnndetect.zoo.public.generator import PublicGenerator, import_file
from cnndetect.zoo.public.origins import Repository, Wheel, digest

CODE = "def make(photo):\n    return 255 - photo\n"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four crops of each of three photographs."""
    root = tmp_path / "photos"
    root.mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (128, 128, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"photo{number // 4}__{number % 4}.png")
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The files of one wheel, as if they had been fetched."""
    folder = tmp_path / "cache" / "invert-1.0"
    folder.mkdir(parents=True)
    (folder / "code.py").write_text(CODE)
    return tmp_path / "cache"


def _generators(cache: Path) -> list[PublicGenerator]:
    wheel = Wheel("invert", "1.0", ("code.py",), digest(cache / "invert-1.0", ("code.py",)))

    def load(root: Path):
        code = import_file(root / "code.py")
        return lambda photo, index: code.make(photo)

    def noise(root: Path):
        return lambda photo, index: np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    return [
        PublicGenerator("invert", wheel, "MIT", "inverts", load),
        PublicGenerator("noise", wheel, "MIT", "noise", noise, kind="noise", size_px=64),
        PublicGenerator("needy", wheel, "MIT", "needs a module", load, needs=("no_such_module",)),
        PublicGenerator("changed", Wheel("invert", "1.0", ("code.py",), "0" * 64), "MIT", "another file", load),
    ]


def test_the_suite_has_one_pipeline_and_says_what_could_not_be_had(photos: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "public"
    built = {row.name: row for row in build_public(photos, out, cache=cache, count=5, generators=_generators(cache))}
    assert [(row.name, row.images) for row in built.values()] == [("invert", 5), ("noise", 5), ("needy", 0), ("changed", 0)]
    assert "no_such_module" in built["needy"].reason and "digest" in built["changed"].reason
    for name, side in (("invert", 128), ("noise", 64)):
        samples = scan(out / name)
        assert [sum(sample.label == label for sample in samples) for label in (0, 1)] == [5, 5]
        for sample in samples:
            with Image.open(sample.path) as image:
                assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", (side, side), {})
    reals = {sample.path.name: sample for sample in scan(out / "invert") if sample.label == 0}
    assert sorted({name.split("__")[0] for name in reals}) == ["photo0", "photo1", "photo2"]
    for fake in (sample for sample in scan(out / "invert") if sample.label == 1):
        real = reals[fake.path.name]
        assert (np.asarray(Image.open(fake.path)) == 255 - np.asarray(Image.open(real.path))).all() and fake.cluster == real.cluster
    assert {row["name"] for row in json.loads((out / "built.json").read_text()) if row["reason"] is None} == {"invert", "noise"}


def test_an_interrupted_build_goes_on_and_keeps_what_is_there(photos: Path, cache: Path, tmp_path: Path) -> None:
    out, made = tmp_path / "public", []

    def load(root: Path):
        def make(photo: np.ndarray, index: int) -> np.ndarray:
            if len(made) == 3:
                made.append(index)
                raise KeyboardInterrupt
            made.append(index)
            return photo

        return make

    generator = PublicGenerator("slow", _generators(cache)[0].origin, "MIT", "stops", load)
    with pytest.raises(KeyboardInterrupt):
        build_public(photos, out, cache=cache, count=6, generators=[generator])
    (row,) = build_public(photos, out, cache=cache, count=6, generators=[generator])
    assert row.images == 6 and made == [0, 1, 2, 3, 3, 4, 5]


def test_nothing_trains_on_it_and_the_bench_finds_it(photos: Path, cache: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CNNDETECT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LayoutError, match="cnndetect zoo public"):
        find_suites("public")
    assert "public" not in list_suites()
    build_public(photos, tmp_path / "data" / "public", cache=cache, count=5, generators=_generators(cache))
    (suite,) = find_suites("public")
    assert (
        suite.title == f"public@{PUBLIC_VERSION}" and [one.name for one in suite.sets] == ["invert", "noise"] and "public" in list_suites()
    )
    assert f"public@{PUBLIC_VERSION}" in [one.title for one in find_suites("all")]
    for place in ("", "invert", "invert/1_fake", "reals"):
        with pytest.raises(ProtocolError, match="test suite public"):
            refuse_test_images(tmp_path / "data" / "public" / place, purpose="training")


def test_mistakes_are_named(photos: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="vintagify"):
        build_public(photos, tmp_path / "out", cache=cache, only=["vintagif"], count=2)
    with pytest.raises(DataError, match="12 photographs. Expected at least 13"):
        build_public(photos, tmp_path / "out", cache=cache, count=13, generators=_generators(cache))


def test_a_repository_is_fetched_once_and_checked(tmp_path: Path, monkeypatch) -> None:
    fetched = []

    def download(urls, path, **options):
        fetched.append(urls[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CODE)

    monkeypatch.setattr(origins, "download", download)
    (tmp_path / "code.py").write_text(CODE)
    right = digest(tmp_path, ("code.py",))
    for _ in range(2):
        Repository("a/b", "c" * 40, ("code.py",), right).folder(tmp_path / "cache")
    assert fetched == [f"https://raw.githubusercontent.com/a/b/{'c' * 40}/code.py"]
    with pytest.raises(DownloadError, match=f"Expected {'0' * 64}"):
        Repository("a/b", "c" * 40, ("code.py",), "0" * 64).folder(tmp_path / "cache")


def test_every_generator_is_pinned_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for generator in GENERATORS.values():
        assert len(generator.origin.sha256) == 64 and generator.origin.files and generator.licence and generator.what
        pinned = generator.origin.version if isinstance(generator.origin, Wheel) else generator.origin.commit
        assert pinned.strip() and (isinstance(generator.origin, Wheel) or len(pinned) == 40)
    assert main(["zoo", "public", "--list"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == [*GENERATORS]
    assert main(["zoo", "public"]) == 2 and "--photos is missing" in capsys.readouterr().err


def test_the_sample_that_ships_has_equal_classes_a_source_for_every_photograph_and_trains_nothing() -> None:
    sample = Path(__file__).resolve().parents[2] / "benchmarks" / "public-sample"
    sets = find_suites(sample)[0].sets
    assert {one.name for one in sets} == set(GENERATORS) - {"dcgan-face", "mobilestylegan"}
    attribution = (sample / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for one in sets:
        found = scan(one.root)
        names = {label: sorted(each.path.stem for each in found if each.label == label) for label in (0, 1)}
        assert names[0] == names[1] and len(names[0]) == 3, one.name
        assert all(f"| {name.rpartition('__')[0]} |" in attribution for name in names[0])
        assert all(to_rgb_array(each.path).shape == (128, 128, 3) for each in found)
    with pytest.raises(ProtocolError, match="test suite public-sample"):
        refuse_test_images(sample, purpose="training")
