"""What a request may ask for, and the refusal of one that asks for more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Of one server."""

    file_bytes: int = 20 * MEGABYTE
    """Of one picture's file."""
    batch_bytes: int = 60 * MEGABYTE
    """Of all files of one request together."""
    batch_files: int = 100
    """Files of one request."""
    decoded_pixels: int = 60_000_000
    """Pictures with more are refused from their header."""
    scored_pixels: int = 2_000_000
    """Of a picture with more, a middle piece of this size is scored, and the answer says so."""
    places: int = 8
    """Requests that may upload, wait or be worked on at once."""
    upload_seconds: float = 30.0
    """Time for a request to arrive whole."""


class Refusal(Exception):
    """A request that is not served. status: of HTTP.  error: a word for programs.  message: what was given, expected, to do."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message = status, error, message


class Places:
    """The bounded queue: a request takes a place before its body is read, and keeps it until it is answered.

    It is used from the event loop alone, so it needs no lock.
    """

    def __init__(self, most: int) -> None:
        self.most, self.busy = most, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place. Raises Refusal 429 where none is free."""
        if self.busy >= self.most:
            raise Refusal(429, "busy", f"All {self.most} places are taken by other requests. Try again in a few seconds.")
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
