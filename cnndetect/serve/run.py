"""The server on its socket: it says where it listens, and stops at Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack

from cnndetect.errors import ProtocolError
from cnndetect.serve.app import LOCAL_HOSTS, build_app
from cnndetect.serve.limits import Limits
from cnndetect.serve.shelf import Shelf

# Beyond the places of the queue: pages, health checks, and requests that are told to wait.
_CONNECTIONS = 200


def bound(host: str, port: int) -> socket.socket:
    """A listening socket. port: 0 for any free one.  Raises ProtocolError where the address is taken or not allowed."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)  # from now on a connection waits instead of being refused
            stack.pop_all()
        return listener
    except (OSError, OverflowError) as error:
        raise ProtocolError(f"{host}:{port} cannot be listened on ({error}). Choose another --port, or 0 for a free one.") from error


def run(shelf: Shelf, limits: Limits, *, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve until interrupted. tell: is given the address once it listens."""
    import uvicorn

    hosts = LOCAL_HOSTS if is_local(host) else ("*",)
    config = uvicorn.Config(
        build_app(shelf, limits, hosts=hosts), log_level="warning", access_log=False, server_header=False, limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=5, timeout_graceful_shutdown=5, lifespan="off", ws="none",
    )  # fmt: skip
    listener = bound(host, port)
    shown = f"[{host}]" if ":" in host else host
    tell(f"http://{shown}:{listener.getsockname()[1]}/")
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # it is how a server ends
        pass


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address.

    >>> is_local("127.0.0.1"), is_local("0.0.0.0")
    (True, False)
    """
    return host in ("localhost", "::1") or host.startswith("127.")
