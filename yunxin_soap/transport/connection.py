"""urllib3's connections with three additions: phases, one timeout per exchange, an expiry.

urllib3 connects, with proxies, tunnels and TLS. One request and its response are left to
``http.client``, on which urllib3 builds: urllib3's own layers above it double the time of an
exchange.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

from yunxin_soap.transport.failures import ConnectFailed, ResponseTooLarge
from yunxin_soap.transport.limits import KEEPALIVE_EXPIRY, MAX_RESPONSE_BYTES

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MAX_RAW_BYTES = 2 * MAX_RESPONSE_BYTES
"""Bytes of one response on the wire, with its head and framing."""


class _DeadlineReader(io.RawIOBase):
    """Reads a socket against one deadline for the complete response, not one for each read."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._raw, self._sock, self._deadline = raw, sock, deadline
        self._bytes_left = _MAX_RAW_BYTES
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        if self._ended:
            return 0
        seconds_left = self._deadline - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(seconds_left)
        count = self._raw.readinto(buffer)
        self._bytes_left -= count or 0
        if self._bytes_left < 0:
            raise ResponseTooLarge
        return count

    def end(self) -> None:
        """Read nothing more from the socket."""
        self._ended = True

    def close(self) -> None:
        self._raw.close()
        super().close()

    def shut_down(self) -> None:
        """Shut the connection down, so that the pool finds it dropped."""
        _shut_down(self._sock)

    @property
    def pending(self) -> int:
        """Bytes that TLS has already decrypted, which polling the socket does not show."""
        return self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0


class _ResponseReader(io.BufferedReader):
    """Shuts its connection down if the server sent more than one response.

    The surplus must not be read as the response to the next request.
    """

    def __init__(self, raw: _DeadlineReader) -> None:
        super().__init__(raw)
        self._deadline_reader = raw

    def close(self) -> None:
        if not self.closed:
            self._deadline_reader.end()
            if self._deadline_reader.pending or self.peek(1):
                self._deadline_reader.shut_down()
        super().close()


class RawResponse(http.client.HTTPResponse):
    """The response of the gateway, or of a proxy to CONNECT.

    The socket's timeout at its construction bounds the complete response.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # With TLS in TLS, decrypted surplus is in no socket, so it cannot be detected.
        self._surplus_is_detectable = isinstance(sock, socket.socket)
        timeout = sock.gettimeout()
        if timeout is not None:
            raw = self.fp.detach()
            self.fp = _ResponseReader(_DeadlineReader(raw, sock, time.monotonic() + timeout))

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        if len(set(self.msg.get_all("Content-Length", ()))) > 1:
            raise http.client.HTTPException("two lengths")
        # Only a 200 with a body is surely the final response. A 103 is not, and a 504 comes from a
        # proxy that gave up while the gateway still works on the request. If the true response
        # comes later, the next request must not meet it.
        if self.status != 200 or self.length == 0 or not self._surplus_is_detectable:
            self.will_close = True

    def read_body(self) -> bytes:
        """Return the complete body, its content encoding removed.

        Raises:
            ResponseTooLarge: the body has more than `MAX_RESPONSE_BYTES`.
            http.client.HTTPException, OSError: the body ends early, or is late.
            urllib3.exceptions.HTTPError: the content encoding cannot be decoded.
        """
        body = self.read(MAX_RESPONSE_BYTES + 1)
        if self.length and len(body) <= MAX_RESPONSE_BYTES:
            raise http.client.IncompleteRead(b"")
        if self.getheader("Content-Encoding"):
            encoded = HTTPResponse(
                io.BytesIO(body), HTTPHeaderDict(self.getheaders()), preload_content=False
            )
            body = encoded.read(MAX_RESPONSE_BYTES + 1)
        if len(body) > MAX_RESPONSE_BYTES:
            raise ResponseTooLarge
        return body


class Connection(HTTPConnection):
    """A connection that separates connecting from sending, and expires when idle."""

    debuglevel = 0  # http.client would print requests if the class attribute were raised globally
    response_class = RawResponse
    keepalive_expiry = KEEPALIVE_EXPIRY
    clock: Callable[[], float] = staticmethod(time.monotonic)
    last_used = 0.0
    _timer: threading.Timer | None = None

    def connect(self) -> None:
        """Connect, with the proxy's tunnel and TLS if they are configured.

        Raises:
            ConnectFailed: connecting failed, and nothing of a request was sent.
        """
        try:
            super().connect()
        except BaseException as error:
            self.close()
            if isinstance(error, Exception):
                raise ConnectFailed(error) from error
            raise

    def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> RawResponse:
        """Send one request, and return its response once the head has arrived.

        Args:
            method: ``GET`` or ``POST``.
            target: the target of the request line.
            headers: all headers but Host, Accept-Encoding and Content-Length.
            body: none for a GET.
            timeout: seconds from this call to the end of the response.
        """
        sock: Any = self.sock
        sock.settimeout(timeout)
        if not isinstance(sock, socket.socket):
            self._timer = _start_timer(sock, timeout)
        deadline = time.monotonic() + timeout
        self.putrequest(method, target)
        for name, value in headers.items():
            self.putheader(name, value)
        if body is not None:
            self.putheader("Content-Length", str(len(body)))
        # A server may reject a request before it has read all of it, and then close.
        with contextlib.suppress(ConnectionError):
            self.endheaders(body)
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        response: RawResponse = http.client.HTTPConnection.getresponse(self)  # type: ignore[assignment]
        self.last_used = self.clock()
        return response

    def close(self) -> None:
        """Close the connection."""
        if self._timer is not None:
            self._timer.cancel()
        super().close()

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, silent and not expired: usable for one more request."""
        return super().is_connected and not self.is_expired

    @property
    def is_expired(self) -> bool:
        """Whether the server may be about to close the connection."""
        return self.clock() - self.last_used >= self.keepalive_expiry


def _start_timer(sock: Any, timeout: float) -> threading.Timer:
    """Shut a connection down after ``timeout`` seconds.

    TLS in TLS is urllib3's own code, which restarts the socket's timeout with each read.
    """
    timer = threading.Timer(timeout, _shut_down, [sock.socket])
    timer.daemon = True
    timer.start()
    return timer


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class TLSConnection(Connection, HTTPSConnection):
    """The same over TLS, to the gateway or to a proxy."""
