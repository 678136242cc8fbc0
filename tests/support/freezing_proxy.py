"""A TCP proxy before a real database server that can stop to forward, as if the server froze."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from typing_extensions import Self

_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306}


class FreezingProxy:
    """Forwards connections to a server until it is frozen, and keeps them after that.

    Args:
        url: the address of a ledger on the server.
        only_greeting: whether to forward what the server says first, and nothing after that.
    """

    def __init__(self, url: str, *, only_greeting: bool = False) -> None:
        address = sa.make_url(url)
        port = address.port or _DEFAULT_PORTS[address.get_backend_name()]
        self._server, self._only_greeting = (address.host, port), only_greeting
        self._goes_on, self._closed = threading.Event(), threading.Event()
        self._goes_on.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        here = address.set(host="127.0.0.1", port=self._listener.getsockname()[1])
        self.url = here.render_as_string(hide_password=False)
        """The address of the ledger by this proxy."""
        self._start(self._accept)

    def freeze(self) -> None:
        """Forward nothing any more, on no connection."""
        self._goes_on.clear()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it is closed
                return
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
            self._start(self._forward, client, server, False)
            self._start(self._forward, server, client, self._only_greeting)

    def _forward(self, source: socket.socket, target: socket.socket, once: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                self._goes_on.wait()
                if self._closed.is_set():
                    return
                target.sendall(piece)
                if once:
                    self.freeze()
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        """Return the proxy, which forwards."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self._closed.set()
        self._goes_on.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in self._sockets:
            each.close()
