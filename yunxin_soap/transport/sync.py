"""`HttpTransport`: carries requests over blocking sockets. Threads may share it.

*Not sent* is only what failed before the exchange began. Every failure after that is *unknown*, an
unforeseen error included.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from yunxin_soap.clock import lease_clock, timeout_clock
from yunxin_soap.errors import NotSent
from yunxin_soap.transport import failures
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.transport.http11 import Exchange, Steps
from yunxin_soap.transport.limits import KEEPALIVE_EXPIRY, NEXT_ADDRESS_DELAY
from yunxin_soap.transport.pool import NoFreeConnection, Pool
from yunxin_soap.transport.readiness import read_poller
from yunxin_soap.transport.resolver import Address, Resolver
from yunxin_soap.transport.retry import RetrySchedule
from yunxin_soap.transport.route import Route
from yunxin_soap.transport.tls import TlsLayer, through

if TYPE_CHECKING:
    from yunxin_soap.transport.base import NetworkSettings

_T = TypeVar("_T")
_READ_BYTES = 16384


class Connection:
    """One open connection to the endpoint or its proxy.

    Its socket never blocks: each wait is for the time that is left.
    """

    __slots__ = ("_layers", "_poll", "_send_failed", "_socket", "_unsent", "idle_since")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._poll = read_poller(sock)
        self._layers: Sequence[TlsLayer] = ()
        self._unsent: bytes | memoryview = b""
        """What the server did not read before it began to respond."""
        self._send_failed = False
        self.idle_since = 0.0

    def establish(self, route: Route, deadline: float) -> None:
        """Prepare a new connection for requests."""
        self._layers = self._drive(route.establish(), deadline)
        # Nothing can come yet but the end. A server that speaks first is no HTTP server. (After
        # TLS's handshake, session tickets may come.)
        if not self._layers and self._poll(0):
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    def exchange(self, exchange: Exchange, deadline: float) -> None:
        """Run one exchange.

        Raises:
            OSError: the connection broke, or the response did not end in time (`TimeoutError`).
            Expired: the request is no longer valid. Nothing of it was sent.
        """
        if self._layers:
            self._drive(through(self._layers, exchange.steps()), deadline)
            return
        self._send(exchange.begin(), deadline)
        while not exchange.receive(self._receive(deadline)):
            if self._unsent:
                self._send(b"", deadline)

    def _drive(self, steps: Steps[_T], deadline: float) -> _T:
        """Send what the steps yield, and give them what arrives."""
        try:
            data = next(steps)
            while True:
                if data or self._unsent:
                    self._send(data, deadline)
                data = steps.send(self._receive(deadline))
        except StopIteration as end:
            result: _T = end.value
            return result

    def _send(self, data: bytes | memoryview, deadline: float) -> None:
        """Send bytes, or a part of them if the server responds before it has read all.

        A server may reject a request before it has read all of it, and then close. Its response
        counts, so an error does too only if there is none.
        """
        if self._unsent:
            data, self._unsent = memoryview(bytes(self._unsent) + bytes(data)), b""
        while True:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:  # the kernel's buffer is full
                sent = 0
            except ConnectionError:
                self._send_failed = True
                return
            if sent == len(data):
                return
            data = data[sent:]
            if self._wait_for_room(deadline) & EVENT_READ:
                self._unsent = data
                return

    def _wait_for_room(self, deadline: float) -> int:
        """Wait until the socket takes bytes or has some, and return the events of `selectors`."""
        with DefaultSelector() as selector:
            selector.register(self._socket, EVENT_READ | EVENT_WRITE)
            while True:
                for _, events in selector.select(_seconds_left(deadline)):
                    return events

    def _receive(self, deadline: float) -> bytes:
        milliseconds = max(0.0, deadline - timeout_clock()) * 1000
        # Look once more: a process that was stopped may have a whole response by now.
        if not self._poll(milliseconds) and not self._poll(0):
            raise TimeoutError
        data = self._socket.recv(_READ_BYTES)
        if not data and self._send_failed:
            raise ConnectionResetError
        return data

    @property
    def is_usable(self) -> bool:
        """Whether the server has neither closed the idle connection nor sent anything on it."""
        if self._unsent or self._poll(0):
            return False
        return not self._layers or all(layer.is_idle for layer in self._layers)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _seconds_left(deadline: float) -> float:
    seconds = deadline - timeout_clock()
    if seconds <= 0:
        raise TimeoutError
    return seconds


class _OfProcess(NamedTuple):
    """What a forked child must not share with its parent."""

    pid: int
    pool: Pool[Connection]
    resolver: Resolver


class HttpTransport:
    """Carries requests to one endpoint. Safe to share between threads and across a fork.

    Args:
        settings: endpoint, timeouts, retries, proxy, TLS and the limit of connections.
        keepalive_expiry: seconds after which an idle connection is dropped instead of used again.
        clock: returns the time in seconds, for retries and for the expiry of idle connections.
        sleep: waits some seconds before a retry.
        lease_clock: returns the time in seconds, for ``valid_until``.

    Raises:
        ConfigurationError: the proxy of the environment or ``verify`` cannot be used.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        *,
        keepalive_expiry: float = KEEPALIVE_EXPIRY,
        clock: Callable[[], float] = timeout_clock,
        sleep: Callable[[float], None] = time.sleep,
        lease_clock: Callable[[], float] = lease_clock,
    ) -> None:
        self._settings = settings
        self._keepalive_expiry = keepalive_expiry
        self._clock, self._sleep, self._lease_clock = clock, sleep, lease_clock
        self._route = Route(settings)
        self._closed = False
        self._of_processes: dict[int, _OfProcess] = {}
        self._own = self._open_pool()

    def _open_pool(self) -> _OfProcess:
        """Start without connections: at first, and in a forked child."""
        pid = os.getpid()
        pool: Pool[Connection] = Pool(
            self._settings.max_connections, self._keepalive_expiry, self._clock
        )
        own = _OfProcess(pid, pool, Resolver(self._route.host, self._route.port))
        # Several threads of a child may come here at once: all get the same pool.
        return self._of_processes.setdefault(pid, own)

    def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        """Send one request. If connecting fails, connect again; repeat nothing else.

        Args:
            request: the request.
            valid_until: the time, by `yunxin_soap.clock.lease_clock`, from which on its first byte
                must not leave any more; None for no such time. It is looked at right before that
                byte, whatever was waited for until then.

        Raises:
            InvalidRequest: HTTP cannot carry the request.
            NotSent: every attempt to connect failed, no connection became free in time, or the
                request was no longer valid.
            OutcomeUnknown: the request may have left, and no complete response came back.
        """
        exchange = Exchange(
            self._route.encoder.encode(request), valid_until=valid_until, clock=self._lease_clock
        )
        own = self._own
        if self._closed or own.pid != os.getpid():
            own = self._prepare(own)
        pool = own.pool
        connection = pool.take_idle() or self._take_connection(own)
        failure: Exception | None = None
        try:
            connection.exchange(exchange, timeout_clock() + self._settings.timeout)
        except Exception as error:  # noqa: BLE001 - after any error, the request may have left
            failure = error
        except BaseException:
            pool.discard(connection)
            raise
        if failure is None and exchange.response is not None:
            if exchange.reusable:
                pool.put(connection)
            else:
                pool.discard(connection)
            return exchange.response
        pool.discard(connection)
        try:
            raise exchange.failure(failure, self._settings.timeout)
        finally:
            failure = None  # its traceback holds this frame

    def _prepare(self, own: _OfProcess) -> _OfProcess:
        """Check that the transport may be used, and prepare it in a forked child."""
        self._check_open()
        # The sockets belong to the parent, too: closing them here does not end its connections.
        own.pool.idle.close()
        self._own = self._open_pool()
        return self._own

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("The client is closed.")

    def _take_connection(self, own: _OfProcess) -> Connection:
        """Return an idle connection once there is one, or a new one."""
        started = self._clock()
        deadline = timeout_clock() + self._settings.connect_timeout
        try:
            connection = own.pool.acquire(self._settings.connect_timeout)
        except NoFreeConnection:
            raise failures.not_sent(self._route.reason.no_free_connection()) from None
        try:
            self._check_open()  # it may have been closed meanwhile
            connection = connection or self._connect(own.resolver, started, deadline)
            self._check_open()
        except BaseException:
            own.pool.discard(connection)
            raise
        return connection

    def _connect(self, resolver: Resolver, started: float, deadline: float) -> Connection:
        """Open a connection; try again as often as the settings allow."""
        schedule = RetrySchedule(self._settings, started, self._clock)
        while True:
            try:
                return self._connect_once(resolver, deadline)
            except NotSent:
                delay = schedule.next_delay()
                if delay is None:
                    raise
            self._sleep(delay)
            deadline = timeout_clock() + self._settings.connect_timeout

    def _connect_once(self, resolver: Resolver, deadline: float) -> Connection:
        failure: Exception
        connection: Connection | None = None
        try:
            connection = Connection(_open_socket(resolver, deadline))
            connection.establish(self._route, deadline)
        except Exception as error:  # noqa: BLE001 - nothing was sent, whatever it is
            failure = error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        else:
            return connection
        if connection is not None:
            connection.close()
        try:
            raise self._route.not_sent(failure)
        finally:
            del failure  # its traceback holds this frame

    def close(self) -> None:
        """Close all idle connections. A closed transport sends nothing more."""
        self._closed = True
        self._own.pool.idle.close()


def _open_socket(resolver: Resolver, deadline: float) -> socket.socket:
    """Connect to the first address of the host that accepts.

    Raises:
        OSError: none accepts, in time or at all, or the name cannot be resolved.
    """
    try:
        addresses = resolver.resolve().result(max(0, deadline - timeout_clock()))
    except concurrent.futures.TimeoutError:
        raise TimeoutError from None  # on Python 3.10 they differ
    sock = connect_to_first(addresses, deadline)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def connect_to_first(addresses: Sequence[Address], deadline: float) -> socket.socket:
    """Connect to one of several addresses, beginning with the first.

    Raises:
        OSError: no address accepts; it is the error of the first. `TimeoutError` at the deadline.
    """
    untried = deque(addresses)
    errors: list[OSError] = []
    next_start = 0.0
    with contextlib.ExitStack() as stack, DefaultSelector() as selector:
        while untried or selector.get_map():
            now = timeout_clock()
            if now >= deadline:
                raise TimeoutError
            if untried and (now >= next_start or not selector.get_map()):
                next_start = now + NEXT_ADDRESS_DELAY
                try:
                    selector.register(_begin_connect(untried.popleft(), stack), EVENT_WRITE)
                except OSError as error:
                    errors.append(error)
                    continue
            until = min(deadline, next_start) if untried else deadline
            for key, _ in selector.select(max(0, until - now)):
                sock = cast(socket.socket, key.fileobj)
                selector.unregister(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return socket.socket(fileno=sock.detach())
                errors.append(OSError(code, os.strerror(code)))
    raise errors[0]


def _begin_connect(address: Address, stack: contextlib.ExitStack) -> socket.socket:
    """Start to connect. The stack closes the socket, unless it was detached before."""
    family, host, port = address
    sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    sock.setblocking(False)
    # Not `connect_ex`, which pytest-socket does not watch.
    with contextlib.suppress(BlockingIOError):
        sock.connect((host, port))
    return sock
