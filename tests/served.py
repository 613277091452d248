"""A running server with a small detector whose map is exact, and a client of a few lines."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnndetect.detectors.base import Detector
from cnndetect.serve.limits import Limits
from cnndetect.serve.shelf import Shelf

for module in ("python_multipart", "starlette", "uvicorn"):
    pytest.importorskip(module, reason="the extra web is not installed")


class Tiny(nn.Module):
    """Local contrast, pooled, then one linear layer: noise is fake, flat pictures are real."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 1)
        with torch.no_grad():
            self.fc.weight.fill_(4.0)
            self.fc.bias.fill_(-3.0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.pool(self.conv(images).abs()).flatten(1))[:, 0]


def tiny(name: str = "tiny", **fields: Any) -> Detector:
    fields.setdefault("record", {"title": "a drawn one", "verdict": {"real_below_logit": -1.0, "fake_above_logit": 1.0}})
    return Detector(name, Tiny(), threshold_logit=0.0, temperature=2.0, **fields)


def png(size: tuple[int, int] = (48, 40), *, seed: int = 0, kind: str = "PNG", deviation: float = 60) -> bytes:
    """Noise around grey: width and height, the more deviation the more fake."""
    noise = np.random.default_rng(seed).normal(128, deviation, (size[1], size[0], 3)).clip(0, 255).astype(np.uint8)
    memory = io.BytesIO()
    Image.fromarray(noise).save(memory, format=kind)
    return memory.getvalue()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    port: int
    app: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, method: str, path: str, body: bytes = b"", timeout: float = 60, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def send(self, path: str, content: bytes, kind: str = "image/png", **headers: str) -> Answer:
        return self.ask("POST", path, content, content_type=kind, **headers)

    def form(self, path: str, files: list[tuple[str, bytes]], field: str = "image") -> Answer:
        return self.ask("POST", path, form(files, field), content_type="multipart/form-data; boundary=line")


def form(files: list[tuple[str, bytes]], field: str = "image") -> bytes:
    parts = [
        b'--line\r\ncontent-disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
        % (field.encode(), name.encode("utf-8", "surrogateescape"), content)
        for name, content in files
    ]
    return b"".join(parts) + b"--line--\r\n"


@contextmanager
def serving(detector: Detector, limits: Limits | None = None) -> Iterator[Server]:
    import uvicorn

    from cnndetect.serve.app import build_app
    from cnndetect.serve.run import bound

    app = build_app(Shelf(detector, device="cpu"), limits)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=2))
    listener = bound("127.0.0.1", 0)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield Server(listener.getsockname()[1], app)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        app.state.worker.shutdown(wait=False, cancel_futures=True)
