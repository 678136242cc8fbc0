"""The sandbox on real sockets, on aiohttp: in a thread for sync code, or until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import signal
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

try:
    from aiohttp import web
except ModuleNotFoundError as error:
    from yunxin_soap.errors import ConfigurationError

    raise ConfigurationError(
        'The sandbox needs aiohttp: pip install "yunxin-soap[sandbox]"'
    ) from error

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox import asmx, effects, pages
from yunxin_soap.sandbox.faults import Kind, fault
from yunxin_soap.sandbox.gateway import Gateway, Submission
from yunxin_soap.sandbox.inbox import Inbox
from yunxin_soap.sandbox.record import Record
from yunxin_soap.sandbox.service import Service

if TYPE_CHECKING:
    from typing_extensions import Self

# ASP.NET does not undo a request's content encoding either.
_OPTIONS: dict[str, Any] = {"access_log": None, "auto_decompress": False}
_REQUEST_LINE = re.compile(rb"\A[A-Z]+ /[^\r\n]*")
# Whoever makes the service fail must be able to end it.
_FOR_THE_INBOX = re.compile(rb"[A-Z]+ /(?:inbox\.(?:js|css)|api/v1/[^ ]*)? ")
_RAW_BYTES = re.compile(rb"[\x80-\xff]")
MAX_CONNECTIONS = 1000
"""Open at once; who comes beyond is turned away."""
_SHUTTING = 10.0
"""Seconds to wait at most for the port to be shut."""
_HOST = re.compile(r"[A-Za-z0-9._~%:\[\]-]*")


class _Connection(web.RequestHandler):
    """One connection, as the web server of an ASMX service would treat it."""

    line_is_next = True
    """Whether what comes next starts with a request line: at first, and after each answer."""
    _deaf = False

    def __init__(self, manager: web.Server, service: Service, **options: Any) -> None:
        super().__init__(manager, **options)
        self._service = service
        self.gone = asyncio.Event()
        """Set once the connection has ended."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn away who comes when there are too many."""
        super().connection_made(transport)
        if self._manager is not None and len(self._manager.connections) > MAX_CONNECTIONS:
            self._deaf = True
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """Let bytes that nobody escaped into the request line, which aiohttp alone would refuse."""
        if self._deaf:
            return
        if self.line_is_next:
            self.line_is_next = False
            if not _FOR_THE_INBOX.match(data) and self._service_is_deaf():
                return
            data = _REQUEST_LINE.sub(_escape, data, count=1)
        super().data_received(data)

    def _service_is_deaf(self) -> bool:
        met = self._service.faults.unread()
        if met is None or self.transport is None:
            return False
        self._deaf = True
        if met.kind is Kind.RESET:
            effects.reset(self.transport)
        elif met.kind is Kind.CLOSE:
            self.transport.close()
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wake whoever hangs on purpose."""
        self.gone.set()
        super().connection_lost(exc)

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
        answer = _bad_request()
        answer.force_close()
        return answer


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
        door = _Door(runner, host, bound)
        service.faults.on_refuse = door.shut
        ready(f"http://{shown}:{bound}{asmx.PATH}")
        await stop.wait()
        await door.leave()
    finally:
        await runner.cleanup()


class _Door:
    """The port: shut for a while when a fault asks for it."""

    def __init__(self, runner: web.ServerRunner, host: str, port: int) -> None:
        self._runner, self._host, self._port = runner, host, port
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def shut(self, seconds: float) -> None:
        """Accept no connection for so long, from now on; callable from any thread."""
        closed = threading.Event()

        def start() -> None:
            task = self._loop.create_task(self._shut(seconds, closed))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        if asyncio._get_running_loop() is self._loop:
            start()  # the REST API asks, and its answer may still go out
        else:
            self._loop.call_soon_threadsafe(start)
            closed.wait(_SHUTTING)

    async def _shut(self, seconds: float, closed: threading.Event) -> None:
        async with self._lock:
            for site in list(self._runner.sites):
                await site.stop()
            closed.set()
            await asyncio.sleep(seconds)
            await web.TCPSite(self._runner, self._host, self._port).start()

    async def leave(self) -> None:
        """Open it no more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


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

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            return await _handle(request, service, inbox)

        super().__init__(handler)

    def __call__(self) -> _Connection:
        """Make one."""
        loop = asyncio.get_running_loop()
        return _Connection(self, self._service, loop=loop, **_OPTIONS)


async def _handle(request: web.BaseRequest, service: Service, inbox: Inbox) -> web.StreamResponse:
    host = request.headers.get("Host")
    if not _HOST.fullmatch(host or "") or (host is None and request.version >= (1, 1)):
        return _bad_request()
    try:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, too_long = await _read(request)
    except ConnectionError:
        # The client left in the middle of its request; nobody reads this answer.
        return _bad_request()
    if inbox.wants(request.path):
        _next_request(request)
        return await inbox.answer(request, body)
    incoming = asmx.HttpRequest(
        method=request.method,
        target=request.raw_path.encode("utf-8", "surrogateescape"),
        headers=request.headers,
        body=body,
        too_long=too_long,
    )
    answer, met = service.answer(incoming, request.remote or "")
    response = _to_aiohttp(answer)
    _next_request(request)
    if met is not None and isinstance(request.protocol, _Connection):
        await effects.pause(met)
        if await effects.carry_out(met, answer, request, request.protocol.gone):
            response.force_close()
    return response


def _next_request(request: web.BaseRequest) -> None:
    if isinstance(request.protocol, _Connection):
        request.protocol.line_is_next = True


async def _read(request: web.BaseRequest) -> tuple[bytes, bool]:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > asmx.MAX_REQUEST:
            return b"", True
    return bytes(body), False


def _bad_request() -> web.Response:
    return _to_aiohttp(asmx.HttpResponse(400, asmx.HTML, pages.error_page(400, "Bad Request")))


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


class Sandbox:
    """A sandbox gateway in a thread of its own, on a real port.

    Use it as a context manager, or call `start` and `stop`::

        with Sandbox() as sandbox:
            client = Client("demo", "demo", channel="37", endpoint=sandbox.url)

    Args:
        gateway: what decides; one with the account ``demo`` by default.
        record: keeps what arrives; in memory by default.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
    """

    def __init__(
        self,
        gateway: Gateway | None = None,
        *,
        record: Record | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._service = Service(gateway, record)
        self.gateway = self._service.gateway
        self.record = self._service.record
        self._host, self._port = host, port
        self._url = ""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """The address of the service's page, to be used as ``endpoint``."""
        if not self._url:
            raise RuntimeError("The sandbox has not been started.")
        return self._url

    @property
    def inbox(self) -> tuple[Submission, ...]:
        """What was accepted, oldest first."""
        return self.gateway.inbox

    def clear(self) -> None:
        """Forget what arrived and every fault; give every account its balance back."""
        self._service.clear()

    def provoke(self, kind: str, /, *, times: int | None = 1, **options: Any) -> None:
        """Break the next submit, or the next ``times`` of those that fit (None: all of them).

        Args:
            kind: what goes wrong; see `Kind`.
            times: how many submits it meets.
            options: the rest of `Fault`.

        Raises:
            ConfigurationError: an option makes no sense.
        """
        self._service.faults.add(fault(kind, times=times, **options))

    def assert_sent(
        self, recipient: str, containing: str = "", *, times: int = 1
    ) -> tuple[Submission, ...]:
        """Return the accepted submits to a number whose text holds ``containing``.

        Raises:
            AssertionError: there are more or fewer than ``times``; it tells all that arrived.
        """
        found = tuple(
            each
            for each in self.inbox
            if recipient in each.recipients and containing in each.message
        )
        if len(found) != times:
            arrived = "".join(f"\n  {each.summary}" for each in self.record.arrivals[-20:])
            raise AssertionError(
                f"{len(found)} accepted submits to {recipient}"
                + (f" hold {containing!r}" if containing else "")
                + f", not {times}. What arrived: {arrived or 'nothing'}"
            )
        return found

    @contextlib.contextmanager
    def faults(self, kind: str, /, **options: Any) -> Iterator[None]:
        """Break every submit that fits, as long as the block runs; else as `provoke`."""
        number = self._service.faults.add(fault(kind, **options))
        try:
            yield
        finally:
            self._service.faults.remove(number)

    def start(self) -> Self:
        """Start serving; returns once the port is open.

        Raises:
            ConfigurationError: the port cannot be listened on.
        """
        if self._thread is not None:
            raise RuntimeError("The sandbox runs already.")
        opened: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(opened,), name="yunxin-soap sandbox", daemon=True
        )
        self._thread.start()
        result = opened.get()
        if isinstance(result, Exception):
            self._thread.join()
            self._thread = None
            raise result
        self._url = result
        return self

    def stop(self) -> None:
        """Stop serving and wait until the thread has ended."""
        if self._thread is None:
            return
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None
        self._url = ""

    def _run(self, opened: queue.SimpleQueue[str | Exception]) -> None:
        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await serve(self._service, self._host, self._port, self._stop, opened.put)

        try:
            asyncio.run(main())
        except Exception as error:  # noqa: BLE001 - it is raised in start(), by the other thread
            opened.put(error)

    def __enter__(self) -> Self:
        """Start serving."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self.stop()
