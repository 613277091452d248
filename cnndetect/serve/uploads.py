"""Pictures out of a request, in memory alone: a file each of a multipart form, or one file as the whole body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from cnndetect.serve.limits import MEGABYTE, Limits, Refusal

NAME_LENGTH = 200

# Of a body that is refused, so much more is read and thrown away, so that the client gets to read the refusal.
_DISCARDED_BYTES = 64 * MEGABYTE

_FORM_FIELDS = 4
_RAW_TYPES = ("application/octet-stream", "application/x-www-form-urlencoded")  # the second is what curl --data-binary says


@dataclass(frozen=True)
class Upload:
    """A file as it came."""

    name: str  # what the sender calls it, cut to NAME_LENGTH
    content: bytes


async def read_uploads(request: Request, limits: Limits, *, most: int) -> list[Upload]:
    """Every file of the request, in its order.

    most: files.  Raises Refusal: 408 slow, 413 too large, 415 another kind of body, 422 no file or too many, 400 a broken form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = kind == "multipart/form-data"
    if not (is_form or kind.startswith("image/") or kind in _RAW_TYPES):
        raise Refusal(
            415, "unsupported_body", f"The body has the type {kind or 'none'!r}. Expected multipart/form-data with files, or image/*."
        )
    total = limits.batch_bytes if most > 1 else limits.file_bytes
    content = await _body(request, total + MEGABYTE // 10 if is_form else total)  # a form has headers of its own
    uploads = await _files(request, content, most) if is_form else [Upload(_named(request.query_params.get("name")), content)]
    if not uploads:
        raise Refusal(422, "no_file", "The form holds no file. Expected a field 'image' with an image file.")
    for upload in uploads:
        if len(upload.content) > limits.file_bytes:
            raise _too_large(f"{upload.name} has {len(upload.content):,} bytes", limits.file_bytes)
    return uploads


async def _body(request: Request, most: int) -> bytes:
    announced = request.headers.get("content-length", "")
    parts, size = [], 0
    try:
        async with asyncio.timeout(request.app.state.limits.upload_seconds):
            stream = request.stream()
            if announced.isdigit() and int(announced) > most:
                await _discard(stream)
                raise _too_large(f"The request has {int(announced):,} bytes", most)
            async for part in stream:
                size += len(part)
                if size > most:
                    await _discard(stream)
                    raise _too_large(f"The request has more than {most:,} bytes", most)
                parts.append(part)
    except TimeoutError as error:
        seconds = request.app.state.limits.upload_seconds
        raise Refusal(408, "slow_upload", f"The upload took longer than {seconds:g} seconds. Send smaller files.") from error
    except ClientDisconnect as error:
        raise Refusal(400, "broken_upload", "The upload broke off. Send it again.") from error
    return b"".join(parts)


async def _discard(stream: AsyncIterator[bytes]) -> None:
    size = 0
    async for part in stream:
        size += len(part)
        if size > _DISCARDED_BYTES:
            return


async def _files(request: Request, content: bytes, most: int) -> list[Upload]:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield content

    parser = MultiPartParser(request.headers, whole(), max_files=most, max_fields=_FORM_FIELDS)
    parser.spool_max_size = len(content) + 1  # nothing goes to the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise Refusal(422, "too_many_files", f"The form holds too many files. Send at most {most} in one request.") from error
        raise Refusal(400, "broken_form", f"The form cannot be read ({error.message}). Expected multipart/form-data.") from error
    except (KeyError, ValueError, UnicodeError, LookupError) as error:  # no boundary, or a charset that does not exist
        raise Refusal(400, "broken_form", f"The form cannot be read ({error}). Expected multipart/form-data with a boundary.") from error
    uploads = [Upload(_named(value.filename), await value.read()) for _, value in form.multi_items() if isinstance(value, UploadFile)]
    await form.close()
    return uploads


def _named(name: str | None) -> str:
    """The sender's name as text that JSON and a page can hold.

    >>> _named("a\\ud800.png"), _named(None)
    ('a?.png', 'picture')
    """
    return (name or "picture").encode("utf-8", "replace").decode("utf-8")[:NAME_LENGTH]


def _too_large(what: str, most: int) -> Refusal:
    return Refusal(413, "too_large", f"{what}. Expected at most {most / MEGABYTE:g} MB; crop it, because resizing removes the traces.")
