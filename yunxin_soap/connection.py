"""urllib3's connections, made to say what was sent, to wait no longer than told, and to age."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from typing_extensions import Buffer

IDLE_LIMIT = 4.0
"""Seconds after which a kept-alive connection is dropped: servers close theirs from 5 s on, and
a request that meets a closing connection ends as *unknown*."""


class NotConnected(Exception):
    """The connecting phase failed. No error of urllib3's, so that urllib3 passes it on as is."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class _BoundedIO(io.RawIOBase):
    """Reads a socket against one deadline for the whole answer, not one for each piece of it."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._raw, self._sock, self._deadline = raw, sock, deadline
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        if self._ended:
            return 0
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def end(self) -> None:
        """Read nothing more from the socket."""
        self._ended = True

    def close(self) -> None:
        self._raw.close()
        super().close()

    def spoil(self) -> None:
        """End the connection, so that the pool finds it dropped."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    @property
    def pending(self) -> int:
        """Bytes that TLS has decrypted already, and that no poll of the socket shows."""
        return self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0


class _AnswerReader(io.BufferedReader):
    """Spoils its connection if the server sent more than one answer.

    The surplus must not be read as the answer to the next request.
    """

    def __init__(self, raw: _BoundedIO) -> None:
        super().__init__(raw)
        self._bounded = raw

    def close(self) -> None:
        if not self.closed:
            self._bounded.end()
            if self._bounded.pending or self.peek(1):
                self._bounded.spoil()
        super().close()


class _Answer(http.client.HTTPResponse):
    """The answer to a request, or a proxy's to CONNECT; the socket's timeout bounds all of it."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        timeout = sock.gettimeout()
        if timeout is not None:
            raw = self.fp.detach()
            self.fp = _AnswerReader(_BoundedIO(raw, sock, time.monotonic() + timeout))

    def begin(self) -> None:
        super().begin()
        # urllib3 would log what it cannot parse, and a server may echo the request there.
        self.msg.defects.clear()
        self.msg.set_payload("")
        # Anything but a 200 with a body may be no answer yet (103), or a proxy's own, given up on a
        # gateway that still works on it (504). The true one, if it comes, must not meet the next
        # request.
        if self.status != 200 or self.length == 0:
            self.will_close = True


class _Connection(HTTPConnection):
    """Tells connecting from sending, keeps queries out of logs, and goes stale when idle."""

    debuglevel = 0  # http.client would print whole requests if somebody raised it for all
    response_class = _Answer
    _query = ""
    _last_used = 0.0

    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            self.close()
            raise NotConnected(error) from error

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        if method == "GET":
            self._query, body = body.decode("ascii"), None
        super().request(method, url, body, *args, **kwargs)

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        if method == "GET":
            url = f"{url}?{self._query}"
        super().putrequest(method, url, *args, **kwargs)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3's own
        response = super().getresponse()
        self._last_used = time.monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        return super().is_connected and time.monotonic() - self._last_used < IDLE_LIMIT


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
