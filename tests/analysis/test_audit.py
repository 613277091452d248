"""The audit: it names bias, stays quiet without, finds duplicates and leaks, and its classifiers cannot cheat."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cnndetect.analysis.audit.classify import cross_validated_ap, logistic, out_of_fold, trees
from cnndetect.analysis.audit.files import encoder_of, examine, ijg_tables, jpeg_quality
from cnndetect.analysis.audit.history import FREQUENCIES, pixel_history
from cnndetect.analysis.audit.pixels import difference_hash, global_statistics, jpeg_grid
from cnndetect.analysis.audit.table import audit_suite
from cnndetect.analysis.audit.verdict import BIASED, METADATA_BAR, QUIET, TOO_FEW, WARNING, audit_set, training_facts
from cnndetect.audit import main
from cnndetect.bench.suites import find_suites
from cnndetect.data.folders import Sample
from cnndetect.errors import LayoutError
from cnndetect.images import open_stored, read_file
from cnndetect.metrics.bounds import LEAST_PHOTOGRAPHS
from cnndetect.transforms.augment import jpeg

Save = Callable[[Image.Image, Path], None]


def picture(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A smooth random scene with noise; no two are alike."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noisy = np.asarray(coarse) + rng.normal(0, 6, (size[1], size[0], 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def as_png(image: Image.Image, path: Path) -> None:
    image.save(path.with_suffix(".png"))


def as_jpeg(image: Image.Image, path: Path) -> None:
    image.save(path.with_suffix(".jpg"), quality=90)


def draw_set(
    root: Path, real: Save = as_png, fake: Save = as_png, *, count: int = 16, same: bool = False, size: tuple[int, int] = (64, 48)
) -> Path:
    """Pictures of one kind in both classes, one photograph each, saved by ``real`` and by ``fake``."""
    for label, (name, save) in enumerate((("0_real", real), ("1_fake", fake))):
        (root / name).mkdir(parents=True)
        for index in range(count):
            save(picture(index if same else 1000 * label + index, size), root / name / f"{name}{index}")
    return root


def test_real_jpeg_and_fake_png_is_shouted_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = draw_set(tmp_path / "biased", real=as_jpeg)
    found = audit_set(root, draws=100)
    assert found.verdict == BIASED and found.metadata.value == 1.0
    assert "files alone tell real from fake: AP 1.00" in found.reasons[0] and "formats: real JPEG" in found.reasons[0]
    assert found.real.jpeg_quality == (90.0, 90.0, 90.0) and found.fake.jpeg_quality is None
    assert main([str(root), "--draws", "100"]) == 1
    assert "BIASED" in capsys.readouterr().out


@pytest.mark.parametrize("save", [as_png, as_jpeg])
def test_one_encoder_for_both_classes_is_quiet(tmp_path: Path, save: Save) -> None:
    found = audit_set(draw_set(tmp_path / "fair", real=save, fake=save), draws=100)
    assert found.verdict == QUIET and not found.reasons
    assert found.metadata.value == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("count", [1, LEAST_PHOTOGRAPHS - 1, LEAST_PHOTOGRAPHS])
def test_too_few_photographs_are_never_quiet(tmp_path: Path, count: int) -> None:
    found = audit_set(draw_set(tmp_path / "few", count=count), draws=0)
    assert found.verdict == (QUIET if count == LEAST_PHOTOGRAPHS else TOO_FEW)
    assert found.reasons == () or f"too few photographs to tell: one class has {count}" in found.reasons[0]
    assert any(f"{2 * count} photographs or pictures of their own; 0 pairs" in note for note in found.notes)


def test_mini_is_quiet_on_files() -> None:
    for found in audit_suite(find_suites("mini")[0], draws=0):
        # A generator that repeats itself earns a warning, and is no matter of the files.
        of_files = [reason for reason in found.reasons if "pairs of one class are nearly equal pictures" not in reason]
        assert found.verdict != BIASED and not of_files, (found.name, found.reasons)
        assert found.metadata.value <= METADATA_BAR
        assert set(found.real.encoders) == set(found.fake.encoders)


@pytest.mark.parametrize("change", [
    lambda image, path: image.save(path.with_suffix(".jpg"), quality=75),
    lambda image, path: image.save(path.with_suffix(".jpg"), quality=90, subsampling=0),
    lambda image, path: image.save(path.with_suffix(".jpg"), quality=90, progressive=True),
    lambda image, path: image.save(path.with_suffix(".jpg"), quality=90, exif=_exif("camera")),
    lambda image, path: image.resize((64, 64)).save(path.with_suffix(".jpg"), quality=90),
    lambda image, path: image.convert("L").save(path.with_suffix(".jpg"), quality=90),
], ids=["quality", "subsampling", "progressive", "metadata", "size", "grey"])  # fmt: skip
def test_every_mark_of_a_file_is_seen(tmp_path: Path, change: Save) -> None:
    found = audit_set(draw_set(tmp_path / "set", real=as_jpeg, fake=change), draws=100)
    assert found.verdict == BIASED and found.metadata.value > 0.95, found.as_plain()


def test_png_programs_are_told_apart_and_pictures_are_not(tmp_path: Path) -> None:
    def marks(image: Image.Image, **options: object) -> str:
        path = tmp_path / "a.png"
        image.save(path, **options)
        return encoder_of(open_stored(path.read_bytes()), path.read_bytes())

    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "x")
    first = marks(picture(0))
    assert marks(picture(1)) == first == marks(picture(2).resize((9, 9)))
    others = {marks(picture(0), compress_level=1), marks(picture(0), pnginfo=info), marks(picture(0).convert("RGBA"))}
    assert len(others | {first}) == 4


def test_jpeg_quality_is_read_from_the_tables(tmp_path: Path) -> None:
    for quality in (1, 30, 75, 90, 95, 100):
        picture(0).save(tmp_path / "a.jpg", quality=quality)
        assert jpeg_quality(open_stored(read_file(tmp_path / "a.jpg"))) == (quality, True)
    # Tables of another maker: nearest by the scale, and said to be other.
    table = [max(1, value + (k % 3) - 1) for k, value in enumerate(ijg_tables(80)[0])]
    picture(0).save(tmp_path / "b.jpg", qtables=[table, table])
    quality, exact = jpeg_quality(open_stored(read_file(tmp_path / "b.jpg")))
    assert abs(quality - 80) <= 3 and not exact
    picture(0).save(tmp_path / "c.png")
    assert np.isnan(jpeg_quality(open_stored(read_file(tmp_path / "c.png")))[0])


def test_ijg_tables_are_the_standards() -> None:
    # ITU-T T.81, tables K.1 and K.2: the first rows; quality 50 leaves them as they are.
    assert ijg_tables(50)[0][:8] == (16, 11, 10, 16, 24, 40, 51, 61)
    assert ijg_tables(50)[1][:8] == (17, 18, 24, 47, 99, 99, 99, 99)
    assert set(ijg_tables(100)[0]) == {1}


def test_duplicates_and_contradictions_are_named(tmp_path: Path) -> None:
    root = draw_set(tmp_path / "set")
    real, fake = root / "0_real", root / "1_fake"
    (real / "again.png").write_bytes((real / "0_real0.png").read_bytes())
    found = audit_set(root, draws=0)
    assert found.verdict == WARNING and "1 file is a duplicate: 0_real/0_real0.png = 0_real/again.png" in found.reasons
    (fake / "contradiction.png").write_bytes((real / "0_real1.png").read_bytes())
    found = audit_set(root, draws=0)
    assert found.verdict == BIASED and "1 file is both real and fake: " in found.reasons[0]


def test_nearly_equal_pictures_are_found_through_resizing_and_jpeg(tmp_path: Path) -> None:
    root = draw_set(tmp_path / "set")
    changed = picture(3).resize((96, 72), Image.Resampling.BICUBIC)
    changed.save(root / "1_fake" / "copy.png")
    found = audit_set(root, draws=0)
    (pair,) = found.pairs
    assert not pair.exact and pair.between_classes and not pair.same_photograph
    assert {pair.first.sample.path.name, pair.second.sample.path.name} == {"0_real3.png", "copy.png"}
    assert found.verdict == WARNING


def test_likeness_that_names_explain_is_no_warning(tmp_path: Path) -> None:
    for name in ("0_real", "1_fake"):
        (tmp_path / name).mkdir()
        for index in range(10):
            array = np.asarray(picture(index)).astype(int) + (3 if name == "1_fake" else 0)
            Image.fromarray(array.clip(0, 255).astype(np.uint8)).save(tmp_path / name / f"lake{index}__0.png")
    found = audit_set(tmp_path, draws=0)
    assert len(found.pairs) == 10 and all(pair.same_photograph for pair in found.pairs)
    assert found.verdict == QUIET


def test_a_leak_from_the_training_folder_is_shouted_at(tmp_path: Path) -> None:
    root, training = draw_set(tmp_path / "set"), tmp_path / "training"
    training.mkdir()
    picture(77_000).save(training / "other.png")
    assert audit_set(root, against=training_facts(training), draws=0).verdict == QUIET
    picture(4).save(training / "near.jpg", quality=60)
    found = audit_set(root, against=training_facts(training), draws=0)
    assert found.verdict == WARNING and "nearly equal to one of the training folder" in found.reasons[0]
    (training / "same.png").write_bytes((root / "1_fake" / "1_fake5.png").read_bytes())
    found = audit_set(root, against=training_facts(training), draws=0)
    assert found.verdict == BIASED and "1 file is in the training folder too: " in found.reasons[0]


def test_bad_files_are_counted_and_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = draw_set(tmp_path / "set")
    (root / "0_real" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = audit_set(root, draws=0)
    assert found.real.unreadable == 1 and found.real.count == 17 and "1 file cannot be read (1 real, 0 fake)" in found.reasons
    assert main([str(root), "--draws", "0", "--json"]) == 1
    (plain,) = json.loads(capsys.readouterr().out)
    assert plain["real"]["unreadable"] == 1 and plain["ap"]["metadata"]["low"] is None
    for path in (root / "1_fake").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(LayoutError, match="no fake file can be read"):
        audit_set(root, draws=0)


def test_the_command_refuses_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "no such folder" in capsys.readouterr().err


def test_a_useless_classifier_scores_chance_and_one_photograph_stays_on_one_side() -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 60)
    aps = [
        cross_validated_ap(rng.normal(size=(120, 3)), labels, [str(k) for k in range(120)], make, draws=0).value
        for make, times in ((trees, 2), (logistic, 10))
        for _ in range(times)
    ]
    assert abs(np.mean(aps) - 0.5) < 0.06
    # A column that names the photograph, each of one class: known only to who has seen the photograph.
    photographs = np.repeat(np.arange(12), 10)
    told = np.eye(12)[photographs]
    seen = out_of_fold(told, (photographs % 2), [str(k) for k in range(120)], trees)
    unseen = out_of_fold(told, (photographs % 2), [str(k) for k in photographs], trees)
    assert (np.round(seen) == photographs % 2).mean() == 1 and (np.round(unseen) == photographs % 2).mean() < 0.7


def test_chance_is_a_half_whatever_the_counts() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    constant = cross_validated_ap(np.ones((100, 2)), labels, [str(k) for k in range(100)], trees, draws=0)
    assert constant.value == pytest.approx(0.5)


def test_statistics_say_what_their_names_say() -> None:
    base = np.asarray(picture(0)).astype(float)
    names = ("red", "green", "blue", "contrast", "saturation", "sharpness", "noise", "jpeg grid")

    def of(array: np.ndarray) -> dict[str, float]:
        return dict(zip(names, global_statistics(array.clip(0, 255).round().astype(np.uint8)), strict=True))

    first = of(base)
    assert first["red"] == pytest.approx(base.round()[:, :, 0].mean())
    assert of(base + [10, 0, 0])["red"] > first["red"] and of(base * 0.5)["contrast"] < first["contrast"]
    assert of(np.repeat(base.mean(axis=2, keepdims=True), 3, axis=2))["saturation"] == 0
    noisy = of(base + np.random.default_rng(1).normal(0, 10, base.shape))
    assert noisy["noise"] > first["noise"] and noisy["sharpness"] > first["sharpness"]


def test_the_jpeg_grid_is_seen(tmp_path: Path) -> None:
    image = picture(0, (128, 128))
    image.save(tmp_path / "a.jpg", quality=20)
    grid = jpeg_grid(np.asarray(Image.open(tmp_path / "a.jpg").convert("L")).astype(float))
    assert grid > 0.3 > abs(jpeg_grid(np.asarray(image.convert("L")).astype(float)))


def test_hashes_stay_near_for_one_picture_and_far_for_two(tmp_path: Path) -> None:
    def distance(a: Image.Image, b: Image.Image) -> int:
        first, second = difference_hash(np.asarray(a)), difference_hash(np.asarray(b))
        assert first is not None and second is not None
        return int((first != second).sum())

    picture(1).save(tmp_path / "a.jpg", quality=50)
    assert distance(picture(1), Image.open(tmp_path / "a.jpg")) <= 6
    assert distance(picture(1), picture(1).resize((200, 150))) <= 10
    assert min(distance(picture(1), picture(k)) for k in range(2, 12)) > 30


def test_facts_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture(0).save(path)
    fact = examine(Sample(path, 0, "0_real/a.png", "0_real/a.png"))
    assert (fact.format, fact.mode, fact.width, fact.height, fact.bytes) == ("PNG", "RGB", 64, 48, path.stat().st_size)


def _exif(software: str) -> Image.Exif:
    exif = Image.Exif()
    exif[305] = software
    return exif


def _through_jpeg(image: Image.Image, path: Path) -> None:
    memory = io.BytesIO()
    image.save(memory, "jpeg", quality=80)
    Image.open(memory).save(path.with_suffix(".png"))


def _enlarged(image: Image.Image, path: Path) -> None:
    width, height = image.size
    larger = image.resize((int(1.7 * width), int(1.7 * height)), Image.Resampling.BICUBIC)
    larger.crop((0, 0, width, height)).save(path.with_suffix(".png"))


@pytest.mark.parametrize("save", [_through_jpeg, _enlarged])
def test_an_earlier_compression_or_size_is_found_inside_a_png(tmp_path: Path, save: Save) -> None:
    found = audit_set(draw_set(tmp_path / "set", real=save, size=(160, 160)), draws=100)
    assert found.metadata.value == pytest.approx(0.5, abs=1e-9) and found.history.value > 0.9
    assert found.verdict == BIASED and "earlier JPEG compression or resizing" in found.reasons[0]


def test_what_both_classes_went_through_is_no_history() -> None:
    noisy = np.asarray(picture(1, (128, 128)))
    steps = pixel_history(jpeg(noisy, 50))[:7]
    known = [ijg_tables(50)[0][8 * row + column] for row, column in FREQUENCIES]
    seen = ~np.isnan(steps)
    assert seen.any() and np.mean(steps[seen] == np.array(known)[seen]) > 0.7, (steps, known)
    assert (pixel_history(noisy)[:7] == 1).all() and np.isnan(pixel_history(np.full((64, 64, 3), 9, np.uint8))[:7]).all()
