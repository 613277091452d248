"""Read images: paths, PIL images, arrays and tensors become 8-bit RGB, or raise an ImageError that names what was given.

This is the only code that opens an image file, in a folder or in a pack (packs.py). What it decides, it decides once for the whole package:

- The content tells the format, never the name: a JPEG called ``a.png`` is read as a JPEG.
- The EXIF orientation is applied. Colour profiles are not, as in the reference.
- Alpha and transparency are dropped, not blended: the colours under a transparent pixel stay, as with PIL's
  ``convert("RGB")`` in the reference. CMYK, grey and palette images are converted by PIL.
- 16-bit grey becomes ``round(value / 257)``. PIL itself reduces 16-bit RGB, by its high byte: at most one level away.
- An animation gives its first frame.
- Nothing is repaired: a file that lost pixels is an error. (PIL's LOAD_TRUNCATED_IMAGES is left alone: do not set it.)
- More than MAX_PIXELS are refused from the header, before memory is taken. PIL's own limit and its warning play no part.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image

from cnndetect.errors import FormatError, ImageError
from cnndetect.images import packs
from cnndetect.images.listing import EXTENSIONS as EXTENSIONS
from cnndetect.images.listing import list_images as list_images

MAX_PIXELS = 200_000_000

# What PIL may try, told by the first bytes. Formats that run programs (EPS) or have no signature (TGA) stay out.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(source: str | os.PathLike[str] | bytes | Image.Image) -> Image.Image:
    """Decode and turn upright.

    source: a path, the bytes of a file, or a PIL image (at its current frame).  Returns a new PIL image, mode RGB.
    Raises ImageError for everything that is not a whole, readable image.
    >>> open_image(Image.new("L", (4, 2), 255)).getpixel((0, 0))
    (255, 255, 255)
    """
    if isinstance(source, Image.Image):
        return _upright_rgb(source, f"The PIL image {source.mode} {source.width}x{source.height}")
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), f"The image of {len(source)} bytes")
    path = Path(source)
    if (packed := _packed(path)) is not None:
        return _decode(io.BytesIO(packed.read()), str(path))
    _check_file(path)
    try:
        with path.open("rb") as stream:
            return _decode(stream, str(path))
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}. Expected a readable image file.") from error


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of an image file, undecoded. Raises ImageError for what is no readable file, as ``open_image`` does."""
    if (packed := _packed(Path(path))) is not None:
        return packed.read()
    _check_file(Path(path))
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}. Expected a readable image file.") from error


def open_stored(content: bytes) -> Image.Image:
    """The image as its file stores it: mode, format, tables and metadata as they are; neither turned nor converted.

    For looking at files, not for scoring: ``open_image`` decodes. Raises ImageError.
    """
    return _recognise(io.BytesIO(content), f"The image of {len(content)} bytes")


def to_rgb_array(image: Any) -> np.ndarray:
    """Any image as an array: path, bytes, open file, PIL image, NumPy array or torch tensor -> uint8 [H, W, 3].

    NumPy: [H, W, 3], [H, W, 1] or [H, W].  torch: [3, H, W].  Values uint8, or float in [0, 1] (rounded to 8 bit).
    >>> to_rgb_array(np.array([[0.0, 0.5]])).tolist()
    [[[0, 0, 0], [128, 128, 128]]]
    """
    if isinstance(image, (bytearray, memoryview)):
        image = bytes(image)
    if isinstance(image, (str, bytes, os.PathLike, Image.Image)):
        return np.asarray(open_image(image))
    if hasattr(image, "read"):
        return np.asarray(open_image(_content(image)))
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if is_tensor(image):
        return _from_tensor(image)
    raise ImageError(
        f"Got {refused(image)}. Expected one image: a path, bytes, an open file, a PIL image, a NumPy array [H, W, 3] or [H, W], "
        "or a torch tensor [3, H, W]."
    )


def refused(thing: Any) -> str:
    """The kind of a thing, for an error message.

    >>> refused(3), refused(None), refused({})
    ('an int', 'None', 'a dict')
    """
    name = type(thing).__name__
    return "None" if thing is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def is_tensor(image: Any) -> bool:
    """Whether this is a torch tensor, told without importing torch."""
    return type(image).__module__.split(".")[0] == "torch" and hasattr(image, "detach")


def _content(file: Any) -> bytes:
    """The bytes of an open file, from its current position."""
    try:
        content = file.read()
    except (OSError, ValueError) as error:
        raise ImageError(f"The open file {refused(file)} cannot be read: {error}. Expected a file opened for reading.") from error
    if not isinstance(content, bytes):
        raise ImageError(f"The open file {refused(file)} gives text. Expected bytes; open it with mode 'rb'.")
    if not content:
        raise ImageError(f"The open file {refused(file)} gives no bytes. Expected an image file; seek(0) if it was read before.")
    return content


def _packed(path: Path) -> packs.Packed | None:
    try:
        return packs.find(path)
    except (OSError, ValueError):  # a name that no file can have
        return None


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise ImageError(f"{path} is a broken link to {os.readlink(path)}. Restore its target or remove it.") from error
        raise ImageError(f"{path} does not exist. Expected the path of an image file.") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{str(path)!r} cannot be read: {error}. Expected the path of an image file.") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{path} is a folder. Expected one image file; cnndetect.images.list_images lists a folder.")
    if not stat.S_ISREG(status.st_mode):  # a pipe would block for ever
        raise ImageError(f"{path} is a pipe or a device. Expected a regular image file; save the image first.")
    if status.st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes). Expected an image file; fetch it again.")


def _decode(stream: BinaryIO, name: str) -> Image.Image:
    return _upright_rgb(_recognise(stream, name), name)


def _recognise(stream: BinaryIO, name: str) -> Image.Image:
    """The image behind a stream, told by its first bytes; its pixels are not read yet."""
    # The plugins are asked directly: Image.open would warn or refuse by a limit that belongs to the whole program.
    Image.init()
    prefix = stream.read(16)
    for format_name in FORMATS:
        factory, accept = Image.OPEN.get(format_name, (None, None))
        accepted = accept(prefix) if accept is not None else False
        if isinstance(accepted, str):
            raise FormatError(f"{name} is a {format_name} file, and this Pillow was built without it. Save it as PNG.")
        if accepted and factory is not None:
            stream.seek(0)
            try:
                return factory(stream, "")
            except Exception as error:  # plugins raise any type on damaged bytes
                raise _damaged(name, error) from error
    if not prefix:
        raise FormatError(f"{name} is empty. Expected an image.")
    raise FormatError(f"{name} is not an image: it begins with {prefix[:8]!r}. Expected {', '.join(FORMATS)}, by content.")


def _upright_rgb(image: Image.Image, name: str) -> Image.Image:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width}x{height} = {width * height:,} pixels. Expected at most {MAX_PIXELS:,}. "
            "Cut a piece out of it; resizing would remove the traces."
        )
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels ({width}x{height}). Expected at least 1x1.")
    try:
        image.load()
        rgb = _to_rgb(image, name)
        turn = _TURNS.get(_orientation(image))
        upright = rgb if turn is None else rgb.transpose(turn)
    except ImageError:
        raise
    except Exception as error:  # decoders raise any type on damaged bytes
        raise _damaged(name, error) from error
    # The turn is done: a tag that stays behind would turn the image again next time.
    upright.info = {}
    return upright


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        # TIFF also stores 12 bits in this mode.
        bits = getattr(image, "tag_v2", {}).get(258, (16,))[0]
        values = np.asarray(image).astype(np.float32) / (2**bits - 1)
        return Image.fromarray(_eight_bit(values, name)).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(_eight_bit(np.asarray(image), name)).convert("RGB")
    if image.mode == "I":
        raise ImageError(f"{name} holds 32-bit integers, whose white is not known. Expected 8 or 16 bits; save it as such.")
    if "transparency" in image.info:  # by way of RGBA, or PIL warns about palettes
        image = image.convert("RGBA")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata beside whole pixels: the image stays as it is stored
        return 1


def _damaged(name: str, error: Exception) -> ImageError:
    reason = str(error) or type(error).__name__
    return ImageError(f"{name} cannot be decoded: {reason}. Expected a whole image; fetch or save it again.")


def _from_array(array: np.ndarray) -> np.ndarray:
    name = f"The array {array.dtype} {list(array.shape)}"
    if array.ndim == 4:
        raise ImageError(f"{name} is a batch. Expected one image [H, W, 3]; pass list(array) for one score each.")
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] not in (1, 3):
        raise ImageError(f"{name} has its channels first. Expected [H, W, 3]; pass array.transpose(1, 2, 0).")
    if array.ndim == 3 and array.shape[2] == 4:
        raise ImageError(f"{name} has four channels. Expected [H, W, 3]; pass array[:, :, :3] to drop alpha.")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)) or 0 in array.shape:
        raise ImageError(f"{name} is not an image. Expected [H, W, 3], [H, W, 1] or [H, W], with H and W at least 1.")
    pixels = _eight_bit(array, name).reshape(*array.shape[:2], -1)
    return np.broadcast_to(pixels, (*array.shape[:2], 3))  # [H, W, 1 or 3] -> [H, W, 3]


def _from_tensor(tensor: Any) -> np.ndarray:
    name = f"The tensor {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
    if tensor.ndim == 4:
        raise ImageError(f"{name} is a batch. Expected one image [3, H, W]; pass list(tensor) for one score each.")
    if tensor.ndim == 3 and tensor.shape[0] != 3 and tensor.shape[2] == 3:
        raise ImageError(f"{name} has its channels last. Expected [3, H, W]; pass tensor.permute(2, 0, 1).")
    if tensor.ndim != 3 or tensor.shape[0] != 3 or 0 in tensor.shape:
        raise ImageError(f"{name} is not an image. Expected [3, H, W], with H and W at least 1.")
    values = tensor.detach().cpu()
    if values.is_floating_point():  # NumPy has no bfloat16
        values = values.float()
    return _eight_bit(values.numpy(), name).transpose(1, 2, 0)  # [3, H, W] -> [H, W, 3]


def _eight_bit(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise ImageError(f"{name} has values of type {values.dtype}. Expected uint8, or float in [0, 1]; scale them.")
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise ImageError(f"{name} holds NaN or infinity at {bad} places. Expected float in [0, 1]; mend them first.")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise ImageError(f"{name} has values from {low:g} to {high:g}. Expected float in [0, 1]; divide by 255, or undo the normalisation.")
    return np.rint(values * np.float32(255)).astype(np.uint8)
