"""urllib3's connections, made to say what was sent, to wait no longer than told, and to age.

Connecting, with its proxies, tunnels and TLS, is urllib3's; one request and its answer are left to
``http.client``, on which urllib3 stands, since its own layers above that take as long again.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

from yunxin_soap.transport.network import MAX_ANSWER, TooLong

if TYPE_CHECKING:
    from typing_extensions import Buffer

IDLE_LIMIT = 4.0
"""Seconds after which a kept-alive connection is dropped: servers close theirs from 5 s on, and
a request that meets a closing connection ends as *unknown*."""

_MAX_RAW = 2 * MAX_ANSWER
"""Bytes of one answer as it came, head and framing included."""


class NotConnected(Exception):
    """The connecting phase failed."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class _BoundedIO(io.RawIOBase):
    """Reads a socket against one deadline for the whole answer, not one for each piece of it."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._raw, self._sock, self._deadline = raw, sock, deadline
        self._left = _MAX_RAW
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
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise TooLong
        return count

    def end(self) -> None:
        """Read nothing more from the socket."""
        self._ended = True

    def close(self) -> None:
        self._raw.close()
        super().close()

    def spoil(self) -> None:
        """End the connection, so that it is found dropped."""
        _shut(self._sock)

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


class Answer(http.client.HTTPResponse):
    """The answer to a request, or a proxy's to CONNECT; the socket's timeout bounds all of it."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # What TLS within TLS has received already is in no socket, and nothing tells of it.
        self._can_be_looked_into = isinstance(sock, socket.socket)
        timeout = sock.gettimeout()
        if timeout is not None:
            raw = self.fp.detach()
            self.fp = _AnswerReader(_BoundedIO(raw, sock, time.monotonic() + timeout))

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        if len(set(self.msg.get_all("Content-Length", ()))) > 1:
            raise http.client.HTTPException("two lengths")
        # Anything but a 200 with a body may be no answer yet (103), or a proxy's own, given up on a
        # gateway that still works on it (504). The true one, if it comes, must not meet the next
        # request.
        if self.status != 200 or self.length == 0 or not self._can_be_looked_into:
            self.will_close = True

    def whole(self) -> bytes:
        """Return the body, its content encoding undone.

        Raises:
            TooLong: it is longer than `MAX_ANSWER`.
            http.client.HTTPException, OSError: it breaks off, or does not come in time.
            urllib3.exceptions.HTTPError: its content encoding cannot be undone.
        """
        body = self.read(MAX_ANSWER + 1)
        if self.length and len(body) <= MAX_ANSWER:
            raise http.client.IncompleteRead(b"")
        if self.getheader("Content-Encoding"):
            encoded = HTTPResponse(
                io.BytesIO(body), HTTPHeaderDict(self.getheaders()), preload_content=False
            )
            body = encoded.read(MAX_ANSWER + 1)
        if len(body) > MAX_ANSWER:
            raise TooLong
        return body


class Connection(HTTPConnection):
    """Tells connecting from sending, and goes stale when idle."""

    debuglevel = 0  # http.client would print whole requests if somebody raised it for all
    response_class = Answer
    last_used = 0.0
    _guard: threading.Timer | None = None

    def connect(self) -> None:
        """Connect, through a proxy's tunnel and TLS if there are any.

        Raises:
            NotConnected: it failed, and nothing of a request was sent.
        """
        try:
            super().connect()
        except BaseException as error:
            self.close()
            if isinstance(error, Exception):
                raise NotConnected(error) from error
            raise

    def submit(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> Answer:
        """Send one request, and return its answer once the head is there.

        Args:
            method: ``GET`` or ``POST``.
            target: what stands in the request line.
            headers: all but Host, Accept-Encoding and Content-Length.
            body: None for a GET.
            timeout: seconds from here to the end of the answer.
        """
        sock: Any = self.sock
        sock.settimeout(timeout)
        if not isinstance(sock, socket.socket):
            self._guard = _guard(sock, timeout)
        deadline = time.monotonic() + timeout
        self.putrequest(method, target)
        for name, value in headers.items():
            self.putheader(name, value)
        if body is not None:
            self.putheader("Content-Length", str(len(body)))
        # A server may refuse a request before it has read it all, and close.
        with contextlib.suppress(ConnectionError):
            self.endheaders(body)
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        answer: Answer = http.client.HTTPConnection.getresponse(self)  # type: ignore[assignment]
        self.last_used = time.monotonic()
        return answer

    def close(self) -> None:
        """Close it; what it was to be used for has ended."""
        if self._guard is not None:
            self._guard.cancel()
        super().close()

    @property
    def is_connected(self) -> bool:
        """Whether it is open, silent and young: fit for one more request."""
        return super().is_connected and not self.is_old

    @property
    def is_old(self) -> bool:
        """Whether the other side may be about to close it."""
        return time.monotonic() - self.last_used >= IDLE_LIMIT


def _guard(sock: Any, timeout: float) -> threading.Timer:
    """End a connection when its time is up.

    TLS within TLS is urllib3's own, which begins the socket's timeout anew with each piece.
    """
    timer = threading.Timer(timeout, _shut, [sock.socket])
    timer.daemon = True
    timer.start()
    return timer


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class TLSConnection(Connection, HTTPSConnection):
    """The same over TLS, to the gateway or to a proxy."""
