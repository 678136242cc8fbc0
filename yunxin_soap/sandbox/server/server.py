"""The sandbox on real sockets, on aiohttp, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import signal
from collections.abc import Callable
from typing import Any

try:
    from aiohttp import web
    from aiohttp.http_exceptions import LineTooLong
except ModuleNotFoundError as error:
    from yunxin_soap.errors import ConfigurationError

    raise ConfigurationError(
        'The sandbox needs aiohttp: pip install "yunxin-soap[sandbox]"'
    ) from error

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.asmx import handler as asmx
from yunxin_soap.sandbox.asmx import pages
from yunxin_soap.sandbox.faults import effects
from yunxin_soap.sandbox.faults.model import HangFault
from yunxin_soap.sandbox.faults.port_gate import PortGate
from yunxin_soap.sandbox.inbox.api import MAX_BODY, Inbox
from yunxin_soap.sandbox.server.bodies import BodyReader, ReadingLimitExceeded
from yunxin_soap.sandbox.service import Service

# ASP.NET does not undo a request's content encoding either.
_OPTIONS: dict[str, Any] = {"access_log": None, "auto_decompress": False}
_REQUEST_LINE = re.compile(rb"\A[A-Z]+ [^\r\n]*")
_HALF_A_LINE = re.compile(rb"[\r\n]*[A-Z]*(?: [^\n]*)?")
_ORIGIN = re.compile(r"\Ahttps?://[^/?#]*", re.IGNORECASE)
# Whoever makes the service fail must be able to end it.
_FOR_THE_INBOX = re.compile(rb"[A-Z]+ /(?:inbox\.(?:js|css)|api/v1/[^ ?]*)?[? ]")
_RAW_BYTES = re.compile(rb"[\x80-\xff]")
MAX_CONNECTIONS = 1000
"""Open at once; who comes beyond is turned away."""
_LONGEST_LINE = 16 << 10
"""Bytes of a request line that are waited for."""
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|[A-Za-z0-9._~%-]*)(?::[0-9]*)?")


class _Connection(web.RequestHandler):
    """One connection, as the web server of an ASMX service would treat it."""

    line_is_next = True
    """Whether what comes next starts with a request line: at first, and after each answer."""
    _deaf = False

    def __init__(self, manager: web.Server, service: Service, **options: Any) -> None:
        super().__init__(manager, **options)
        self._service = service
        self._line = b""
        self._start = b""
        """Of the request line that came last."""
        self._for_the_inbox = False
        self.busy = False
        """Whether a whole request was read and is being answered."""
        self.heard_at = 0.0
        """When something last came, as the event loop counts."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """End the connection that is silent for longest when there are too many."""
        super().connection_made(transport)
        self.heard_at = self._loop.time()
        if self._manager is None or len(self._manager.connections) <= MAX_CONNECTIONS:
            return
        # One that has ended is among them until its handler has.
        is_open = [each for each in self._manager.connections if each.transport is not None]
        if len(is_open) <= MAX_CONNECTIONS:
            return
        idle = [each for each in is_open if isinstance(each, _Connection) and not each.busy]
        last = min(idle, key=lambda each: each.heard_at)
        last._deaf = True
        last.force_close()

    def data_received(self, data: bytes) -> None:
        """Let bytes that nobody escaped into the request line, which aiohttp alone would refuse."""
        if self._deaf:
            return
        self.heard_at = self._loop.time()
        if self.line_is_next:
            data = self._line = self._line + data
            if len(data) < _LONGEST_LINE and _HALF_A_LINE.fullmatch(data):
                return
            self.line_is_next, self._line, self._start = False, b"", data[:2]
            self._for_the_inbox = bool(_FOR_THE_INBOX.match(data))
            if not self._for_the_inbox and self._service_is_deaf():
                return
            data = _REQUEST_LINE.sub(_escape, data, count=1)
        super().data_received(data)

    def _service_is_deaf(self) -> bool:
        met = self._service.faults.trigger_unread()
        if met is None or self.transport is None:
            return False
        self._deaf = True
        effects.end_without_response(met.fault, self.transport)
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP with a page, as the web server does, and without a log line."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        if not self._for_the_inbox:
            self._service.add_unreadable(self._what_is_wrong(exc), self._peer())
        return _refusal(400, "Bad Request")

    def _what_is_wrong(self, error: BaseException | None) -> str:
        # The error itself quotes what came, a password too.
        if self._start.startswith(b"\x16\x03"):
            return "this is TLS, and the sandbox speaks http, not https"
        if isinstance(error, LineTooLong):
            return "the request line, or a header, is too long"
        return f"this is no HTTP/1.1 request that can be read ({type(error).__name__})"

    def _peer(self) -> str:
        peer = self.transport.get_extra_info("peername") if self.transport else None
        return str(peer[0]) if peer else ""


def _escape(line: re.Match[bytes]) -> bytes:
    return _RAW_BYTES.sub(lambda byte: b"%%%02X" % byte[0][0], line[0])


async def serve(
    service: Service, host: str, port: int, stop: asyncio.Event, ready: Callable[[str], None]
) -> None:
    """Serve until ``stop`` is set; ``ready`` gets the page's address.

    Raises:
        ConfigurationError: the port cannot be listened on.
    """
    runner = web.ServerRunner(_Server(service, Inbox(service, host)), shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(
                f"The sandbox cannot listen on {host}:{port} ({error.strerror}): choose another"
                " address or port."
            ) from error
        bound = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        gate = PortGate(service.faults, runner, host, bound)
        service.faults.on_refuse = gate.update
        await gate.start()
        ready(f"http://{shown}:{bound}{asmx.PATH}")
        await stop.wait()
        await gate.stop()
    finally:
        await runner.cleanup()


def run(service: Service, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until the process is told to end (SIGINT, SIGTERM).

    Raises:
        ConfigurationError: the port cannot be listened on.
    """

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Windows has no such handlers: Ctrl-C raises KeyboardInterrupt there.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, stop.set)
        await serve(service, host, port, stop, ready)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


class _Server(web.Server):
    """Makes a `_Connection` of every connection."""

    def __init__(self, service: Service, inbox: Inbox) -> None:
        self._service = service
        reader = BodyReader()

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            connection = request.protocol
            assert isinstance(connection, _Connection)
            try:
                return await _handle(request, connection, service, inbox, reader)
            finally:
                connection.busy = False
                connection.heard_at = asyncio.get_running_loop().time()

        # Who waits or hangs for a client that has left would wait for nobody.
        super().__init__(handler, handler_cancellation=True)

    def __call__(self) -> _Connection:
        """Make one."""
        loop = asyncio.get_running_loop()
        return _Connection(self, self._service, loop=loop, **_OPTIONS)


async def _handle(
    request: web.BaseRequest,
    connection: _Connection,
    service: Service,
    inbox: Inbox,
    reader: BodyReader,
) -> web.StreamResponse:
    host = request.headers.get("Host")
    if not _is_host(host or "") or (host is None and request.version >= (1, 1)):
        if not inbox.has_path(request.path):
            service.add_unreadable("the Host header is missing or invalid", request.remote or "")
        return _refusal(400, "Bad Request")
    try:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        limit = MAX_BODY if inbox.has_path(request.path) else asmx.MAX_REQUEST
        body, too_long = await reader.read(request, limit)
    except ConnectionError:
        # The client left in the middle of its request; nobody reads this answer.
        return _refusal(400, "Bad Request")
    except ReadingLimitExceeded as error:
        if not inbox.has_path(request.path):
            service.add_unreadable(str(error), request.remote or "", 503)
        return _refusal(503, str(error))
    connection.busy = True
    # What is left of a body that is too long is no request line.
    connection.line_is_next = not too_long
    if inbox.has_path(request.path):
        return await inbox.respond(request, None if too_long else body)
    incoming = asmx.HttpRequest(
        method=request.method,
        target=_ORIGIN.sub("", request.raw_path).encode("utf-8", "surrogateescape"),
        headers=request.headers,
        body=body,
        too_long=too_long,
    )
    answered, met = service.respond(incoming, request.remote or "")
    del incoming, body  # who hangs holds no more than its connection
    # Nor does it keep its place if there are too many.
    connection.busy = met is None or not isinstance(met.fault, HangFault)
    response = _to_aiohttp(answered)
    if met is not None and await effects.apply_to_connection(met, answered, request.transport):
        response.force_close()
    if too_long:
        response.force_close()
    return response


def _is_host(host: str) -> bool:
    found = _HOST.fullmatch(host)
    if found is None or found["v6"] is None:
        return found is not None
    try:
        ipaddress.IPv6Address(found["v6"])
    except ValueError:
        return False
    return True


def _refusal(status: int, title: str) -> web.Response:
    """Return an answer of the web server's own, after which the connection ends."""
    answer = _to_aiohttp(asmx.HttpResponse(status, asmx.HTML, pages.error_page(status, title)))
    answer.force_close()
    return answer


def _to_aiohttp(answer: asmx.HttpResponse) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers={
            "Content-Type": answer.content_type,
            "Server": "yunxin-soap sandbox",
            **answer.headers,
        },
    )
