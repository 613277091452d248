"""The OpenAPI 3.1 document of the server, made from the records of answers.py."""

from __future__ import annotations

from typing import Any

import msgspec

from cnndetect import __version__
from cnndetect.serve import answers
from cnndetect.serve.limits import Limits

_DETECTOR = {
    "name": "detector",
    "in": "query",
    "required": False,
    "description": "A name of /api/detectors; the server's default if absent.",
    "schema": {"type": "string"},
}
_NAME = {
    "name": "name",
    "in": "query",
    "required": False,
    "description": "What to call a picture that is sent as the whole body.",
    "schema": {"type": "string"},
}
_BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}

_REFUSALS = {
    "400": "The form or the upload is broken, or the host name is not one that the server answers to.",
    "403": "The request comes from a page of another site.",
    "408": "The upload took too long.",
    "413": "A file or the whole request is too large.",
    "415": "The body or the file is not an image of a known format.",
    "422": "The image is damaged or has too many pixels, the form has no file or too many, or the detector is unknown.",
    "429": "All places of the queue are taken; Retry-After says when to try again.",
}

# path -> (method, summary, answer, files: 0 none, 1 one, 2 several)
PATHS: dict[str, tuple[str, str, Any, int]] = {
    "/api/health": ("get", "Whether the server is up, and how busy", answers.HealthAnswer, 0),
    "/api/detectors": ("get", "The detectors that can be asked for", answers.DetectorsAnswer, 0),
    "/api/examples": ("get", "Bundled pictures", answers.ExamplesAnswer, 0),
    "/api/score": ("post", "Score one picture", answers.ScoreAnswer, 1),
    "/api/batch": ("post", "Score several pictures", answers.BatchAnswer, 2),
    "/api/examine": ("post", "Score one picture, with its heat map and spectrum", answers.ExamineAnswer, 1),
    "/api/redelivery": ("post", "The score after JPEG, WebP and resizing", answers.RedeliveryAnswer, 1),
}


def document(limits: Limits) -> dict[str, Any]:
    """The document, as JSON values."""
    kinds = [answer for _, _, answer, _ in PATHS.values()] + [answers.ErrorAnswer]
    references, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    error = references[-1]
    paths: dict[str, Any] = {}
    for (path, (method, summary, _, files)), reference in zip(PATHS.items(), references, strict=False):
        operation: dict[str, Any] = {
            "summary": summary,
            "operationId": path.rpartition("/")[2],
            "responses": {"200": _json("The answer", reference)},
        }
        if files:
            operation["parameters"] = [_DETECTOR] if files > 1 else [_DETECTOR, _NAME]
            operation["requestBody"] = _body(files, limits)
            operation["responses"] |= {status: _json(words, error) for status, words in _REFUSALS.items()}
        paths[path] = {method: operation}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cnndetect",
            "version": __version__,
            "description": "Scores pictures for the traces of CNN generators. Fakeness ranks pictures; it is not a probability. Nothing is stored.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _body(files: int, limits: Limits) -> dict[str, Any]:
    if files == 1:
        words = f"One image file of at most {limits.file_bytes:,} bytes: a form's file, or the whole body."
        form = {"type": "object", "properties": {"image": _BINARY}, "required": ["image"]}
        content = {"multipart/form-data": {"schema": form}, "image/*": {"schema": {}}, "application/octet-stream": {"schema": {}}}
    else:
        words = f"Up to {limits.batch_files} image files, {limits.batch_bytes:,} bytes together."
        many = {"type": "object", "properties": {"image": {"type": "array", "items": _BINARY}}, "required": ["image"]}
        content = {"multipart/form-data": {"schema": many}}
    return {"required": True, "description": words, "content": content}


def _json(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}
