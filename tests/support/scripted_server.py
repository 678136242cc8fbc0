"""A server on a real socket that misbehaves as its script says, and counts what it processed.

Beside it stands `Caller`: a client that checks of every ending what must hold of all of them.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import logging
import pickle
import select
import socket
import ssl
import struct
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

from yunxin_soap import AsyncClient, Client, Outcome, Receipt, SendError, Submission
from yunxin_soap.settings import Settings
from yunxin_soap.transport.aio import AsyncHttpTransport
from yunxin_soap.transport.limits import Limits
from yunxin_soap.transport.sync import HttpTransport
from yunxin_soap.wsdl import PROTOCOLS, ProtocolName

if TYPE_CHECKING:
    import trustme
    from typing_extensions import Self

    from yunxin_soap.transport.base import AsyncTransport

PASSWORD = "s3cr3t&密码"
PROXY_USER = "us%65r:pr0xy%40s3cr3t"
PROXY_AUTHORIZATION = "Basic " + base64.b64encode(b"user:pr0xy@s3cr3t").decode()
NUMBERS = ("13900000000", "13900005678")
BATCH_NO = "2114355899380234221"

# Pieces, so that no way of encoding the whole hides them.
_SECRETS = ("s3cr3t", "密码", "%e5%af%86", "&#23494;", r"\u5bc6", *NUMBERS)
_PATIENCE = 5.0
"""Seconds after which a script that hangs is cut off; no test that passes waits for it."""


@dataclass(frozen=True)
class Received:
    """One whole request, as the server read it."""

    connection: int
    """Which connection it came on, counted from 1."""
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """The server's side of one connection, for a script to talk through."""

    def __init__(self, server: Server, sock: socket.socket, number: int) -> None:
        self.server, self.sock, self.number = server, sock, number
        self.ended = threading.Event()
        self._buffer = b""

    def read(self) -> Received | None:
        """Read one whole request and count it; None if the peer closed before its end."""
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
        request = Received(self.number, method, target, headers, body)
        with self.server.progress:
            self.server.requests.append(request)
            self.server.progress.notify_all()
        return request

    def _fill(self) -> bool:
        piece = self.sock.recv(65536)
        self._buffer += piece
        return bool(piece)

    def send(self, content: bytes) -> None:
        self.sock.sendall(content)

    def wait_for_bytes(self) -> None:
        """Wait until the peer has written or closed, and read nothing."""
        select.select([self.sock], [], [], _PATIENCE)

    def wait_until_closed(self) -> None:
        while self._fill():
            pass

    def reset(self) -> None:
        """Close with RST in place of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def start_tls(self, context: ssl.SSLContext) -> None:
        secured = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        self.sock = secured
        secured.do_handshake()

    def cut_off(self) -> None:
        with suppress(OSError):  # it has ended meanwhile
            self.sock.shutdown(socket.SHUT_RDWR)


Script = Callable[[Connection], None]


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """Return what a server named ``name`` needs to speak TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


class Server:
    """Runs ``script`` for each connection, in a thread of its own; the socket closes after it.

    Args:
        script: what to do with one connection.
        tls: wraps each connection first.
        listening: whether it accepts at once; until `listen`, connections are refused.
    """

    def __init__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, listening: bool = True
    ) -> None:
        self.requests: list[Received] = []
        self.progress = threading.Condition()
        self._script, self._tls = script, tls
        self._connections: list[tuple[Connection, threading.Thread]] = []
        self._accepted = threading.Condition()
        self._mistakes: list[Exception] = []
        self._waker: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        if listening:
            self.listen()

    @property
    def origin(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address of the page that it pretends to serve."""
        return f"{self.origin}/api/MsgSend.asmx"

    @property
    def connections(self) -> int:
        """How many connections it accepted."""
        return len(self._connections)

    def listen(self) -> None:
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, name="misbehaving server")
        self._thread.start()

    def wait_for_requests(self, number: int) -> None:
        """Wait until the server has read that many whole requests."""
        with self.progress:
            assert self.progress.wait_for(lambda: len(self.requests) >= number, _PATIENCE)

    def wait_until_ended(self, number: int) -> None:
        """Wait until the server has closed its connection of that number, counted from 1."""
        with self._accepted:
            assert self._accepted.wait_for(lambda: self.connections >= number, _PATIENCE)
        assert self._connections[number - 1][0].ended.wait(_PATIENCE)

    def close(self) -> None:
        """Wait until all that was sent is processed, and close everything."""
        if self._thread is not None:
            # Connections are accepted in order, so that none that came before is overlooked.
            with socket.socket() as self._waker:
                self._waker.bind(("127.0.0.1", 0))
                self._waker.connect(("127.0.0.1", self.port))
                self._thread.join()
        self._listener.close()
        for connection, thread in self._connections:
            thread.join(_PATIENCE)
            if thread.is_alive():
                connection.cut_off()
                thread.join()
        if self._mistakes:
            raise self._mistakes[0]

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
            pass  # the client hung up, as it may
        except Exception as error:  # noqa: BLE001 - it is raised in close(), by the test's thread
            self._mistakes.append(error)
        finally:
            connection.sock.close()
            connection.ended.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def replying(*answers: bytes, hang_up: bool = False) -> Script:
    """Give one answer for each request, the last one for all that follow; or close after one."""

    def script(connection: Connection) -> None:
        for answer in itertools.chain(answers, itertools.repeat(answers[-1])):
            if connection.read() is None:
                return
            connection.send(answer)
            if hang_up:
                return

    return script


def reading_and_closing(connection: Connection) -> None:
    connection.read()


def reading_and_hanging(connection: Connection) -> None:
    connection.read()
    connection.wait_until_closed()


def closing_unread(connection: Connection) -> None:
    connection.wait_for_bytes()


def resetting_unread(connection: Connection) -> None:
    connection.wait_for_bytes()
    connection.reset()


def through(proxy: Server, user: str = "") -> str:
    """Return the server's address as a proxy's."""
    return f"http://{user and user + '@'}127.0.0.1:{proxy.port}"


def page(
    body: str | bytes,
    status: str = "200 OK",
    content_type: str = "text/xml; charset=utf-8",
    *headers: str,
    length: int | None = None,
) -> bytes:
    """Return an HTTP answer, with a Content-Length that is right unless one is given."""
    content = body.encode() if isinstance(body, str) else body
    size = len(content) if length is None else length
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {size}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def xml(protocol: str, result: str = BATCH_NO) -> str:
    """Return the document in which the service answers ``result`` on that port."""
    if protocol.startswith("http-"):
        return (
            '<?xml version="1.0" encoding="utf-8"?>\r\n'
            f'<string xmlns="http://tempuri.org/">{result}</string>'
        )
    return envelope(
        protocol,
        '<sendMesExtResponse xmlns="http://tempuri.org/">'
        f"<sendMesExtResult>{result}</sendMesExtResult></sendMesExtResponse>",
    )


def envelope(protocol: str, content: str) -> str:
    version = (
        "http://www.w3.org/2003/05/soap-envelope"
        if protocol == "soap12"
        else "http://schemas.xmlsoap.org/soap/envelope/"
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{version}"><soap:Body>{content}</soap:Body></soap:Envelope>'
    )


def fault(protocol: str, code: str, text: str = "It broke.") -> str:
    """Return a SOAP fault in the version that the port speaks."""
    if protocol == "soap12":
        return envelope(
            protocol,
            f"<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>"
            f'<soap:Reason><soap:Text xml:lang="en">{text}</soap:Text></soap:Reason></soap:Fault>',
        )
    return envelope(
        protocol,
        f"<soap:Fault><faultcode>soap:{code}</faultcode><faultstring>{text}</faultstring>"
        "</soap:Fault>",
    )


def answer(protocol: str, result: str = BATCH_NO, *headers: str) -> bytes:
    """Return a good answer that keeps the connection open."""
    return page(xml(protocol, result), "200 OK", "text/xml; charset=utf-8", *headers)


def assert_no_secret(*texts: str) -> None:
    for text in texts:
        found = [secret for secret in _SECRETS if secret in text.lower()]
        assert not found, f"{found} in {text}"


@contextmanager
def logs_watched() -> Iterator[None]:
    """Read what every logger says, at DEBUG, and find no secret in it."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    lines: list[str] = []
    handler, root = Keep(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert_no_secret(*lines)


class FakeTime:
    """A clock that only a sleep moves, and that calls ``on_sleep`` before it does."""

    def __init__(self, on_sleep: Callable[[], None] = lambda: None, extra: float = 0.0) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self._on_sleep, self._extra = on_sleep, extra

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self._on_sleep()
        self.pauses.append(seconds)
        self.now += seconds + self._extra


class Way(str):
    """The name of a port, which says too whether it is to be used from asyncio."""

    __slots__ = ("asynchronous",)
    asynchronous: bool


def _ways() -> Iterator[Way]:
    for asynchronous in (False, True):
        for port in PROTOCOLS:
            way = Way(port)
            way.asynchronous = asynchronous
            yield way


WAYS = [pytest.param(way, id=f"async {way}" if way.asynchronous else way) for way in _ways()]


class Blocking:
    """An `AsyncClient` behind the methods of a `Client`, on an event loop in a thread."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._start(lambda: AsyncClient(*args, **settings))

    @classmethod
    def from_settings(cls, settings: Settings, *, transport: AsyncTransport | None = None) -> Self:
        client = cls.__new__(cls)
        client._start(lambda: AsyncClient.from_settings(settings, transport=transport))
        return client

    def _start(self, build: Callable[[], AsyncClient]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self.client = build()
            self.run(self.client.__aenter__())
        except BaseException:
            self._end()
            raise

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def send(self, *args: Any, **options: Any) -> Receipt:
        return self.run(self.client.send(*args, **options))

    def check(self, *args: Any, **options: Any) -> Submission:
        return self.run(self.client.check(*args, **options))

    @property
    def service(self) -> Blocking:
        return self

    def sendMesExt(self, *args: Any, **fields: Any) -> str:  # noqa: N802
        return self.run(self.client.service.sendMesExt(*args, **fields))

    @property
    def settings(self) -> Settings:
        return self.client.settings

    @property
    def endpoint(self) -> str:
        return self.client.endpoint

    @property
    def protocol(self) -> str:
        return self.client.protocol

    def __repr__(self) -> str:
        return repr(self.client)

    def close(self) -> None:
        self.run(self.client.close())

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.close()
        finally:
            self._end()


def protocol_name(way: str) -> ProtocolName:
    """Return the protocol of a way of sending."""
    return cast(ProtocolName, str(way))


def client_for(way: str) -> type[Client | Blocking]:
    """Return the kind of client that a way of sending wants."""
    return Blocking if getattr(way, "asynchronous", False) else Client


_T = TypeVar("_T")
_E = TypeVar("_E", bound=SendError)


class Caller:
    """A client with a distinctive password, all of whose endings are checked.

    Args:
        endpoint: a server, or an address.
        protocol: the port to speak.
        time: stands for clock and sleep.
        password: the account's.
        settings: further arguments of `Client`.
    """

    def __init__(
        self,
        endpoint: Server | str,
        protocol: str = "soap",
        *,
        time: FakeTime | None = None,
        limits: Limits | None = None,
        password: str = PASSWORD,
        **settings: Any,
    ) -> None:
        validated = Settings(
            "user",
            password,
            channel="37",
            signature="签名",
            endpoint=endpoint if isinstance(endpoint, str) else endpoint.url,
            protocol=protocol_name(protocol),
            **{"timeout": 20.0, **settings},
        )
        self.client: Client | Blocking
        if client_for(protocol) is Blocking:
            self.client = Blocking.from_settings(
                validated, transport=self._async_transport(validated, time, limits)
            )
        else:
            self.client = Client.from_settings(
                validated, transport=self._transport(validated, time, limits)
            )

    @staticmethod
    def _transport(
        settings: Settings, time: FakeTime | None, limits: Limits | None
    ) -> HttpTransport | None:
        if time is None and limits is None:
            return None
        time = time or FakeTime()
        return HttpTransport(settings, limits=limits, clock=time.clock, sleep=time.sleep)

    @staticmethod
    def _async_transport(
        settings: Settings, time: FakeTime | None, limits: Limits | None
    ) -> AsyncHttpTransport | None:
        if time is None and limits is None:
            return None
        clock = time or FakeTime()

        async def sleep(seconds: float) -> None:
            clock.sleep(seconds)

        return AsyncHttpTransport(settings, limits=limits, clock=clock.clock, sleep=sleep)

    def send(self, message: str = "您好") -> Receipt:
        with logs_watched():
            return self.client.send(NUMBERS, message)

    def accepted(self, batch_no: str = BATCH_NO) -> Receipt:
        """Send, and see it accepted under that batch number."""
        receipt = self.send()
        assert receipt.batch_no == batch_no
        assert_no_secret(repr(receipt), str(receipt), repr(self.client))
        return receipt

    def fails(self, kind: type[_E], send: Callable[[], object] | None = None) -> _E:
        """Send, and see it end in that error, whole, on one line and without a secret."""
        with logs_watched(), pytest.raises(SendError) as caught:
            (send or self.send)()
        error = caught.value
        assert type(error) is kind, repr(error)
        assert error.safe_to_resend is (error.outcome is not Outcome.UNKNOWN)
        assert len(str(error).splitlines()) == 1
        assert error.request is not None
        assert error.request.endpoint == self.client.endpoint
        assert error.request.recipients == len(NUMBERS)
        restored = pickle.loads(pickle.dumps(error))
        assert type(restored) is kind
        assert str(restored) == str(error)
        assert vars(restored) == vars(error)
        trace = "".join(traceback.format_exception(error))
        assert_no_secret(str(error), repr(error), repr(vars(error)), trace, repr(self.client))
        if error.outcome is Outcome.UNKNOWN:
            # What a tool that walks the chain finds, though no traceback shows it.
            assert_no_secret(repr(error.__context__), repr(vars(error.__context__ or error)))
        return error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.__exit__(kind, error, trace)
