"""The connections of a transport: those that are idle, and how many there may be at once.

A caller acquires a place, and with it an idle connection if there is one; else it opens one. After
the exchange it puts the connection back, or discards it. A place that is not free is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class NoFreeConnection(Exception):
    """All connections were in use until the deadline."""


class PooledConnection(Protocol):
    """What a pool needs of a connection."""

    idle_since: float
    """The clock's time of the last use; the pool sets it."""

    @property
    def is_usable(self) -> bool:
        """Whether the server has neither closed the idle connection nor sent anything on it."""
        ...

    def close(self) -> None:
        """Close the connection at once."""
        ...


_C = TypeVar("_C", bound=PooledConnection)


class IdleConnections(Generic[_C]):
    """The idle connections, the last used first. Threads may share it: a deque needs no lock.

    Args:
        expiry: seconds after which an idle connection is dropped.
        clock: returns the time in seconds.
    """

    def __init__(self, expiry: float, clock: Callable[[], float]) -> None:
        self._expiry, self._clock = expiry, clock
        self._connections: deque[_C] = deque()
        self._closed = False

    def take(self) -> _C | None:
        """Return the connection that was used last; None if none is usable."""
        connections = self._connections
        while connections:
            try:
                connection = connections.pop()
            except IndexError:  # another thread was faster
                return None
            if self._clock() - connection.idle_since < self._expiry and connection.is_usable:
                return connection
            connection.close()
        return None

    def put(self, connection: _C) -> None:
        """Keep a connection for the next request."""
        connection.idle_since = self._clock()
        self._connections.append(connection)
        if self._closed:
            self.close()
        elif len(self._connections) > 1:
            self._close_expired()

    def _close_expired(self) -> None:
        """Close the connections of a burst, which would stay open until the next burst."""
        connections, now = self._connections, self._clock()
        try:
            while now - connections[0].idle_since >= self._expiry:
                connections.popleft().close()
        except IndexError:  # all expired, or another thread was faster
            pass

    def close(self) -> list[_C]:
        """Close all connections, now and those that come later, and return them."""
        self._closed = True
        closed: list[_C] = []
        with contextlib.suppress(IndexError):
            while True:
                closed.append(self._connections.pop())
                closed[-1].close()
        return closed


class Pool(Generic[_C]):
    """The connections of threads.

    Args:
        size: most connections at once.
        expiry: seconds after which an idle connection is dropped.
        clock: returns the time in seconds, for the expiry.
    """

    def __init__(self, size: int, expiry: float, clock: Callable[[], float]) -> None:
        self.idle: IdleConnections[_C] = IdleConnections(expiry, clock)
        # Only the atomic operations of deques, no lock: a signal handler or a finaliser may send,
        # too. `queue.SimpleQueue` lets newcomers overtake for as long as they come.
        self._places: deque[None] = deque([None] * size)
        self.waiting: deque[threading.Lock] = deque()
        """A lock for each waiting thread, in order. It is released when the thread has a place."""

    def take_idle(self) -> _C | None:
        """Return an idle connection with its place, if there is one at once."""
        if not self._take_place():
            return None
        connection = self.idle.take()
        if connection is None:
            self._free_place()
        return connection

    def acquire(self, timeout: float) -> _C | None:
        """Wait for a place, and return an idle connection; None if the caller must open one.

        Raises:
            NoFreeConnection: no place became free within ``timeout`` seconds.
        """
        if not self._take_place():
            self._wait_for_place(timeout)
        return self.idle.take()

    def _take_place(self) -> bool:
        """Take a free place, if there is one at once."""
        try:
            self._places.pop()
        except IndexError:
            return False
        return True

    def _wait_for_place(self, timeout: float) -> None:
        waiter = threading.Lock()
        waiter.acquire()
        self.waiting.append(waiter)
        try:
            self._serve_waiters()  # a place may have become free before the waiter was there
            has_place = waiter.acquire(timeout=timeout)
        except BaseException:
            if not self._withdraw(waiter):
                self._free_place()
            raise
        if not has_place and self._withdraw(waiter):
            raise NoFreeConnection

    def _withdraw(self, waiter: threading.Lock) -> bool:
        """Stop to wait. If another thread has removed the waiter, the place belongs to it."""
        try:
            self.waiting.remove(waiter)
        except ValueError:
            return False
        return True

    def _free_place(self) -> None:
        self._places.append(None)
        if self.waiting:
            self._serve_waiters()

    def _serve_waiters(self) -> None:
        """Give the free places to those who wait, the first come first."""
        while self.waiting:
            try:
                self._places.pop()
            except IndexError:
                return
            try:
                waiter = self.waiting.popleft()
            except IndexError:  # it has just withdrawn, but another may have come
                self._places.append(None)
            else:
                waiter.release()

    def put(self, connection: _C) -> None:
        """Give back a place, and keep its connection for the next request."""
        self.idle.put(connection)
        self._free_place()

    def discard(self, connection: _C | None = None) -> None:
        """Give back a place, and close its connection if there is one."""
        if connection is not None:
            connection.close()
        self._free_place()


class AsyncPool(Generic[_C]):
    """The connections of the tasks of one event loop; the same as `Pool`."""

    def __init__(self, size: int, expiry: float, clock: Callable[[], float]) -> None:
        self.idle: IdleConnections[_C] = IdleConnections(expiry, clock)
        self._free = size
        self._waiters: deque[asyncio.Future[None]] = deque()

    def take_idle(self) -> _C | None:
        """Do as `Pool.take_idle`."""
        if self._free > 0 and (connection := self.idle.take()) is not None:
            self._free -= 1
            return connection
        return None

    async def acquire(self, timeout: float) -> _C | None:
        """Do as `Pool.acquire`. A cancelled task has no place."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait_for_place(timeout)
        return self.idle.take()

    async def _wait_for_place(self, timeout: float) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await asyncio.wait([waiter], timeout=timeout)
            if not waiter.done():
                raise NoFreeConnection
        except BaseException:
            if not waiter.done():
                waiter.cancel()
            elif not waiter.cancelled():
                self._free_place()  # it was given a place, and cancelled at the same time
            raise

    def _free_place(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def put(self, connection: _C) -> None:
        """Do as `Pool.put`."""
        self.idle.put(connection)
        if self._waiters:
            self._free_place()
        else:
            self._free += 1

    def discard(self, connection: _C | None = None) -> None:
        """Do as `Pool.discard`."""
        if connection is not None:
            connection.close()
        self._free_place()
