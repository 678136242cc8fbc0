"""A server on a real socket that follows a script, and counts the requests that it read.

A script is a function of one `Connection`. It decides what the server reads, sends and closes, so
that a test can produce every misbehaviour of a server or a proxy.
"""

from __future__ import annotations

import itertools
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

TIMEOUT_SECONDS = 5.0
"""Bound of each wait for an event. After it a hanging script is cut off; no passing test waits."""


@dataclass(frozen=True)
class ReceivedRequest:
    """One complete request, as the server read it."""

    connection: int
    """The number of its connection, counted from 1."""
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """The server's side of one connection, for a script to use."""

    def __init__(self, server: ScriptedServer, sock: socket.socket, number: int) -> None:
        self.server, self.sock, self.number = server, sock, number
        self.ended = threading.Event()
        self._buffer = b""

    def read(self) -> ReceivedRequest | None:
        """Read one complete request and count it; None if the peer closed before its end."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._fill():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (header.partition(":") for header in lines)
        }
        length = int(headers.get("content-length", "0"))
        self._buffer = rest
        while len(self._buffer) < length:
            if not self._fill():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        method, target, _ = line.split(" ")
        request = ReceivedRequest(self.number, method, target, headers, body)
        with self.server.progress:
            self.server.requests.append(request)
            self.server.progress.notify_all()
        return request

    def _fill(self) -> bool:
        piece = self.sock.recv(65536)
        self._buffer += piece
        return bool(piece)

    def send(self, content: bytes) -> None:
        """Send bytes."""
        self.sock.sendall(content)

    def wait_for_bytes(self) -> None:
        """Wait until the peer has sent or closed, and read nothing."""
        select.select([self.sock], [], [], TIMEOUT_SECONDS)

    def wait_until_closed(self) -> None:
        """Read and ignore everything until the peer closes."""
        while self._fill():
            pass

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the server's part of a TLS handshake."""
        secured = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        self.sock = secured
        secured.do_handshake()

    def cut_off(self) -> None:
        """Shut the connection down in both directions."""
        with suppress(OSError):  # it has ended meanwhile
            self.sock.shutdown(socket.SHUT_RDWR)


Script = Callable[[Connection], None]


class ScriptedServer:
    """Runs a script for each connection, in its own thread, and closes the connection after it.

    Args:
        script: what to do with one connection.
        tls: the context of a TLS handshake that precedes the script.
        listening: whether to accept connections at once. Until `listen` they are refused.
    """

    def __init__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, listening: bool = True
    ) -> None:
        self.requests: list[ReceivedRequest] = []
        self.progress = threading.Condition()
        """Notified after each request."""
        self._script, self._tls = script, tls
        self._connections: list[tuple[Connection, threading.Thread]] = []
        self._accepted = threading.Condition()
        self._ended = threading.Condition()
        self._ended_count = 0
        self._script_errors: list[Exception] = []
        self._waker: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        if listening:
            self.listen()

    @property
    def origin(self) -> str:
        """The address without a path."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address of the service's page on this server."""
        return f"{self.origin}/api/MsgSend.asmx"

    @property
    def connections(self) -> int:
        """How many connections the server has accepted."""
        return len(self._connections)

    def listen(self) -> None:
        """Start to accept connections."""
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, name="scripted server")
        self._thread.start()

    def wait_for_requests(self, count: int) -> None:
        """Wait until the server has read that many complete requests."""
        with self.progress:
            assert self.progress.wait_for(lambda: len(self.requests) >= count, TIMEOUT_SECONDS)

    def wait_for_connections(self, count: int) -> None:
        """Wait until the server has accepted that many connections."""
        with self._accepted:
            assert self._accepted.wait_for(lambda: self.connections >= count, TIMEOUT_SECONDS)

    def wait_until_ended(self, number: int) -> None:
        """Wait until the connection of that number, counted from 1, has ended."""
        self.wait_for_connections(number)
        assert self._connections[number - 1][0].ended.wait(TIMEOUT_SECONDS)

    def wait_for_ended(self, count: int) -> None:
        """Wait until that many connections have ended, whichever they are."""
        with self._ended:
            assert self._ended.wait_for(lambda: self._ended_count >= count, TIMEOUT_SECONDS)

    def close(self) -> None:
        """Wait until everything that was sent is processed, and close all sockets.

        Raises:
            Exception: the first error that a script raised.
        """
        if self._thread is not None:
            # Connections are accepted in order, so none that came before the waker is missed.
            with socket.socket() as self._waker:
                self._waker.bind(("127.0.0.1", 0))
                self._waker.connect(("127.0.0.1", self.port))
                self._thread.join()
        self._listener.close()
        for connection, thread in self._connections:
            thread.join(TIMEOUT_SECONDS)
            if thread.is_alive():
                connection.cut_off()
                thread.join()
        if self._script_errors:
            raise self._script_errors[0]

    def _accept(self) -> None:
        while True:
            sock, address = self._listener.accept()
            if self._waker is not None and address == self._waker.getsockname():
                sock.close()
                return
            connection = Connection(self, sock, self.connections + 1)
            thread = threading.Thread(target=self._run, args=(connection,))
            with self._accepted:
                self._connections.append((connection, thread))
                self._accepted.notify_all()
            thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            if self._tls is not None:
                connection.start_tls(self._tls)
            self._script(connection)
        except OSError:
            pass  # the client may close at any time
        except Exception as error:  # noqa: BLE001 - close() raises it in the test's thread
            self._script_errors.append(error)
        finally:
            connection.sock.close()
            connection.ended.set()
            with self._ended:
                self._ended_count += 1
                self._ended.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


# --- scripts


def reply_with(*responses: bytes, then_close: bool = False) -> Script:
    """Reply to each request with the next response, and to all further ones with the last.

    Args:
        responses: the responses in order.
        then_close: whether to close the connection after its first response.
    """

    def script(connection: Connection) -> None:
        for response in itertools.chain(responses, itertools.repeat(responses[-1])):
            if connection.read() is None:
                return
            connection.send(response)
            if then_close:
                return

    return script


def read_then_close(connection: Connection) -> None:
    """Read the request, and close without a response."""
    connection.read()


def read_then_reset(connection: Connection) -> None:
    """Read the request, and reset the connection."""
    connection.read()
    connection.reset()


def read_then_hang(connection: Connection) -> None:
    """Read the request, and never respond."""
    connection.read()
    connection.wait_until_closed()


def close_without_reading(connection: Connection) -> None:
    """Close once the first byte has arrived, and read nothing."""
    connection.wait_for_bytes()


def reset_without_reading(connection: Connection) -> None:
    """Reset the connection once the first byte has arrived, and read nothing."""
    connection.wait_for_bytes()
    connection.reset()


def proxy_url(server: ScriptedServer, user: str = "") -> str:
    """Return the address of a server that is used as a proxy.

    Args:
        server: the server.
        user: ``name:password``, as an address spells them.
    """
    return f"http://{user and user + '@'}127.0.0.1:{server.port}"
