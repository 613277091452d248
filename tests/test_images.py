"""Every kind of image file: what is read, to the pixel, and what is refused, by name."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from cnndetect.errors import ImageError
from cnndetect.images import MAX_PIXELS, open_image, to_rgb_array

PHOTO = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "PPM": {}, "WEBP": {"lossless": True}, "JPEG2000": {"irreversible": False}}


def _bytes(image: Image.Image, format_name: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def _png(width: int, height: int, *, depth: int, color: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("format_name", LOSSLESS)
def test_lossless_formats_give_their_pixels(format_name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(_bytes(Image.fromarray(PHOTO), format_name, **LOSSLESS[format_name]))
    for source in (path, str(path), path.read_bytes()):
        assert np.array_equal(to_rgb_array(source), PHOTO)


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP"])
def test_lossy_formats_are_read_as_pillow_reads_them(format_name: str) -> None:
    content = _bytes(Image.fromarray(PHOTO), format_name, quality=80)
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(to_rgb_array(content), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("name", ["a.jpg", "a.txt", "a", "a.tar.PNG"])
def test_content_decides_the_format_not_the_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(_bytes(Image.fromarray(PHOTO), "BMP"))
    assert np.array_equal(to_rgb_array(tmp_path / name), PHOTO)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(format_name: str, orientation: int) -> None:
    smooth = Image.linear_gradient("L").resize((24, 16)).convert("RGB")
    smooth.paste((200, 30, 30), (0, 0, 8, 8))
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = smooth if undo[orientation] is None else smooth.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format_name, {})
    content = _bytes(stored, format_name, exif=exif, **options)

    once = open_image(content)
    assert once.size == smooth.size
    assert np.abs(np.asarray(once).astype(int) - np.asarray(smooth)).max() <= (6 if format_name == "JPEG" else 0)
    assert np.array_equal(np.asarray(open_image(once)), np.asarray(once))
    assert np.array_equal(to_rgb_array(Image.open(io.BytesIO(content))), np.asarray(once))


def test_damaged_exif_leaves_the_pixels_as_stored() -> None:
    content = _bytes(Image.fromarray(PHOTO), "PNG", exif=b"Exif\0\0not a tiff header")
    assert np.array_equal(to_rgb_array(content), PHOTO)


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    for format_name in ("PNG", "TIFF", "PPM"):
        pixels = to_rgb_array(_bytes(Image.fromarray(deep), format_name))
        assert pixels[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255], format_name
        assert (pixels == pixels[:, :, :1]).all()
    assert to_rgb_array(Image.fromarray(deep))[0, :, 1].tolist() == [0, 0, 1, 1, 128, 255]


def test_16_bit_rgb_is_within_one_level() -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (3, 5, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    pixels = to_rgb_array(_png(5, 3, depth=16, color=2, rows=rows))
    assert np.abs(pixels - deep / 257).max() <= 1


def test_grey_palette_and_bilevel() -> None:
    grey = PHOTO[:, :, 0]
    assert np.array_equal(to_rgb_array(_bytes(Image.fromarray(grey), "PNG")), np.dstack([grey] * 3))
    palette = Image.fromarray(PHOTO).quantize(200)
    assert np.array_equal(to_rgb_array(_bytes(palette, "PNG")), np.asarray(palette.convert("RGB")))
    bilevel = Image.fromarray(grey > 128)
    assert np.array_equal(to_rgb_array(_bytes(bilevel, "PNG"))[:, :, 2], (grey > 128) * np.uint8(255))


def test_alpha_is_dropped_not_blended() -> None:
    alpha = np.dstack([PHOTO, np.zeros((12, 20), np.uint8)])
    assert np.array_equal(to_rgb_array(_bytes(Image.fromarray(alpha), "PNG")), PHOTO)
    grey_alpha = Image.merge("LA", [Image.fromarray(PHOTO[:, :, 0]), Image.new("L", (20, 12))])
    assert np.array_equal(to_rgb_array(_bytes(grey_alpha, "PNG"))[:, :, 0], PHOTO[:, :, 0])


@pytest.mark.parametrize("transparency", [3, bytes(range(200))])
def test_palette_with_transparency_keeps_its_colours_without_a_warning(transparency: int | bytes) -> None:
    palette = Image.fromarray(PHOTO).quantize(200)
    content = _bytes(palette, "PNG", transparency=transparency)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(to_rgb_array(content), np.asarray(palette.convert("RGB")))


def test_cmyk_is_converted() -> None:
    cmyk = Image.new("RGB", (16, 16), (200, 40, 10)).convert("CMYK")
    for format_name in ("JPEG", "TIFF"):
        pixels = to_rgb_array(_bytes(cmyk, format_name))
        assert np.abs(pixels.astype(int) - [200, 40, 10]).max() <= 4, format_name


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animation_gives_its_first_frame(format_name: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    content = _bytes(frames[0], format_name, save_all=True, append_images=frames[1:])
    assert np.abs(to_rgb_array(content).astype(int) - [255, 0, 0]).max() <= 2


def test_one_pixel() -> None:
    assert to_rgb_array(_bytes(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG")).tolist() == [[[1, 2, 3]]]


def test_what_was_handed_in_stays_as_it_was() -> None:
    image, array = Image.fromarray(PHOTO), PHOTO.astype(np.float32) / 255
    exif_image = Image.open(io.BytesIO(_bytes(image, "PNG", exif=_orientation_exif(6))))
    open_image(exif_image), to_rgb_array(array)
    assert exif_image.size == (20, 12) and exif_image.getexif()[0x0112] == 6
    assert np.array_equal(array, PHOTO.astype(np.float32) / 255)


def _orientation_exif(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def _refused(source: object, *words: str) -> ImageError:
    with pytest.raises(ImageError) as caught:
        to_rgb_array(source)
    for word in words:
        assert word in str(caught.value)
    assert "Expected" in str(caught.value) or "Restore" in str(caught.value) or "Save it" in str(caught.value)
    return caught.value


@pytest.mark.parametrize("format_name", [*LOSSLESS, "JPEG", "GIF", "AVIF"])
def test_truncated_file_is_refused_with_its_name(format_name: str, tmp_path: Path) -> None:
    path = tmp_path / "half.png"
    image = Image.fromarray(PHOTO).resize((64, 64))
    try:
        content = _bytes(image, format_name)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {format_name}")
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        _refused(path, "half.png")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("format_name", [*LOSSLESS, "JPEG", "GIF"])
def test_damaged_bytes_are_an_image_or_an_image_error(format_name: str) -> None:
    content = _bytes(Image.fromarray(PHOTO), format_name)
    rng = np.random.default_rng(7)
    outcomes = set()
    for _ in range(150):
        damaged = np.frombuffer(content, np.uint8).copy()
        places = rng.integers(0, min(len(content), 200), size=rng.integers(1, 12))
        damaged[places] = rng.integers(0, 256, len(places))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                outcomes.add(open_image(damaged.tobytes()).mode)
            except ImageError:
                outcomes.add("refused")
    assert outcomes <= {"RGB", "refused"} and "refused" in outcomes


def test_empty_missing_folder_text_and_broken_link(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image, whatever its name says")
    (tmp_path / "broken.png").symlink_to("nowhere.png")
    _refused(tmp_path / "empty.png", "empty.png", "0 bytes")
    _refused(tmp_path / "text.png", "text.png", "not an image", "PNG")
    _refused(tmp_path / "broken.png", "broken.png", "nowhere.png")
    _refused(tmp_path / "absent.png", "absent.png", "does not exist")
    _refused(tmp_path, str(tmp_path), "is a folder")
    _refused("a\0b.png", "null")
    _refused(b"", "0 bytes")


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    _refused(tmp_path / "pipe.png", "pipe.png")


def test_unreadable_file_names_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(_bytes(Image.fromarray(PHOTO), "PNG"))

    def refuse(self: Path, *args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    _refused(path, "locked.png", "Permission denied")


def test_programs_are_not_images(tmp_path: Path) -> None:
    _refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image")


@pytest.mark.parametrize("limit", [None, 10, 10**12])
def test_huge_is_refused_from_the_header(limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    content = _png(30_000, 30_000, depth=8, color=2, rows=b"")
    _refused(content, "30000x30000", f"{MAX_PIXELS:,}")
    assert Image.MAX_IMAGE_PIXELS == limit


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_refusing_a_huge_image_takes_no_memory(tmp_path: Path) -> None:
    for name, size in (("square.png", (30_000, 30_000)), ("line.png", (1, 2**31 - 1))):
        (tmp_path / name).write_bytes(_png(*size, depth=8, color=2, rows=b""))
    program = (
        "import sys\nfrom cnndetect.images import open_image\nfrom cnndetect.errors import ImageError\n"
        "for path in sys.argv[1:]:\n    try: open_image(path)\n    except ImageError: continue\n    sys.exit('accepted')\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(found.stdout) < 300_000  # kilobytes; the image would be 2,700,000


@pytest.mark.parametrize("side", [9_500, 13_500])
def test_the_limit_of_pillow_plays_no_part(side: int) -> None:
    # 90 and 182 megapixels: PIL warns at the first and refuses the second, in the whole program.
    content = _bytes(Image.new("1", (side, side), 1), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(content).size == (side, side)


def test_unknown_white_is_refused() -> None:
    _refused(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "32-bit")
    _refused(Image.fromarray(np.full((4, 4), 7.0, np.float32)), "[0, 1]")
    assert to_rgb_array(Image.fromarray(np.full((4, 4), 0.5, np.float32)))[0, 0].tolist() == [128] * 3
