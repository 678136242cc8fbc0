"""`AsyncHttpTransport`: carries requests by asyncio. The tasks of one event loop may share it.

It runs the same exchange, the same TLS and the same pool as `HttpTransport`, by the same rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakSet

from yunxin_soap.clock import lease_clock, timeout_clock
from yunxin_soap.errors import NotSent
from yunxin_soap.transport import failures
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.transport.http11 import Exchange, Steps
from yunxin_soap.transport.limits import KEEPALIVE_EXPIRY, NEXT_ADDRESS_DELAY
from yunxin_soap.transport.pool import AsyncPool, NoFreeConnection
from yunxin_soap.transport.readiness import read_poller
from yunxin_soap.transport.resolver import Address, Resolver
from yunxin_soap.transport.retry import RetrySchedule
from yunxin_soap.transport.route import Route
from yunxin_soap.transport.tls import TlsLayer, through

if TYPE_CHECKING:
    from yunxin_soap.transport.base import NetworkSettings

_T = TypeVar("_T")
_of_parents: list[object] = []
"""The connections of a parent process. A child keeps them referenced and never closes them."""


class Deadlines:
    """Ends conversations at their deadline, by one timer for all.

    A timer of the event loop for each conversation costs more than the rest of it.

    Args:
        loop: the event loop.
        timeout: seconds that each conversation has.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._loop, self._timeout = loop, timeout
        self._deadlines: dict[AsyncConnection, float] = {}
        """The deadlines of the conversations under way, the earliest first."""
        self._timer: asyncio.TimerHandle | None = None

    def start(self, connection: AsyncConnection) -> None:
        """Give a connection until the timeout from now."""
        self._deadlines[connection] = timeout_clock() + self._timeout
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._expire)

    def stop(self, connection: AsyncConnection) -> None:
        """Lift the deadline of a connection."""
        del self._deadlines[connection]

    def cancel_timer(self) -> None:
        """Cancel the timer, if no conversation is under way."""
        if self._timer is not None and not self._deadlines:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        # Look once more: a process that was stopped may have a whole response by now. The event
        # loop reads it before it runs what is called in its next turn but one.
        self._loop.call_soon(self._loop.call_soon, self._fail_expired)

    def _fail_expired(self) -> None:
        self._timer = None
        now = timeout_clock()
        for connection, deadline in list(self._deadlines.items()):
            if deadline > now:
                self._timer = self._loop.call_later(deadline - now, self._expire)
                break
            connection.fail(TimeoutError())


class AsyncConnection(asyncio.Protocol):
    """One open connection to the endpoint or its proxy."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, open_connections: WeakSet[AsyncConnection]
    ) -> None:
        self._loop = loop
        self._open_connections = open_connections
        self._layers: Sequence[TlsLayer] = ()
        self._exchange: Exchange | None = None
        """The exchange that is under way, without TLS."""
        self._steps: Steps[Any] | None = None
        """Any other conversation that is under way."""
        self._waiter: asyncio.Future[Any] | None = None
        """Gets the result of the conversation."""
        self._is_open = False
        self._has_unsent = False
        """Whether the transport holds bytes that the server has not read."""
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done once the connection is closed."""
        self.idle_since = 0.0

    async def establish(self, route: Route, deadline: float) -> None:
        """Prepare a new connection for requests."""
        timer = self._loop.call_later(max(0, deadline - timeout_clock()), self.fail, TimeoutError())
        try:
            self._layers = await self._drive(route.establish())
        finally:
            timer.cancel()
        # asyncio drops what is written to a connection that it knows to have ended, and says no
        # more about it. A server that speaks first is no HTTP server.
        if not self._is_open or (not self._layers and self._poll(0)):
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    def exchange(self, exchange: Exchange) -> asyncio.Future[None]:
        """Begin one exchange.

        Returns:
            A future for its end. It raises an `OSError` if the connection broke.

        Raises:
            Expired: the request is no longer valid. Nothing of it was sent. With TLS, the future
                raises it.
        """
        if self._layers:
            return self._drive(through(self._layers, exchange.steps()))
        waiter = self._loop.create_future()
        self._transport.write(exchange.begin())
        self._exchange, self._waiter = exchange, waiter
        return waiter

    def _drive(self, steps: Steps[_T]) -> asyncio.Future[_T]:
        """Send what the steps yield, and give them what arrives."""
        self._steps = steps
        waiter: asyncio.Future[_T] = self._loop.create_future()
        self._waiter = waiter
        self._advance(None)
        return waiter

    def _advance(self, received: bytes | None) -> None:
        """Continue the conversation; ``None`` begins it."""
        assert self._steps is not None
        try:
            data = next(self._steps) if received is None else self._steps.send(received)
            if data:
                self._transport.write(data)
        except StopIteration as end:
            self._end(end.value)
        except Exception as error:  # noqa: BLE001 - the task that waits raises it
            self.fail(error)

    def _end(self, result: Any) -> None:
        self._exchange = self._steps = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(result)

    def fail(self, error: Exception) -> None:
        """End the conversation with an error."""
        self._exchange = self._steps = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport. asyncio calls this."""
        self._transport = cast(asyncio.Transport, transport)
        self._poll = read_poller(transport.get_extra_info("socket"))
        self._transport.set_write_buffer_limits(high=0)
        self._is_open = True
        self._open_connections.add(self)

    def pause_writing(self) -> None:
        """Note that the transport holds bytes. asyncio calls this."""
        self._has_unsent = True

    def resume_writing(self) -> None:
        """Note that all bytes were sent. asyncio calls this."""
        self._has_unsent = False

    def data_received(self, data: bytes) -> None:
        """Continue what is under way; nobody expects bytes otherwise. asyncio calls this."""
        exchange = self._exchange
        if exchange is not None:
            try:
                if exchange.receive(data):
                    self._exchange = None
                    if self._waiter is not None and not self._waiter.done():
                        self._waiter.set_result(None)
            except Exception as error:  # noqa: BLE001 - the task that waits raises it
                self.fail(error)
        elif self._steps is not None:
            self._advance(data)
        else:
            self.close()

    def eof_received(self) -> None:
        """Take the end of the connection as bytes of length 0. asyncio calls this."""
        self._is_open = False
        self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """End the conversation. asyncio calls this."""
        self._is_open = False
        self._open_connections.discard(self)
        self.fail(exc or ConnectionResetError())
        if not self.ended.done():
            self.ended.set_result(None)

    @property
    def is_usable(self) -> bool:
        """Whether the server has neither closed the idle connection nor sent anything on it."""
        if not self._is_open or self._has_unsent:
            return False
        if self._layers and not all(layer.is_idle for layer in self._layers):
            return False
        # The event loop may have seen neither yet.
        return not self._poll(0)

    def close(self) -> None:
        """Close the connection at once."""
        self._is_open = False
        self._transport.abort()


class AsyncHttpTransport:
    """Carries requests to one endpoint, in the event loop of its first use.

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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        lease_clock: Callable[[], float] = lease_clock,
    ) -> None:
        self._settings = settings
        self._keepalive_expiry = keepalive_expiry
        self._clock, self._sleep, self._lease_clock = clock, sleep, lease_clock
        self._route = Route(settings)
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open_pool()

    def _open_pool(self) -> None:
        """Start without connections: at first, and in a forked child."""
        self._pid = os.getpid()
        self._resolver = Resolver(self._route.host, self._route.port)
        # Weakly: uvloop calls no `connection_lost` if it is cancelled while it connects.
        self._connections: WeakSet[AsyncConnection] = WeakSet()
        self._pool: AsyncPool[AsyncConnection] = AsyncPool(
            self._settings.max_connections, self._keepalive_expiry, self._clock
        )

    async def send(self, request: Request, *, valid_until: float | None = None) -> Response:
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
            asyncio.CancelledError: the task was cancelled. Its ``__cause__`` is a `NotSent` or an
                `OutcomeUnknown`.
        """
        exchange = Exchange(
            self._route.encoder.encode(request), valid_until=valid_until, clock=self._lease_clock
        )
        loop = asyncio.get_running_loop()
        if self._closed or self._loop is not loop or self._pid != os.getpid():
            self._prepare(loop)
        connection = self._pool.take_idle()
        if connection is None:
            try:
                connection = await self._take_connection()
            except asyncio.CancelledError as cancelled:
                raise cancelled from exchange.failure(cancelled, self._settings.timeout)
        failure: Exception | None = None
        self._deadlines.start(connection)
        try:
            await connection.exchange(exchange)
        except asyncio.CancelledError as cancelled:
            self._pool.discard(connection)
            raise cancelled from exchange.failure(cancelled, self._settings.timeout)
        except Exception as error:  # noqa: BLE001 - after any error, the request may have left
            failure = error
        except BaseException:
            self._pool.discard(connection)
            raise
        finally:
            self._deadlines.stop(connection)
        if failure is None and exchange.response is not None:
            if exchange.reusable:
                self._pool.put(connection)
            else:
                self._pool.discard(connection)
            return exchange.response
        self._pool.discard(connection)
        try:
            raise exchange.failure(failure, self._settings.timeout)
        finally:
            failure = None  # its traceback holds this frame

    def _prepare(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check that the transport may be used here, and prepare it for its event loop."""
        if self._closed:
            raise RuntimeError("The client is closed.")
        if self._pid != os.getpid():
            # Sockets and selector belong to the parent, too: closing a socket here would take it
            # out of the parent's selector.
            _of_parents.append((self._pool, list(self._connections)))
            self._open_pool()
            self._loop = None
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError("An AsyncClient belongs to one event loop: build one for each.")
            self._loop = loop
            self._deadlines = Deadlines(loop, self._settings.timeout)

    async def _take_connection(self) -> AsyncConnection:
        """Return an idle connection once there is one, or a new one."""
        started = self._clock()
        deadline = timeout_clock() + self._settings.connect_timeout
        try:
            connection = await self._pool.acquire(self._settings.connect_timeout)
        except NoFreeConnection:
            raise failures.not_sent(self._route.reason.no_free_connection()) from None
        try:
            self._prepare(asyncio.get_running_loop())  # it may have been closed meanwhile
            connection = connection or await self._connect(started, deadline)
            self._prepare(asyncio.get_running_loop())
        except BaseException:
            self._pool.discard(connection)
            raise
        return connection

    async def _connect(self, started: float, deadline: float) -> AsyncConnection:
        """Open a connection; try again as often as the settings allow."""
        schedule = RetrySchedule(self._settings, started, self._clock)
        while True:
            try:
                return await self._connect_once(deadline)
            except NotSent:
                delay = schedule.next_delay()
                if delay is None:
                    raise
            await self._sleep(delay)
            deadline = timeout_clock() + self._settings.connect_timeout

    async def _connect_once(self, deadline: float) -> AsyncConnection:
        failure: Exception
        connection: AsyncConnection | None = None
        try:
            connection = await self._open_connection(deadline)
            await connection.establish(self._route, deadline)
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

    async def _open_connection(self, deadline: float) -> AsyncConnection:
        """Connect to the first address of the host that accepts.

        Raises:
            OSError: none accepts, in time or at all, or the name cannot be resolved.
        """
        lookup = self._resolver.resolve()
        if not lookup.done():
            waiter = asyncio.wrap_future(lookup)
            try:
                await asyncio.wait([waiter], timeout=max(0, deadline - timeout_clock()))
            finally:
                if not waiter.cancel():
                    waiter.exception()  # the lookup's own is raised below
            if waiter.cancelled():
                raise TimeoutError
        return await self._connect_to_first(lookup.result(), deadline)

    async def _connect_to_first(
        self, addresses: Sequence[Address], deadline: float
    ) -> AsyncConnection:
        """Connect to one of several addresses, beginning with the first; see `HttpTransport`."""
        loop = asyncio.get_running_loop()

        async def connect(address: Address) -> AsyncConnection:
            _, connection = await loop.create_connection(
                lambda: AsyncConnection(loop, self._connections), address[1], address[2]
            )
            return connection

        untried = deque(addresses)
        attempts: set[asyncio.Task[AsyncConnection]] = set()
        errors: list[BaseException] = []
        try:
            while untried or attempts:
                seconds = deadline - timeout_clock()
                if seconds <= 0:
                    raise TimeoutError
                if untried:
                    attempts.add(loop.create_task(connect(untried.popleft())))
                    seconds = min(seconds, NEXT_ADDRESS_DELAY) if untried else seconds
                done, _ = await asyncio.wait(
                    attempts, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
                )
                for attempt in done:
                    attempts.discard(attempt)
                    error = attempt.exception()
                    if error is None:
                        return attempt.result()
                    errors.append(error)
        finally:
            for attempt in attempts:
                attempt.cancel()
                attempt.add_done_callback(_close_result)
        raise errors[0]

    async def close(self) -> None:
        """Close all idle connections. A closed transport sends nothing more."""
        self._closed = True
        if self._pid != os.getpid():
            _of_parents.append((self._pool, list(self._connections)))
            return
        with contextlib.suppress(RuntimeError):  # the event loop has ended, and all that it had
            closed = self._pool.idle.close()
            if self._loop is not None:
                self._deadlines.cancel_timer()
            # Another loop, which may have stopped, would be waited for in vain.
            if closed and self._loop is asyncio.get_running_loop():
                await asyncio.wait([connection.ended for connection in closed])


def _close_result(attempt: asyncio.Task[AsyncConnection]) -> None:
    """Close a connection that came too late."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
