"""Everybody who sends the same submit to the same responder, each in its own usual way."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
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
from yunxin_soap.redact import Redactor
from yunxin_soap.transport.base import Request
from yunxin_soap.wire.codec import Codec, Fields
from yunxin_soap.wsdl import PROTOCOLS, ProtocolName, load, shipped_path

ACCOUNT = ("demo", "demo")
MESSAGE = "您的验证码是1234，请勿告诉他人。【签名】"
MAX_IN_FLIGHT = 32


@dataclass(frozen=True)
class Load:
    """What one submit carries, and to where."""

    url: str
    numbers: int

    @cached_property
    def recipients(self) -> list[str]:
        return [f"1390000{number:04d}" for number in range(self.numbers)]

    @cached_property
    def fields(self) -> Fields:
        return Fields(*ACCOUNT, ",".join(self.recipients), MESSAGE, "37", "")

    def ready(self, port: ProtocolName) -> Request:
        """Return the request as bytes, made once."""
        path = urlsplit(self.url).path
        return Codec(load(), port, path, Redactor(ACCOUNT[1])).encode(self.fields)


@dataclass(frozen=True)
class Timing:
    """Seconds that a number of submits took; the CPU's are those of the contender's process."""

    wall: float
    cpu: float


Run = Callable[[int, int], Timing]
"""Sends so many submits, so many at once."""


@dataclass(frozen=True)
class Contender:
    """Somebody who can send."""

    name: str
    port: ProtocolName
    open: Callable[[Load], Any]
    """Gives a context manager of a `Run`."""
    floor: str = ""
    """The key of the one that sends the same bytes, made once, through the HTTP library."""
    in_flight: tuple[int, ...] = (1, 8, 32)

    @property
    def key(self) -> str:
        return f"{self.name}, {self.port}"

    def carries(self, numbers: int) -> bool:
        """Whether the port can carry so many: a GET is bounded."""
        return self.port != "http-get" or numbers < 100


def _timed(work: Callable[[], object]) -> Timing:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu)


def _check(answer: str | bytes) -> None:
    whole = answer.decode() if isinstance(answer, bytes) else answer
    if BATCH_NO not in whole:
        raise RuntimeError(f"no batch number in {answer!r}")


# Sync: one submit after another, or a pool of threads that share the client.

Submission = Callable[[], str | bytes]


def _sync(
    name: str, port: ProtocolName, open_one: Callable[[Load, ExitStack], Submission]
) -> Contender:
    @contextmanager
    def opened(load: Load) -> Iterator[Run]:
        with ExitStack() as stack:
            submit = open_one(load, stack)
            threads = stack.enter_context(ThreadPoolExecutor(MAX_IN_FLIGHT))

            def some(count: int) -> None:
                for _ in range(count):
                    _check(submit())

            def run(count: int, in_flight: int) -> Timing:
                if in_flight == 1:
                    return _timed(lambda: some(count))
                shares = [count // in_flight] * in_flight
                return _timed(lambda: list(threads.map(some, shares)))

            yield run

    return Contender(name, port, opened, f"urllib3, ready bytes, {port}")


def _client(port: ProtocolName) -> Contender:
    def open_one(load: Load, stack: ExitStack) -> Submission:
        client = Client(*ACCOUNT, channel="37", endpoint=load.url, protocol=port)
        stack.enter_context(client)
        recipients = load.recipients
        return lambda: client.send(recipients, MESSAGE).batch_no

    return _sync("yunxin_soap.Client", port, open_one)


def _urllib3(port: ProtocolName) -> Contender:
    def open_one(load: Load, stack: ExitStack) -> Submission:
        pool = stack.enter_context(urllib3.PoolManager(maxsize=MAX_IN_FLIGHT))
        ready = load.ready(port)
        url = _url(load, ready)
        return lambda: pool.request(ready.method, url, body=ready.body, headers=ready.headers).data

    return _sync("urllib3, ready bytes", port, open_one)


def _url(load: Load, ready: Request) -> str:
    parts = urlsplit(load.url)
    return f"{parts.scheme}://{parts.netloc}{ready.path}?{ready.query}".rstrip("?")


def _http_client(load: Load, stack: ExitStack) -> Submission:
    ready = load.ready("soap")
    own = threading.local()

    def submit() -> bytes:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(urlsplit(load.url).netloc)
            stack.callback(own.connection.close)
        own.connection.request("POST", ready.path, ready.body, dict(ready.headers))
        answer: bytes = own.connection.getresponse().read()
        return answer

    return submit


def _zeep(load: Load, stack: ExitStack) -> Submission:
    session = stack.enter_context(requests.Session())
    # zeep's own default has ten connections.
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=MAX_IN_FLIGHT))
    client = zeep.Client(str(shipped_path()), transport=zeep.transports.Transport(session=session))
    service = client.create_service(zeep_binding(client), load.url)
    fields = load.fields._asdict()
    return lambda: str(service.sendMesExt(**fields))


def zeep_binding(client: zeep.Client) -> str:
    """Return the name of the SOAP 1.1 binding."""
    (binding,) = (name for name in client.wsdl.bindings if name.endswith("}MsgSendSoap"))
    return binding


def _suds(load: Load, stack: ExitStack) -> Submission:
    client = suds.client.Client(shipped_path().as_uri(), location=load.url, cache=None)
    client.set_options(port="MsgSendSoap")
    fields = load.fields._asdict()
    return lambda: str(client.service.sendMesExt(**fields))


# Async: so many tasks on one event loop.

AsyncSubmit = Callable[[], Awaitable[str | bytes]]


def _async(
    name: str,
    port: ProtocolName,
    open_one: Callable[[Load], Awaitable[tuple[AsyncSubmit, Callable[[], Awaitable[object]]]]],
) -> Contender:
    @contextmanager
    def opened(load: Load) -> Iterator[Run]:
        loop = asyncio.new_event_loop()
        try:
            submit, close = loop.run_until_complete(_as_coroutine(open_one(load)))

            async def some(count: int) -> None:
                for _ in range(count):
                    _check(await submit())

            async def all_of(count: int, in_flight: int) -> None:
                await asyncio.gather(*(some(count // in_flight) for _ in range(in_flight)))

            try:
                yield lambda count, in_flight: _timed(
                    lambda: loop.run_until_complete(all_of(count, in_flight))
                )
            finally:
                loop.run_until_complete(_as_coroutine(close()))
        finally:
            loop.close()

    return Contender(name, port, opened, f"aiohttp, ready bytes, {port}")


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _async_client(port: ProtocolName) -> Contender:
    async def open_one(load: Load) -> Any:
        client = AsyncClient(*ACCOUNT, channel="37", endpoint=load.url, protocol=port)
        recipients = load.recipients

        async def submit() -> str:
            return (await client.send(recipients, MESSAGE)).batch_no

        return submit, client.close

    return _async("yunxin_soap.AsyncClient", port, open_one)


def _aiohttp(port: ProtocolName) -> Contender:
    async def open_one(load: Load) -> Any:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        ready = load.ready(port)
        url = yarl.URL(_url(load, ready), encoded=True)

        async def submit() -> bytes:
            async with session.request(
                ready.method, url, data=ready.body, headers=ready.headers
            ) as response:
                return await response.read()

        return submit, session.close

    return _async("aiohttp, ready bytes", port, open_one)


async def _zeep_async(load: Load) -> Any:
    # httpx's own default keeps twenty connections open.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=MAX_IN_FLIGHT)
    http_client = httpx.AsyncClient(limits=limits)
    with httpx.Client() as wsdl_client:
        transport = zeep.transports.AsyncTransport(client=http_client, wsdl_client=wsdl_client)
        client = zeep.AsyncClient(str(shipped_path()), transport=transport)
    # Its create_service() makes the synchronous kind.
    binding = client.wsdl.bindings[zeep_binding(client)]
    service = zeep.proxy.AsyncServiceProxy(client, binding, address=load.url)
    fields = load.fields._asdict()

    async def submit() -> str:
        return str(await service.sendMesExt(**fields))

    return submit, http_client.aclose


# Foreign: a program that is told on its standard input how much to send.


def _foreign(name: str, command: list[str], in_flight: tuple[int, ...]) -> Contender:
    @contextmanager
    def opened(load: Load) -> Iterator[Run]:
        job = json.dumps(
            {"wsdl": str(shipped_path()), "url": load.url, "fields": load.fields._asdict()}
        )
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            said, heard = process.stdin, process.stdout
            assert said is not None
            assert heard is not None

            def ask(line: str) -> str:
                said.write(line + "\n")
                said.flush()
                return heard.readline().strip()

            _check(ask(job))
            yield lambda count, in_flight: Timing(
                *(float(value) for value in ask(f"{count} {in_flight}").split())
            )
            said.close()

    return Contender(name, "soap", opened, in_flight=in_flight)


def _foreign_ones() -> Iterator[Contender]:
    """Give those that are installed; Node finds `soap` here or in NODE_PATH."""
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
    for name, (probe, command, in_flight) in probes.items():
        if shutil.which(probe[0]) and not subprocess.run(probe, capture_output=True).returncode:
            yield _foreign(name, command, in_flight)


def contenders() -> list[Contender]:
    """Return all that can run here."""
    return [
        *map(_client, PROTOCOLS),
        *map(_urllib3, PROTOCOLS),
        _sync("http.client, ready bytes", "soap", _http_client),
        _sync("zeep", "soap", _zeep),
        _sync("suds-community", "soap", _suds),
        *map(_async_client, PROTOCOLS),
        *map(_aiohttp, PROTOCOLS),
        _async("zeep.AsyncClient", "soap", _zeep_async),
        *_foreign_ones(),
    ]


def versions() -> dict[str, str]:
    """Return what was measured."""
    names = ("yunxin-soap", "zeep", "lxml", "urllib3", "requests", "aiohttp", "httpx")
    return {name: version(name) for name in (*names, "suds-community")}
