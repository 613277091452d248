"""The web application: routes, the queue before the one worker, refusals as JSON. Nothing that is sent is stored or logged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

try:
    from starlette.applications import Starlette
    from starlette.datastructures import Headers
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"The server needs {error.name}, which is not installed. Run: pip install 'cnndetect[web]'", name=error.name
    ) from error

from cnndetect import __version__
from cnndetect.errors import CnndetectError
from cnndetect.serve.answers import DetectorsAnswer, ErrorAnswer, ExampleRow, ExamplesAnswer, HealthAnswer
from cnndetect.serve.examples import examples
from cnndetect.serve.limits import Limits, Places, Refusal
from cnndetect.serve.openapi import document
from cnndetect.serve.pictures import redelivery, score_batch, score_one
from cnndetect.serve.shelf import Shelf
from cnndetect.serve.uploads import read_uploads
from cnndetect.serve.views import examine

_PAGE = Path(__file__).resolve().parent / "page"
_FILES = {"/": ("index.html", "text/html"), "/style.css": ("style.css", "text/css"), "/script.js": ("script.js", "text/javascript")}

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data: blob:; "
     b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]  # fmt: skip


def build_app(shelf: Shelf, limits: Limits | None = None, *, hosts: Sequence[str] = LOCAL_HOSTS) -> Starlette:
    """The application. hosts: names under which it answers, "*" for any; a page of another site cannot reach it by a name of its own."""
    limits = limits or Limits()
    routes = [Route(path, _static) for path in _FILES] + [
        Route("/openapi.json", _openapi),
        Route("/api/health", _health),
        Route("/api/detectors", _detectors),
        Route("/api/examples", _examples),
        Route("/examples/{place:int}", _example),
        Route("/api/score", _one(score_one), methods=["POST"]),
        Route("/api/examine", _one(examine), methods=["POST"]),
        Route("/api/redelivery", _one(redelivery), methods=["POST"]),
        Route("/api/batch", _batch, methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_Guard, hosts=hosts)],
        exception_handlers={Refusal: _refused, HTTPException: _not_found, Exception: _bug},
    )
    app.state.shelf, app.state.limits, app.state.places = shelf, limits, Places(limits.places)
    # One worker: a detector and the spectra of photographs are used by one request at a time, and torch has the cores.
    app.state.worker = ThreadPoolExecutor(1, thread_name_prefix="score")
    return app


class _Guard:
    """Headers of every answer; requests by another host name, and POSTs by a page of another site, are refused."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        answer = self._refusal(scope) or self.app
        await answer(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["type"] != "http":
            return None
        headers = Headers(scope=scope)
        if "*" not in self.hosts and _host(headers.get("host", "")) not in self.hosts:
            expected = f"Expected {', '.join(self.hosts)}. A server started with --host 0.0.0.0 answers to any name."
            return _error(400, "unknown_host", f"The request was sent to the host {headers.get('host', '')!r}. {expected}")
        if scope["method"] == "POST" and headers.get("sec-fetch-site") == "cross-site":
            return _error(403, "cross_site", "The request comes from a page of another site.")
        return None


def _host(value: str) -> str | None:
    """The name in a Host header, without its port.

    >>> _host("localhost:8000"), _host("[::1]:8000"), _host("[")
    ('localhost', '::1', None)
    """
    try:
        return urlsplit(f"//{value}").hostname
    except ValueError:
        return None


async def _in_worker(request: Request, function: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(request.app.state.worker, partial(function, *args))


def _one(answer: Callable[..., Any]) -> Callable[[Request], Any]:
    """The endpoint of a function (upload, detector, limits) -> answer."""

    async def endpoint(request: Request) -> Response:
        return await _answered(request, 1, lambda uploads, detector, limits: answer(uploads[0], detector, limits))

    return endpoint


async def _batch(request: Request) -> Response:
    return await _answered(request, request.app.state.limits.batch_files, score_batch)


async def _answered(request: Request, most: int, answer: Callable[..., Any]) -> Response:
    shelf, limits, name = request.app.state.shelf, request.app.state.limits, request.query_params.get("detector")
    with request.app.state.places.one():
        shelf.check(name)
        uploads = await read_uploads(request, limits, most=most)

        def work() -> Any:
            try:
                return answer(uploads, shelf.get(name), limits)
            except CnndetectError as error:
                raise Refusal(422, "no_score", str(error)) from error
            except MemoryError as error:
                raise Refusal(422, "no_memory", "The picture needs more memory than there is. Send a smaller piece of it.") from error

        return _json(await _in_worker(request, work))


async def _static(request: Request) -> Response:
    name, kind = _FILES[request.url.path]
    return Response((_PAGE / name).read_bytes(), media_type=kind)


async def _openapi(request: Request) -> Response:
    return _json(document(request.app.state.limits))


async def _health(request: Request) -> Response:
    places = request.app.state.places
    return _json(HealthAnswer("ok", __version__, request.app.state.shelf.first.name, places.busy, places.most))


async def _detectors(request: Request) -> Response:
    return _json(DetectorsAnswer(request.app.state.shelf.rows()))


async def _examples(request: Request) -> Response:
    found = await _in_worker(request, examples)
    return _json(ExamplesAnswer([ExampleRow(f"/examples/{place}", one.name, one.words) for place, one in enumerate(found)]))


async def _example(request: Request) -> Response:
    found, place = await _in_worker(request, examples), request.path_params["place"]
    if place >= len(found):
        raise HTTPException(404)
    return Response(found[place].content, media_type=found[place].media_type)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return _error(refusal.status, refusal.error, refusal.message)


async def _not_found(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    message = f"{request.method} {request.url.path}: {problem.detail}. The addresses are listed in /openapi.json."
    return _error(problem.status_code, "not_found" if problem.status_code == 404 else "wrong_method", message)


async def _bug(request: Request, problem: Exception) -> Response:
    return _error(500, "bug", f"{type(problem).__name__}: the server failed. Please report it with the picture's kind and size.")


def _error(status: int, error: str, message: str) -> Response:
    response = _json(ErrorAnswer(error, message), status)
    if status == 429:
        response.headers["retry-after"] = "2"
    return response


def _json(answer: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
