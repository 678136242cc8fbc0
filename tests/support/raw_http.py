"""Send exact bytes to a sandbox: no HTTP library corrects the request."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from urllib.parse import urlsplit

from yunxin_soap.sandbox import Sandbox


@dataclass(frozen=True)
class Reply:
    """One complete response."""

    status: int
    headers: Message
    body: bytes

    @property
    def content_type(self) -> str | None:
        """The value of the Content-Type header."""
        return self.headers.get("Content-Type")


def port_of(sandbox: Sandbox) -> int:
    """Return the port that a sandbox listens on."""
    port = urlsplit(sandbox.url).port
    assert port is not None
    return port


@contextmanager
def connected(sandbox: Sandbox) -> Iterator[socket.socket]:
    """Open a connection to a sandbox."""
    with socket.create_connection(("127.0.0.1", port_of(sandbox)), timeout=20) as connection:
        yield connection


def reply_to(connection: socket.socket, method: bytes) -> Reply:
    """Read the reply to a request that has been sent."""
    response = HTTPResponse(connection, method=method.decode("latin-1"))
    try:
        response.begin()
        return Reply(response.status, response.headers, response.read())
    finally:
        response.close()


def exchange(sandbox: Sandbox, request: bytes) -> Reply:
    """Send the bytes of one request over a new connection, and return the reply."""
    with connected(sandbox) as connection:
        connection.sendall(request)
        return reply_to(connection, request.split(b" ", 1)[0])


def written(
    method: str,
    target: str | bytes,
    body: bytes = b"",
    version: str = "1.1",
    /,
    **headers: str | None,
) -> bytes:
    """Return the bytes of a request.

    Args:
        method: the method.
        target: the target of the request line.
        body: the body.
        version: the HTTP version.
        headers: headers by name, with underscores for hyphens. None omits a default header.
    """
    raw = target if isinstance(target, bytes) else target.encode()
    named: dict[str, str | None] = {"Host": "127.0.0.1", "Connection": "close"}
    if body:
        named["Content-Length"] = str(len(body))
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in named.items() if value is not None]
    head = b" ".join([method.encode(), raw, f"HTTP/{version}".encode()])
    return b"\r\n".join([head, *[line.encode("latin-1") for line in lines], b"", body])
