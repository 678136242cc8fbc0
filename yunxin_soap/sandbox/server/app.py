"""Serve a sandbox on real sockets, with aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import signal
import socket
from collections.abc import Callable
from typing import Any

from aiohttp import web

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.access import Access
from yunxin_soap.sandbox.asmx import handler as asmx
from yunxin_soap.sandbox.faults import effects
from yunxin_soap.sandbox.faults.model import HangFault
from yunxin_soap.sandbox.faults.port_gate import PortGate
from yunxin_soap.sandbox.inbox.api import MAX_BODY, Inbox
from yunxin_soap.sandbox.server.bodies import BodyReader, ReadingLimitExceeded
from yunxin_soap.sandbox.server.connection import Connection
from yunxin_soap.sandbox.server.limits import ServerLimits
from yunxin_soap.sandbox.server.responses import error_response, to_aiohttp
from yunxin_soap.sandbox.service import Service
from yunxin_soap.sentences import Sentence

# ASP.NET does not decompress a request either.
_OPTIONS: dict[str, Any] = {"access_log": None, "auto_decompress": False}
_ORIGIN = re.compile(r"\Ahttps?://[^/?#]*", re.IGNORECASE)
_HOST = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]*)(?:%[A-Za-z0-9._~-]+)?\]|[A-Za-z0-9._~%-]*)(?::[0-9]*)?"
)
"""A Host header. An IPv6 address may have a zone, such as ``%eth0``."""


async def serve(
    service: Service,
    host: str,
    port: int,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    limits: ServerLimits | None = None,
    access: Access | None = None,
) -> None:
    """Serve until an event is set.

    Args:
        service: the service.
        host: the address to listen on.
        port: the TCP port to listen on; 0 takes a free one.
        stop: the event that ends the server.
        ready: called with the URL of the service's page once the port is open.
        limits: what the server accepts at the same time.
        access: host names, base path and login; none by default.

    Raises:
        ConfigurationError: the server cannot listen on the port.
    """
    access = access or Access()
    server = _Server(service, Inbox(service, host, access), limits or ServerLimits(), access)
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(
                Sentence(
                    "The sandbox cannot listen on {address} ({problem}): choose another address or"
                    " port.",
                    address=f"{host}:{port}",
                    problem=_os_message(error),
                )
            ) from error
        bound_port = runner.addresses[0][1]
        url_host = f"[{host}]" if ":" in host else host
        gate = PortGate(service.faults, runner, host, bound_port)
        service.faults.on_refuse = gate.update
        await gate.start()
        ready(f"http://{url_host}:{bound_port}{access.base_path}{asmx.PATH}")
        await stop.wait()
        await gate.stop()
    finally:
        await runner.cleanup()


def _os_message(error: OSError) -> str:
    """Return the operating system's words: asyncio's own repeat the address."""
    # The numbers of a failed name lookup are not those of the system.
    if error.errno is None or isinstance(error, socket.gaierror):
        return str(error.strerror)
    return os.strerror(error.errno)


def run(
    service: Service,
    host: str,
    port: int,
    ready: Callable[[str], None],
    access: Access | None = None,
) -> None:
    """Serve until the process receives SIGINT or SIGTERM.

    Args:
        service: the service.
        host: the address to listen on.
        port: the TCP port to listen on; 0 takes a free one.
        ready: called with the URL of the service's page once the port is open.
        access: host names, base path and login; none by default.

    Raises:
        ConfigurationError: the server cannot listen on the port.
    """

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Windows has no such handlers: Ctrl-C raises KeyboardInterrupt there.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, stop.set)
        await serve(service, host, port, stop, ready, access=access)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


class _Server(web.Server):
    """Makes a `Connection` for each client, and processes its requests."""

    def __init__(
        self, service: Service, inbox: Inbox, limits: ServerLimits, access: Access
    ) -> None:
        self._service, self._inbox, self._limits = service, inbox, limits
        self._base_path = access.base_path
        self._reader = BodyReader(limits.max_reading)
        # A delayed or hanging response must end when its client disconnects.
        super().__init__(self._handle, handler_cancellation=True)

    def __call__(self) -> Connection:
        """Make a connection."""
        return Connection(
            self,
            self._service,
            self._inbox.has_path,
            self._base_path,
            self._limits.max_connections,
            loop=asyncio.get_running_loop(),
            **_OPTIONS,
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        try:
            return await self._respond(request, connection)
        finally:
            connection.busy = False
            connection.last_active = asyncio.get_running_loop().time()

    async def _respond(
        self, request: web.BaseRequest, connection: Connection
    ) -> web.StreamResponse:
        for_inbox = self._inbox.has_path(request.path)
        remote = request.remote or ""
        host = request.headers.get("Host")
        if not is_host(host or "") or (host is None and request.version >= (1, 1)):
            if not for_inbox:
                self._service.add_unreadable("the Host header is missing or invalid", remote)
            return error_response(400, "Bad Request")
        try:
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            limit = MAX_BODY if for_inbox else asmx.MAX_REQUEST
            body, too_long = await self._reader.read(request, limit)
        except ConnectionError:
            # The client disconnected within its request; nobody reads this response.
            return error_response(400, "Bad Request")
        except ReadingLimitExceeded as error:
            if not for_inbox:
                self._service.add_unreadable(str(error), remote, 503)
            return error_response(503, str(error))
        connection.busy = True
        # After a body that is too long, its unread rest comes next.
        connection.expects_request_line = not too_long
        if for_inbox:
            return await self._inbox.respond(request, None if too_long else body)
        incoming = asmx.HttpRequest(
            method=request.method,
            target=_ORIGIN.sub("", request.raw_path).encode("utf-8", "surrogateescape"),
            headers=request.headers,
            body=body,
            too_long=too_long,
            base_path=self._base_path,
        )
        outgoing, triggered = self._service.respond(incoming, remote)
        del incoming, body  # a hanging request must hold no memory beyond its connection
        # A hanging connection may be closed if there are too many.
        connection.busy = triggered is None or not isinstance(triggered.fault, HangFault)
        response = to_aiohttp(outgoing)
        if triggered is not None and await effects.apply_to_connection(
            triggered, outgoing, request.transport
        ):
            response.force_close()
        if too_long:
            response.force_close()
        return response


def is_host(host: str) -> bool:
    """Return whether a Host header names a host, so that it can stand in a URL."""
    found = _HOST.fullmatch(host)
    if found is None or found["v6"] is None:
        return found is not None
    try:
        ipaddress.IPv6Address(found["v6"])
    except ValueError:
        return False
    return True
