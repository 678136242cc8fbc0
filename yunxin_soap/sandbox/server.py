"""The sandbox on real sockets, on aiohttp: in a thread for sync code, or until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import signal
import threading
from collections.abc import Callable
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
from yunxin_soap.sandbox import asmx, pages
from yunxin_soap.sandbox.gateway import Gateway, Submission

if TYPE_CHECKING:
    from typing_extensions import Self

# ASP.NET does not undo a request's content encoding either.
_OPTIONS: dict[str, Any] = {"access_log": None, "auto_decompress": False}
_REQUEST_LINE = re.compile(rb"\A[A-Z]+ /[^\r\n]*")
_RAW_BYTES = re.compile(rb"[\x80-\xff]")
_HOST = re.compile(r"[A-Za-z0-9._~%:\[\]-]*")


class _Connection(web.RequestHandler):
    """One connection, as the web server of an ASMX service would treat it."""

    line_is_next = True
    """Whether what comes next starts with a request line: at first, and after each answer."""

    def data_received(self, data: bytes) -> None:
        """Let bytes that nobody escaped into the request line, which aiohttp alone would refuse."""
        if self.line_is_next:
            data = _REQUEST_LINE.sub(_escape, data, count=1)
            self.line_is_next = False
        super().data_received(data)

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
    gateway: Gateway, host: str, port: int, stop: asyncio.Event, ready: Callable[[str], None]
) -> None:
    """Serve ``gateway`` until ``stop`` is set; ``ready`` gets the page's address.

    Raises:
        ConfigurationError: the port cannot be listened on.
    """
    runner = web.ServerRunner(_Server(gateway), shutdown_timeout=1)
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
        ready(f"http://{shown}:{bound}{asmx.PATH}")
        await stop.wait()
    finally:
        await runner.cleanup()


def run(gateway: Gateway, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve ``gateway`` until the process is told to end (SIGINT, SIGTERM).

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
        await serve(gateway, host, port, stop, ready)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


class _Server(web.Server):
    """Makes a `_Connection` of every connection."""

    def __init__(self, gateway: Gateway) -> None:
        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            return await _handle(request, gateway)

        super().__init__(handler)

    def __call__(self) -> _Connection:
        """Make one."""
        return _Connection(self, loop=asyncio.get_running_loop(), **_OPTIONS)


async def _handle(request: web.BaseRequest, gateway: Gateway) -> web.StreamResponse:
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
    incoming = asmx.HttpRequest(
        method=request.method,
        target=request.raw_path.encode("utf-8", "surrogateescape"),
        headers=request.headers,
        body=body,
        too_long=too_long,
    )
    remote = request.remote or ""
    answer = asmx.handle(incoming, lambda fields, port: gateway.submit(fields, port, remote))
    if isinstance(request.protocol, _Connection):
        request.protocol.line_is_next = True
    return _to_aiohttp(answer)


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
        gateway: what decides and keeps; one with the account ``demo`` by default.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
    """

    def __init__(
        self, gateway: Gateway | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.gateway = gateway or Gateway()
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
        """Empty the inbox and give every account its balance back."""
        self.gateway.clear()

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
            await serve(self.gateway, self._host, self._port, self._stop, opened.put)

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
