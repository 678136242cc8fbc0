"""One connection to the sandbox: what aiohttp's own connection does not do like ASP.NET."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from yunxin_soap.sandbox.faults import effects
from yunxin_soap.sandbox.server.responses import error_response
from yunxin_soap.sandbox.service import Service

_REQUEST_LINE = re.compile(rb"\A[A-Z]+ [^\r\n]*")
_INCOMPLETE_LINE = re.compile(rb"[\r\n]*[A-Z]*(?: [^\n]*)?")
_PATH = re.compile(rb"[A-Z]+ ([^ ?\r\n]*)")
_NON_ASCII = re.compile(rb"[\x80-\xff]")
_ORIGIN = re.compile(rb"(?i:https?)://[^/?# ]*")
_MAX_REQUEST_LINE = 16 << 10
"""Bytes of an incomplete request line to buffer."""


class Connection(web.RequestHandler):
    """One connection, as the web server of an ASMX service treats it.

    It escapes raw bytes in the request line, which aiohttp alone rejects; removes the base path;
    triggers the faults of requests that have not been read; and closes the most silent connection
    if there are too many.

    Args:
        manager: aiohttp's server.
        service: the service to connect to.
        is_inbox_path: returns whether a path is the inbox's. Faults leave the inbox out, so that
            it can remove them.
        base_path: the path in front of all paths; empty for none.
        max_connections: how many connections may be open at the same time.
        options: options of aiohttp.
    """

    def __init__(
        self,
        manager: web.Server,
        service: Service,
        is_inbox_path: Callable[[str], bool],
        base_path: str,
        max_connections: int,
        **options: Any,
    ) -> None:
        super().__init__(manager, **options)
        self._is_inbox_path, self._base_path = is_inbox_path, base_path.encode()
        self._service, self._max_connections = service, max_connections
        self._line = b""
        """The incomplete request line."""
        self._first_bytes = b""
        """The first two bytes of the last request line."""
        self._for_inbox = False
        self._ignores_input = False
        self.expects_request_line = True
        """Whether the next bytes begin with a request line: at first, and after each response."""
        self.busy = False
        """Whether a complete request is being processed."""
        self.last_active = 0.0
        """When bytes were last received, by the event loop's clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close the connection that has been silent for longest if there are too many."""
        super().connection_made(transport)
        self.last_active = self._loop.time()
        if self._manager is None or len(self._manager.connections) <= self._max_connections:
            return
        # aiohttp lists a closed connection until its handler ends.
        is_open = [each for each in self._manager.connections if each.transport is not None]
        if len(is_open) <= self._max_connections:
            return
        idle = [each for each in is_open if isinstance(each, Connection) and not each.busy]
        most_silent = min(idle, key=lambda each: each.last_active)
        most_silent._ignores_input = True
        most_silent.force_close()

    def data_received(self, data: bytes) -> None:
        """Buffer an incomplete request line; escape a complete one and pass it to aiohttp."""
        if self._ignores_input:
            return
        self.last_active = self._loop.time()
        if self.expects_request_line:
            data = self._line = self._line + data
            if len(data) < _MAX_REQUEST_LINE and _INCOMPLETE_LINE.fullmatch(data):
                return
            self.expects_request_line, self._line, self._first_bytes = False, b"", data[:2]
            if self._base_path:
                data = self._without_base_path(data)
            path = _PATH.match(data)
            self._for_inbox = bool(path and self._is_inbox_path(path[1].decode("latin-1")))
            if not self._for_inbox and self._trigger_unread_fault():
                return
            data = _REQUEST_LINE.sub(_escape, data, count=1)
        super().data_received(data)

    def _without_base_path(self, data: bytes) -> bytes:
        """Remove the base path from a request line, but not if nothing comes after it."""
        method, space, target = data.partition(b" ")
        origin = _ORIGIN.match(target)
        start = origin.end() if origin else 0
        rest = target[start:].removeprefix(self._base_path)
        return method + space + target[:start] + rest if rest.startswith(b"/") else data

    def _trigger_unread_fault(self) -> bool:
        triggered = self._service.faults.trigger_unread()
        if triggered is None or self.transport is None:
            return False
        self._ignores_input = True
        effects.end_without_response(triggered.fault, self.transport)
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Respond to an unreadable request with an error page, without a log line."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        if not self._for_inbox:
            self._service.add_unreadable(self._problem(exc), self._remote())
        return error_response(400, "Bad Request")

    def _problem(self, error: BaseException | None) -> str:
        # aiohttp's message quotes the request, which can hold a password.
        if self._first_bytes == b"\x16\x03":
            return "this is TLS, and the sandbox speaks http, not https"
        if isinstance(error, LineTooLong):
            return "the request line, or a header, is too long"
        return f"this is no readable HTTP/1.1 request ({type(error).__name__})"

    def _remote(self) -> str:
        peer = self.transport.get_extra_info("peername") if self.transport else None
        return str(peer[0]) if peer else ""


def _escape(line: re.Match[bytes]) -> bytes:
    return _NON_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line[0])
