"""The clients compared: each sends the same submission to the same responder in its usual way."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import requests
import requests.adapters
import suds.client
import urllib3
import yarl
import zeep
import zeep.proxy
import zeep.transports

from tests.benchmarks.responder import BATCH_NO
from yunxin_soap import AsyncClient, Client
from yunxin_soap.operation import PROTOCOLS, ProtocolName
from yunxin_soap.redact import Redactor
from yunxin_soap.transport.base import Request
from yunxin_soap.wire.codec import Codec, Fields
from yunxin_soap.wsdl import load, shipped_path

ACCOUNT = ("demo", "demo")
MESSAGE = "您的验证码是1234，请勿告诉他人。【签名】"
MAX_CONCURRENCY = 32
BARE_SOCKET = "bare socket, ready bytes"
BARE_PROTOCOL = "bare asyncio.Protocol, ready bytes"


@dataclass(frozen=True)
class Load:
    """The content and the address of one submission."""

    url: str
    numbers: int

    @cached_property
    def recipients(self) -> list[str]:
        return [f"1390000{number:04d}" for number in range(self.numbers)]

    @cached_property
    def fields(self) -> Fields:
        return Fields(*ACCOUNT, ",".join(self.recipients), MESSAGE, "37", "")

    def request(self, protocol: ProtocolName) -> Request:
        """Return the encoded request."""
        path = urlsplit(self.url).path
        return Codec(load(), protocol, path, Redactor(ACCOUNT[1])).encode(self.fields)

    def ready_bytes(self, protocol: ProtocolName) -> bytes:
        """Return the whole HTTP request, head and body, as a socket carries it."""
        request = self.request(protocol)
        target = f"{request.path}?{request.query}".rstrip("?")
        headers = {"Host": urlsplit(self.url).netloc, **request.headers}
        if request.body is not None:
            headers["Content-Length"] = str(len(request.body))
        lines = (f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{request.method} {target} HTTP/1.1\r\n{''.join(lines)}\r\n"
        return head.encode() + (request.body or b"")

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port of the service."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port


@dataclass(frozen=True)
class Timing:
    """Seconds of wall time, and of the contender's own CPU time, for a number of submissions."""

    wall: float
    cpu: float


Run = Callable[[int, int], Timing]
"""Sends a number of submissions with some concurrency."""


@dataclass(frozen=True)
class Contender:
    """One client with one protocol."""

    name: str
    protocol: ProtocolName
    open: Callable[[Load], Any]
    """Returns a context manager that yields a `Run`."""
    limit: str
    """The key of the contender that does no more than exchange the same bytes."""
    concurrencies: tuple[int, ...] = (1, 8, 32)

    @property
    def key(self) -> str:
        return f"{self.name}, {self.protocol}"

    def carries(self, numbers: int) -> bool:
        """Whether a request can carry so many numbers: the query of a GET is bounded."""
        return self.protocol != "http-get" or numbers < 100


def _timed(work: Callable[[], object]) -> Timing:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu)


def _check(response: str | bytes) -> None:
    text = response.decode() if isinstance(response, bytes) else response
    if BATCH_NO not in text:
        raise RuntimeError(f"no batch number in {response!r}")


# Synchronous clients: one submission after another, or a pool of threads that share the client.

Send = Callable[[], str | bytes]


def _sync(
    name: str, protocol: ProtocolName, open_one: Callable[[Load, ExitStack], Send]
) -> Contender:
    @contextmanager
    def open_run(load: Load) -> Iterator[Run]:
        with ExitStack() as stack:
            send = open_one(load, stack)
            threads = stack.enter_context(ThreadPoolExecutor(MAX_CONCURRENCY))

            def send_many(count: int) -> None:
                for _ in range(count):
                    _check(send())

            def run(count: int, concurrency: int) -> Timing:
                if concurrency == 1:
                    return _timed(lambda: send_many(count))
                shares = [count // concurrency] * concurrency
                return _timed(lambda: list(threads.map(send_many, shares)))

            yield run

    return Contender(name, protocol, open_run, f"{BARE_SOCKET}, {protocol}")


def _client(protocol: ProtocolName) -> Contender:
    def open_one(load: Load, stack: ExitStack) -> Send:
        client = Client(*ACCOUNT, channel="37", endpoint=load.url, protocol=protocol)
        stack.enter_context(client)
        recipients = load.recipients
        return lambda: client.send(recipients, MESSAGE).batch_no

    return _sync("yunxin_soap.Client", protocol, open_one)


def _bare_socket(protocol: ProtocolName) -> Contender:
    """Return the limit of a synchronous client: each thread has a socket and the ready bytes."""

    def open_one(load: Load, stack: ExitStack) -> Send:
        request = load.ready_bytes(protocol)
        length = _response_length(load, request)
        own = threading.local()

        def connect() -> socket.socket:
            own.connection = stack.enter_context(socket.create_connection(load.address))
            connection: socket.socket = own.connection
            return connection

        def send() -> bytes:
            connection = getattr(own, "connection", None) or connect()
            connection.sendall(request)
            return _receive(connection, length)

        return send

    return _sync(BARE_SOCKET, protocol, open_one)


def _receive(connection: socket.socket, length: int) -> bytes:
    response = b""
    while len(response) < length:
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("the responder closed the connection")
        response += received
    return response


def _response_length(load: Load, request: bytes) -> int:
    """Return the length of the response to a request; the responder's never differ in it."""
    with socket.create_connection(load.address) as connection:
        connection.sendall(request)
        response = b""
        while b"\r\n\r\n" not in response:
            response += _receive(connection, 1)
    head, end, _ = response.partition(b"\r\n\r\n")
    content = head.partition(b"\r\nContent-Length: ")[2].partition(b"\r\n")[0]
    return len(head + end) + int(content)


def _urllib3(protocol: ProtocolName) -> Contender:
    def open_one(load: Load, stack: ExitStack) -> Send:
        pool = stack.enter_context(urllib3.PoolManager(maxsize=MAX_CONCURRENCY))
        request = load.request(protocol)
        url = _url(load, request)
        return lambda: (
            pool.request(request.method, url, body=request.body, headers=request.headers).data
        )

    return _sync("urllib3, prepared bytes", protocol, open_one)


def _url(load: Load, request: Request) -> str:
    parts = urlsplit(load.url)
    return f"{parts.scheme}://{parts.netloc}{request.path}?{request.query}".rstrip("?")


def _http_client(load: Load, stack: ExitStack) -> Send:
    request = load.request("soap")
    own = threading.local()

    def send() -> bytes:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(urlsplit(load.url).netloc)
            stack.callback(own.connection.close)
        own.connection.request("POST", request.path, request.body, dict(request.headers))
        response: bytes = own.connection.getresponse().read()
        return response

    return send


def _zeep(load: Load, stack: ExitStack) -> Send:
    session = stack.enter_context(requests.Session())
    # zeep's default allows ten connections.
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=MAX_CONCURRENCY))
    client = zeep.Client(str(shipped_path()), transport=zeep.transports.Transport(session=session))
    service = client.create_service(zeep_binding(client), load.url)
    fields = load.fields._asdict()
    return lambda: str(service.sendMesExt(**fields))


def zeep_binding(client: zeep.Client) -> str:
    """Return the name of the SOAP 1.1 binding."""
    (binding,) = (name for name in client.wsdl.bindings if name.endswith("}MsgSendSoap"))
    return binding


def _suds(load: Load, stack: ExitStack) -> Send:
    client = suds.client.Client(shipped_path().as_uri(), location=load.url, cache=None)
    client.set_options(port="MsgSendSoap")
    fields = load.fields._asdict()
    return lambda: str(client.service.sendMesExt(**fields))


# Asynchronous clients: one task for each concurrent submission.

AsyncSend = Callable[[], Awaitable[str | bytes]]


def _async(
    name: str,
    protocol: ProtocolName,
    open_one: Callable[[Load], Awaitable[tuple[AsyncSend, Callable[[], Awaitable[object]]]]],
) -> Contender:
    @contextmanager
    def open_run(load: Load) -> Iterator[Run]:
        loop = asyncio.new_event_loop()
        try:
            send, close = loop.run_until_complete(_as_coroutine(open_one(load)))

            async def send_many(count: int) -> None:
                for _ in range(count):
                    _check(await send())

            async def run(count: int, concurrency: int) -> None:
                await asyncio.gather(*(send_many(count // concurrency) for _ in range(concurrency)))

            try:
                yield lambda count, concurrency: _timed(
                    lambda: loop.run_until_complete(run(count, concurrency))
                )
            finally:
                loop.run_until_complete(_as_coroutine(close()))
        finally:
            loop.close()

    return Contender(name, protocol, open_run, f"{BARE_PROTOCOL}, {protocol}")


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _async_client(protocol: ProtocolName) -> Contender:
    async def open_one(load: Load) -> Any:
        client = AsyncClient(*ACCOUNT, channel="37", endpoint=load.url, protocol=protocol)
        recipients = load.recipients

        async def send() -> str:
            return (await client.send(recipients, MESSAGE)).batch_no

        return send, client.close

    return _async("yunxin_soap.AsyncClient", protocol, open_one)


class _BareProtocol(asyncio.Protocol):
    """Receives responses of one length, each into a future."""

    transport: asyncio.Transport
    response: asyncio.Future[bytes]

    def __init__(self, length: int) -> None:
        self._length = length
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) >= self._length:
            self.response.set_result(self._received)
            self._received = b""

    def connection_lost(self, error: Exception | None) -> None:
        if not self.response.done():
            self.response.set_exception(error or ConnectionError("the responder closed"))


def _bare_protocol(protocol: ProtocolName) -> Contender:
    """Return the limit of an asyncio client: each task has a connection and the ready bytes."""

    async def open_one(load: Load) -> Any:
        loop = asyncio.get_running_loop()
        request = load.ready_bytes(protocol)
        length = _response_length(load, request)
        idle: list[_BareProtocol] = []

        async def send() -> bytes:
            if idle:
                connection = idle.pop()
            else:
                _, connection = await loop.create_connection(
                    lambda: _BareProtocol(length), *load.address
                )
            connection.response = loop.create_future()
            connection.transport.write(request)
            response = await connection.response
            idle.append(connection)
            return response

        async def close() -> None:
            for connection in idle:
                connection.transport.close()
            await asyncio.sleep(0)  # the loop closes the sockets in its next turn

        return send, close

    return _async(BARE_PROTOCOL, protocol, open_one)


def _aiohttp(protocol: ProtocolName) -> Contender:
    async def open_one(load: Load) -> Any:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        request = load.request(protocol)
        url = yarl.URL(_url(load, request), encoded=True)

        async def send() -> bytes:
            async with session.request(
                request.method, url, data=request.body, headers=request.headers
            ) as response:
                return await response.read()

        return send, session.close

    return _async("aiohttp, prepared bytes", protocol, open_one)


async def _zeep_async(load: Load) -> Any:
    # httpx's default keeps twenty connections open.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=MAX_CONCURRENCY)
    http_client = httpx.AsyncClient(limits=limits)
    with httpx.Client() as wsdl_client:
        transport = zeep.transports.AsyncTransport(client=http_client, wsdl_client=wsdl_client)
        client = zeep.AsyncClient(str(shipped_path()), transport=transport)
    # AsyncClient.create_service() returns a synchronous proxy.
    binding = client.wsdl.bindings[zeep_binding(client)]
    service = zeep.proxy.AsyncServiceProxy(client, binding, address=load.url)
    fields = load.fields._asdict()

    async def send() -> str:
        return str(await service.sendMesExt(**fields))

    return send, http_client.aclose


# Clients in other languages: programs that read the number of submissions from standard input.


def _foreign(name: str, command: list[str], concurrencies: tuple[int, ...]) -> Contender:
    @contextmanager
    def open_run(load: Load) -> Iterator[Run]:
        job = json.dumps(
            {"wsdl": str(shipped_path()), "url": load.url, "fields": load.fields._asdict()}
        )
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            jobs, results = process.stdin, process.stdout
            assert jobs is not None
            assert results is not None

            def request(line: str) -> str:
                jobs.write(line + "\n")
                jobs.flush()
                return results.readline().strip()

            _check(request(job))
            yield lambda count, concurrency: Timing(
                *(float(value) for value in request(f"{count} {concurrency}").split())
            )
            jobs.close()

    return Contender(name, "soap", open_run, f"{BARE_SOCKET}, soap", concurrencies)


def _installed_foreign() -> Iterator[Contender]:
    """Yield the installed ones; Node looks for `soap` in this folder's parents and NODE_PATH."""
    here = Path(__file__).parent
    probes = {
        "PHP SoapClient": (
            ["php", "-r", "exit(class_exists('SoapClient') ? 0 : 1);"],
            ["php", str(here / "soapclient.php")],
            (1,),  # PHP has neither threads nor a loop
        ),
        "node soap": (
            ["node", "-e", "require('soap')"],
            ["node", str(here / "soap.js")],
            (1, 8, 32),
        ),
    }
    for name, (probe, command, concurrencies) in probes.items():
        if shutil.which(probe[0]) and not subprocess.run(probe, capture_output=True).returncode:
            yield _foreign(name, command, concurrencies)


def contenders() -> list[Contender]:
    """Return all contenders that can run on this machine."""
    return [
        *map(_bare_socket, PROTOCOLS),
        *map(_client, PROTOCOLS),
        *map(_urllib3, PROTOCOLS),
        _sync("http.client, prepared bytes", "soap", _http_client),
        _sync("zeep", "soap", _zeep),
        _sync("suds-community", "soap", _suds),
        *map(_bare_protocol, PROTOCOLS),
        *map(_async_client, PROTOCOLS),
        *map(_aiohttp, PROTOCOLS),
        _async("zeep.AsyncClient", "soap", _zeep_async),
        *_installed_foreign(),
    ]


def versions() -> dict[str, str]:
    """Return the versions of the packages compared."""
    names = ("yunxin-soap", "zeep", "lxml", "urllib3", "requests", "aiohttp", "httpx")
    return {name: version(name) for name in (*names, "suds-community")}
