"""Speaks HTTP to a sandbox byte by byte, past every library that would tidy a request up."""

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
    """One response, read to its end."""

    status: int
    headers: Message
    body: bytes

    @property
    def content_type(self) -> str | None:
        """The Content-Type."""
        return self.headers.get("Content-Type")


def port_of(sandbox: Sandbox) -> int:
    """Return the port that a sandbox listens on."""
    port = urlsplit(sandbox.url).port
    assert port is not None
    return port


@contextmanager
def connected(sandbox: Sandbox) -> Iterator[socket.socket]:
    """Open a connection for some requests."""
    with socket.create_connection(("127.0.0.1", port_of(sandbox)), timeout=20) as connection:
        yield connection


def reply_to(connection: socket.socket, method: bytes) -> Reply:
    """Read the reply to a request that was sent already."""
    response = HTTPResponse(connection, method=method.decode("latin-1"))
    try:
        response.begin()
        return Reply(response.status, response.headers, response.read())
    finally:
        response.close()


def exchange(sandbox: Sandbox, request: bytes) -> Reply:
    """Send the bytes of one request on a connection of its own; return the reply."""
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
    """Write a request; a header is named with underscores, and left out if None."""
    raw = target if isinstance(target, bytes) else target.encode()
    named: dict[str, str | None] = {"Host": "127.0.0.1", "Connection": "close"}
    if body:
        named["Content-Length"] = str(len(body))
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in named.items() if value is not None]
    head = b" ".join([method.encode(), raw, f"HTTP/{version}".encode()])
    return b"\r\n".join([head, *[line.encode("latin-1") for line in lines], b"", body])
